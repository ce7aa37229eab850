/* The emulated device's threads: what runtime.cc and tensor.cc share. */
#ifndef EMULATED_MACHINE_H
#define EMULATED_MACHINE_H

#include <setjmp.h>
#include <ucontext.h>

#include <vector>

#include "nn/cuda/tensor_group.h"

namespace emulated {

constexpr size_t STACK = 64 * 1024;
constexpr size_t MOST_THREADS = 1024; /* of a block */
constexpr size_t MOST_CLUSTER = 8;    /* blocks that any device takes together */
constexpr size_t DEVICE_MEMORY = (size_t)1 << 37; /* what no test asks for in earnest */

/* Where a thread stopped. All of a block must come to the same barrier, load or product; AT_WAIT is a thread's own. */
enum stop { AT_BEGIN, AT_END, AT_BARRIER, AT_LOAD, AT_MULTIPLY, AT_WAIT };

struct product {
    std::function<void()> compute;
    unsigned group;
};

struct copy {
    char *to;
    const char *from; /* NULL: zeros */
    unsigned bytes, group;
};

/* What a thread shows the others of its warp, twice: those who are slower still look at the one before. */
struct shown {
    tensor_address granule;
    tensor_fragment a, b;
};

struct block_run;

struct fiber {
    block_run *block;
    unsigned number; /* in its block */
    ucontext_t context;
    jmp_buf place; /* where it stopped, but under AddressSanitizer */
    bool started;
    std::vector<char> stack;
    uint3 index;
    bool done;
    stop at;
    bool (*ready)(const fiber &); /* AT_WAIT: whether it goes on */
    const void *barrier;          /* that it waits for, and the parity, or how many shall have come */
    unsigned turn_of_barrier;
    unsigned warp_meetings, team_meetings, cluster_meetings;
    unsigned given[2]; /* to the others of the warp, twice: those who are slower still look at the one before */
    unsigned gifts;
    void *fake_stack; /* AddressSanitizer's, while another fiber runs */
    std::vector<copy> copies; /* that have not arrived */
    unsigned groups;          /* of copies that are closed */
    std::vector<product> products; /* that are not done, in order */
    unsigned commits;
    shown show[2];
    unsigned turn;
};

struct block_run {
    uint3 index;
    fiber *fibers;
    unsigned count, rank, running; /* running: threads that have not ended */
    bool together; /* all are at the same barrier, load or product */
    std::vector<char> shared; /* asked for at the launch */
    unsigned arrived[MOST_THREADS / TENSOR_GROUP]; /* threads, at each team's barrier, since the first */
};

/* A bulk copy on its way. */
struct flight {
    block_run *block;
    char *to;
    const char *from;
    unsigned bytes;
    char *barrier;
};

/* The blocks that run at the same time: one, or a cluster. */
struct cluster_run {
    std::vector<fiber> fibers;
    std::vector<block_run> blocks;
    std::vector<flight> flights;
    unsigned arrived; /* threads, at the cluster's barrier, since the first */
    ucontext_t scheduler;
    jmp_buf place;
    void *fake_stack;
    const void *bottom;
    size_t size;
    fiber *current;
    const std::function<void()> *thread;
    size_t most_shared; /* of the device opened last */
    unsigned seed;
};

extern cluster_run machine;

/* A random number of 24 bits, each time another. */
unsigned dice();
/* The current thread waits there for all of its block. */
void leave(stop at);
/* The current thread waits until that is so. */
void wait_until(bool (*ready)(const fiber &));
/* Some of the bulk copies arrive; whether any were on their way. */
bool land_some();
[[noreturn]] void misuse(const char *what);

} // namespace emulated

#endif

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
constexpr size_t DEVICE_MEMORY = (size_t)1 << 37; /* what no test asks for in earnest */

/* Where a thread stopped: all of a block must stop at the same. */
enum stop { AT_END, AT_BARRIER, AT_LOAD, AT_MULTIPLY };

struct product {
    std::function<void()> compute;
    unsigned group;
};

struct copy {
    char *to;
    const char *from; /* NULL: zeros */
    unsigned group;
};

/* What a thread shows the others of its warp, twice: those who are slower still look at the one before. */
struct shown {
    tensor_address granule;
    tensor_fragment a, b;
};

struct fiber {
    ucontext_t context;
    jmp_buf place; /* where it stopped, but under AddressSanitizer */
    bool started;
    std::vector<char> stack;
    uint3 index;
    bool done;
    stop at;
    void *fake_stack; /* AddressSanitizer's, while another fiber runs */
    std::vector<copy> copies; /* that have not arrived */
    unsigned groups;          /* of copies that are closed */
    std::vector<product> products; /* that are not done, in order */
    unsigned commits;
    shown show[2];
    unsigned turn;
};

/* One block's threads. */
struct block_run {
    std::vector<fiber> fibers;
    ucontext_t scheduler;
    jmp_buf place;
    void *fake_stack;
    const void *bottom;
    size_t size;
    fiber *current;
    const std::function<void()> *thread;
    std::vector<char> shared; /* asked for at the launch */
    size_t most_shared;       /* of the device opened last */
    unsigned seed;
};

extern block_run machine;

/* A random number of 24 bits, each time another. */
unsigned dice();
/* The current thread waits there for all of its block. */
void leave(stop at);

} // namespace emulated

#endif

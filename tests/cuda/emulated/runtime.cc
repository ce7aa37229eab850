/* The emulated device. See cuda_runtime.h and emulated_tensor.h. */
#include "cuda_runtime.h"
#include "nn/cuda/tensor_group.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace {

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
    unsigned seed;
};
block_run machine;

/* Numerical Recipes' linear congruential generator. */
unsigned dice() { return (machine.seed = machine.seed * 1664525u + 1013904223u) >> 8; }

#if defined(__SANITIZE_ADDRESS__)
void switch_to_fiber(fiber *to)
{
    __sanitizer_start_switch_fiber(&machine.fake_stack, to->stack.data(), STACK);
    swapcontext(&machine.scheduler, &to->context);
    __sanitizer_finish_switch_fiber(machine.fake_stack, nullptr, nullptr);
}

void switch_to_scheduler(fiber *from)
{
    __sanitizer_start_switch_fiber(&from->fake_stack, machine.bottom, machine.size);
    swapcontext(&from->context, &machine.scheduler);
    __sanitizer_finish_switch_fiber(from->fake_stack, &machine.bottom, &machine.size);
}
#else
/* Jumps, once a fiber has started: a context is switched by system calls. */
void switch_to_fiber(fiber *to)
{
    if (_setjmp(machine.place)) return;
    if (to->started) _longjmp(to->place, 1);
    to->started = true;
    setcontext(&to->context);
}

void switch_to_scheduler(fiber *from)
{
    if (!_setjmp(from->place)) _longjmp(machine.place, 1);
}
#endif

void enter(fiber *to)
{
    machine.current = to;
    threadIdx = to->index;
    switch_to_fiber(to);
}

void leave(stop at)
{
    fiber *from = machine.current;
    from->done = at == AT_END;
    from->at = at;
    switch_to_scheduler(from);
}

void fiber_main()
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &machine.bottom, &machine.size);
#endif
    for (;;) { /* the threads of one block after another */
        (*machine.thread)();
        leave(AT_END);
    }
}

void prepare(fiber &f, uint3 index)
{
    f.index = index;
    f.done = false;
    f.copies.clear();
    f.products.clear();
    f.groups = f.commits = f.turn = 0;
    if (!f.stack.empty()) return;
    f.stack.resize(STACK);
    f.started = false;
    f.fake_stack = nullptr;
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack.data();
    f.context.uc_stack.ss_size = STACK;
    f.context.uc_link = nullptr;
    makecontext(&f.context, fiber_main, 0);
}

void check_together(unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        if (machine.fibers[i].at == machine.fibers[0].at) continue;
        fprintf(stderr, "emulated CUDA: threads of a block have gone different ways to a barrier\n");
        abort();
    }
}

/* A round takes every thread to its next barrier or its end. A barrier that only some threads reach is an error of the
 * kernel: it would hang or worse. */
void run_block(unsigned count)
{
    std::vector<unsigned> order(count);
    std::iota(order.begin(), order.end(), 0u);
    for (bool alive = true; alive;) {
        for (unsigned i = count - 1; i > 0; i--) std::swap(order[i], order[dice() % (i + 1)]); /* Fisher and Yates */
        for (unsigned i : order) enter(&machine.fibers[i]);
        check_together(count);
        alive = !machine.fibers[0].done;
    }
}

} // namespace

void __syncthreads()
{
    if (!machine.current) {
        fprintf(stderr, "emulated CUDA: a barrier in a kernel whose threads were launched apart\n");
        abort();
    }
    leave(AT_BARRIER);
}

unsigned char *emulated_shared() { return (unsigned char *)machine.shared.data(); }

namespace {

void arrive(const copy &c)
{
    if (c.from)
        memcpy(c.to, c.from, TENSOR_GRANULE_BYTES);
    else
        memset(c.to, 0, TENSOR_GRANULE_BYTES);
}

/* Shows what this lane has, and waits for the others. */
const shown *show(const shown &mine, stop at)
{
    fiber *f = machine.current;
    const unsigned turn = f->turn++ % 2;
    f->show[turn] = mine;
    leave(at);
    return &machine.current->show[turn];
}

/* What another lane of the current thread's warp showed in the same turn. */
const shown &of_lane(const shown *mine, unsigned lane)
{
    const fiber *first = machine.fibers.data(), *current = machine.current;
    const unsigned turn = (unsigned)(mine - current->show), warp = (unsigned)(current - first) / 32 * 32;
    return first[warp + lane].show[turn];
}

unsigned lane() { return (unsigned)(machine.current - machine.fibers.data()) % 32; }

float number_of(uint32_t pair, unsigned upper)
{
    uint32_t bits = upper ? pair & 0xFFFF0000u : pair << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Element (row, k) of a fragment of a; element (k, column) of eight columns of b: PTX ISA, m16n8k16. */
float a_at(const shown *mine, unsigned row, unsigned k)
{
    return number_of(of_lane(mine, row % 8 * 4 + k % 8 / 2).a.part[row / 8 + k / 8 * 2], k % 2);
}

float b_at(const shown *mine, unsigned k, unsigned column, int second)
{
    return number_of(of_lane(mine, column * 4 + k % 8 / 2).b.part[2 * (unsigned)second + k / 8], k % 2);
}

uint32_t pair_of(uint16_t lower, uint16_t upper) { return (uint32_t)upper << 16 | lower; }

uint16_t element(const shown *mine, unsigned matrix, unsigned row, unsigned column)
{
    uint16_t value;
    memcpy(&value, of_lane(mine, matrix * 8 + row).granule + column * sizeof value, sizeof value);
    return value;
}

} // namespace

/* On a device a copy may arrive at once, or as late as it is waited for. */
void tensor_copy(tensor_address to, const void *from, bool zero)
{
    fiber *f = machine.current;
    const copy c = {const_cast<char *>(to), zero ? nullptr : (const char *)from, f->groups};
    if (((uintptr_t)from | (uintptr_t)to) % TENSOR_GRANULE_BYTES != 0) {
        fprintf(stderr, "emulated CUDA: a copy that is not aligned to 16 bytes\n");
        abort();
    }
    if (dice() % 2)
        arrive(c);
    else
        f->copies.push_back(c);
}

void tensor_commit() { machine.current->groups++; }

void emulated_wait(int pending)
{
    fiber *f = machine.current;
    auto late = std::partition(f->copies.begin(), f->copies.end(),
                               [=](const copy &c) { return c.group + (unsigned)pending >= f->groups; });
    std::for_each(late, f->copies.end(), arrive);
    f->copies.erase(late, f->copies.end());
}

unsigned emulated_thread() { return (unsigned)(machine.current - machine.fibers.data()) % TENSOR_GROUP; }

void emulated_group_multiply(const std::function<void()> &compute)
{
    fiber *f = machine.current;
    f->products.push_back({compute, f->commits});
    if (dice() % 2) return;
    for (const product &p : f->products) p.compute();
    f->products.clear();
}

void tensor_group_commit() { machine.current->commits++; }

void emulated_group_wait(int pending)
{
    fiber *f = machine.current;
    size_t done = 0;
    while (done < f->products.size() && f->products[done].group + (unsigned)pending < f->commits)
        f->products[done++].compute();
    f->products.erase(f->products.begin(), f->products.begin() + (ptrdiff_t)done);
}

tensor_fragment tensor_load(tensor_address granule)
{
    tensor_fragment f;
    const shown *mine = show({granule, {}, {}}, AT_LOAD);
    for (unsigned i = 0; i < 4; i++) {
        const unsigned row = lane() / 4, column = lane() % 4 * 2;
        f.part[i] = pair_of(element(mine, i, row, column), element(mine, i, row, column + 1));
    }
    return f;
}

tensor_fragment tensor_load_transposed(tensor_address granule)
{
    tensor_fragment f;
    const shown *mine = show({granule, {}, {}}, AT_LOAD);
    for (unsigned i = 0; i < 4; i++) {
        const unsigned row = lane() % 4 * 2, column = lane() / 4;
        f.part[i] = pair_of(element(mine, i, row, column), element(mine, i, row + 1, column));
    }
    return f;
}

void tensor_multiply(tensor_sums &sums, const tensor_fragment &a, const tensor_fragment &b, int second)
{
    const shown *mine = show({nullptr, a, b}, AT_MULTIPLY);
    for (unsigned i = 0; i < 4; i++)
        for (unsigned k = 0; k < TENSOR_K; k++)
            sums.part[i] += a_at(mine, lane() / 4 + i / 2 * 8, k) * b_at(mine, k, lane() % 4 * 2 + i % 2, second);
}

namespace {

void check_launch(dim3 grid, unsigned threads)
{
    if (threads > 0 && threads <= MOST_THREADS && grid.x > 0 && grid.y > 0 && grid.z > 0 && grid.y <= 65535 && grid.z <= 65535)
        return;
    fprintf(stderr, "emulated CUDA: a launch of %ux%ux%u blocks of %u threads\n", grid.x, grid.y, grid.z, threads);
    abort();
}

void run_apart(const std::function<void()> &thread, dim3 block)
{
    machine.current = nullptr;
    for (threadIdx.z = 0; threadIdx.z < block.z; threadIdx.z++)
        for (threadIdx.y = 0; threadIdx.y < block.y; threadIdx.y++)
            for (threadIdx.x = 0; threadIdx.x < block.x; threadIdx.x++) thread();
}

void run_together(const std::function<void()> &thread, dim3 block, size_t shared)
{
    unsigned count = block.x * block.y * block.z;
    if (machine.fibers.empty()) machine.fibers.resize(MOST_THREADS); /* they stay where they are */
    machine.thread = &thread;
    std::vector<char>(shared, (char)0xFF).swap(machine.shared);
    for (unsigned i = 0; i < count; i++)
        prepare(machine.fibers[i], {i % block.x, i / block.x % block.y, i / block.x / block.y});
    run_block(count);
}

} // namespace

void emulated_run_grid(bool together, const std::function<void()> &thread, dim3 grid, dim3 block, size_t shared)
{
    check_launch(grid, block.x * block.y * block.z);
    blockDim = block;
    gridDim = grid;
    for (blockIdx.z = 0; blockIdx.z < grid.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++)
                together ? run_together(thread, block, shared) : run_apart(thread, block);
}

struct emulated_graph {
    std::vector<std::function<void()>> work;
};

struct emulated_stream {
    emulated_graph *capture;
};

struct emulated_event {
    int unused;
};

void emulated_enqueue(cudaStream_t stream, const std::function<void()> &work)
{
    if (stream->capture)
        stream->capture->work.push_back(work);
    else
        work();
}

const char *cudaGetErrorString(cudaError_t code) { return code == cudaErrorMemoryAllocation ? "out of memory" : "error"; }
cudaError_t cudaGetLastError() { return cudaSuccess; }

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int)
{
    strcpy(properties->name, "emulated device");
    const char *major = getenv("EMULATED_MAJOR"); /* 8: Ampere's kernels */
    properties->major = major ? atoi(major) : 9;
    properties->minor = 0;
    properties->multiProcessorCount = 8; /* few, so that small pictures fill it */
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int) { return cudaSuccess; }

/* All bits set: NaN for whoever reads what nobody wrote. As on a device, 256 bytes aligned. */
cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    if (bytes > DEVICE_MEMORY || posix_memalign(memory, 256, bytes) != 0) return cudaErrorMemoryAllocation;
    memset(*memory, 0xFF, bytes);
    return cudaSuccess;
}

cudaError_t cudaFree(void *memory)
{
    free(memory);
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *there, size_t *all)
{
    *there = *all = (size_t)1 << 40;
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **memory, size_t bytes) { return cudaMalloc(memory, bytes); }
cudaError_t cudaFreeHost(void *memory) { return cudaFree(memory); }

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind, cudaStream_t stream)
{
    emulated_enqueue(stream, [=] { memcpy(to, from, bytes); });
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream)
{
    emulated_enqueue(stream, [=] { memset(memory, value, bytes); });
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
    *stream = new emulated_stream{nullptr};
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    delete stream;
    return cudaSuccess;
}

/* Waiting while recording is an error on a device. */
cudaError_t cudaStreamSynchronize(cudaStream_t stream) { return stream->capture ? cudaErrorInvalidValue : cudaSuccess; }

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode)
{
    stream->capture = new emulated_graph;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    *graph = stream->capture;
    stream->capture = nullptr;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long)
{
    *executable = new emulated_graph(*graph);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t)
{
    for (const std::function<void()> &work : executable->work) work();
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) { return cudaGraphDestroy(executable); }

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    *event = new emulated_event{0};
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) { return cudaEventCreate(event); }

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }

/* The same time for everything; with EMULATED_CLOCK=dice in the environment another one whenever it is asked, as on a
 * device, so that what is measured does not repeat itself. */
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t, cudaEvent_t)
{
    static unsigned state;
    const char *clock = getenv("EMULATED_CLOCK");
    if (clock && strcmp(clock, "dice") == 0) state = state * 1664525u + 1013904223u;
    *milliseconds = 1 + (float)(state >> 8) * 0x1p-24f;
    return cudaSuccess;
}

/* The emulated device. See cuda_runtime.h and emulated_tensor.h. */
#include "machine.h"

#include <algorithm>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

using namespace emulated;

cluster_run emulated::machine;

/* Numerical Recipes' linear congruential generator. */
unsigned emulated::dice() { return (machine.seed = machine.seed * 1664525u + 1013904223u) >> 8; }

namespace {

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
    blockIdx = to->block->index;
    switch_to_fiber(to);
}

} // namespace

void emulated::misuse(const char *what)
{
    fprintf(stderr, "emulated CUDA: %s\n", what);
    abort();
}

void emulated::leave(stop at)
{
    fiber *from = machine.current;
    from->done = at == AT_END;
    if (from->done) from->block->running--;
    from->at = at;
    switch_to_scheduler(from);
}

void emulated::wait_until(bool (*ready)(const fiber &))
{
    machine.current->ready = ready;
    while (!ready(*machine.current)) leave(AT_WAIT);
}

namespace {

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

void prepare(fiber &f, block_run *block, unsigned number, uint3 index)
{
    f.block = block;
    f.number = number;
    f.index = index;
    f.done = false;
    f.at = AT_BEGIN;
    f.warp_meetings = f.team_meetings = f.cluster_meetings = 0;
    f.copies.clear();
    f.products.clear();
    f.groups = f.commits = f.turn = f.gifts = 0;
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

/* A barrier that only some threads reach is an error of the kernel: it would hang or worse. */
void check_together(block_run &block)
{
    bool waiting = false, ended = false, met = false;
    stop at = AT_BEGIN;
    for (unsigned i = 0; i < block.count; i++) {
        const stop here = block.fibers[i].at;
        waiting = waiting || here == AT_WAIT;
        ended = ended || here == AT_END;
        if (here == AT_WAIT || here == AT_END) continue;
        if (met && here != at) misuse("threads of a block have gone different ways to a barrier");
        met = true;
        at = here;
    }
    if (met && ended) misuse("threads of a block have gone different ways to a barrier");
    block.together = met && !waiting;
}

/* One that could go on after waiting may be late. */
bool goes_on(const fiber &f, bool *could)
{
    if (f.done) return false;
    if (f.at != AT_WAIT) return f.block->together;
    if (!f.ready(f)) return false;
    *could = true;
    return dice() >> 22 != 0; /* the lower bits could be the same in each round: they soon repeat themselves */
}

/* A round takes every thread that need not wait to its next stop or its end. */
void run_blocks(unsigned count)
{
    std::vector<unsigned> order(count);
    std::iota(order.begin(), order.end(), 0u);
    for (bool alive = true; alive;) {
        for (unsigned i = count - 1; i > 0; i--) std::swap(order[i], order[dice() % (i + 1)]); /* Fisher and Yates */
        bool moved = land_some();
        for (unsigned i : order) {
            if (!goes_on(machine.fibers[i], &moved)) continue;
            moved = true;
            enter(&machine.fibers[i]);
        }
        alive = false;
        for (block_run &block : machine.blocks) {
            check_together(block);
            alive = alive || block.running > 0;
        }
        if (alive && !moved) misuse("threads wait for what never comes");
    }
    if (!machine.flights.empty()) misuse("a block has ended before a copy was there");
}

} // namespace

void __syncthreads()
{
    if (!machine.current) misuse("a barrier in a kernel whose threads were launched apart");
    leave(AT_BARRIER);
}

/* The others of the warp have been here as often. */
void __syncwarp()
{
    machine.current->warp_meetings++;
    wait_until([](const fiber &f) {
        const fiber *warp = f.block->fibers + f.number / 32 * 32;
        for (unsigned i = 0; i < 32; i++)
            if (warp[i].warp_meetings < f.warp_meetings) return false;
        return true;
    });
}

/* To the others of the warp: which of the two places it lies in. */
static unsigned give(unsigned value)
{
    fiber *f = machine.current;
    const unsigned turn = f->gifts++ % 2;
    f->given[turn] = value;
    __syncwarp();
    return turn;
}

unsigned __shfl_xor_sync(unsigned lanes, unsigned value, unsigned apart)
{
    if (lanes != 0xFFFFFFFF || apart >= 32) misuse("a shuffle of other lanes than a warp's");
    const unsigned turn = give(value);
    const fiber *f = machine.current;
    return f->block->fibers[f->number ^ apart].given[turn];
}

unsigned __ballot_sync(unsigned lanes, bool value)
{
    if (lanes != 0xFFFFFFFF) misuse("a ballot of other lanes than a warp's");
    const unsigned turn = give(value);
    const fiber *warp = machine.current->block->fibers + machine.current->number / 32 * 32;
    unsigned votes = 0;
    for (unsigned i = 0; i < 32; i++) votes |= warp[i].given[turn] << i;
    return votes;
}

float __shfl_xor_sync(unsigned lanes, float value, unsigned apart)
{
    return __uint_as_float(__shfl_xor_sync(lanes, __float_as_uint(value), apart));
}

namespace {

void check_launch(dim3 grid, unsigned threads, size_t shared, unsigned cluster)
{
    const bool fits = shared <= machine.most_shared && threads > 0 && threads <= MOST_THREADS && grid.x > 0 && grid.y > 0 &&
                      grid.z > 0 && grid.y <= 65535 && grid.z <= 65535;
    if (fits && cluster > 0 && cluster <= MOST_CLUSTER && grid.x % cluster == 0 && (cluster == 1 || threads % 32 == 0))
        return;
    fprintf(stderr, "emulated CUDA: a launch of %ux%ux%u blocks of %u threads and %zu bytes, %u to a cluster\n", grid.x, grid.y,
            grid.z, threads, shared, cluster);
    abort();
}

void run_apart(const std::function<void()> &thread, dim3 block)
{
    machine.current = nullptr;
    for (threadIdx.z = 0; threadIdx.z < block.z; threadIdx.z++)
        for (threadIdx.y = 0; threadIdx.y < block.y; threadIdx.y++)
            for (threadIdx.x = 0; threadIdx.x < block.x; threadIdx.x++) thread();
}

/* The blocks of a cluster, the first of them at blockIdx. */
void run_together(const std::function<void()> &thread, dim3 block, size_t shared, unsigned cluster)
{
    unsigned count = block.x * block.y * block.z;
    if (machine.fibers.empty()) machine.fibers.resize(MOST_THREADS * MOST_CLUSTER); /* they stay where they are */
    machine.thread = &thread;
    machine.arrived = 0;
    const uint3 first = blockIdx;
    std::vector<block_run>(cluster).swap(machine.blocks);
    for (unsigned rank = 0; rank < cluster; rank++) {
        block_run &b = machine.blocks[rank];
        b = {{first.x + rank, first.y, first.z}, &machine.fibers[rank * count], count, rank, count, true,
             std::vector<char>(shared, (char)0xFF)};
        for (unsigned i = 0; i < count; i++)
            prepare(b.fibers[i], &b, i, {i % block.x, i / block.x % block.y, i / block.x / block.y});
    }
    run_blocks(cluster * count);
    blockIdx = first;
}

} // namespace

void emulated_run_grid(bool together, const std::function<void()> &thread, dim3 grid, dim3 block, size_t shared,
                       unsigned cluster)
{
    check_launch(grid, block.x * block.y * block.z, shared, cluster);
    blockDim = block;
    gridDim = grid;
    for (blockIdx.z = 0; blockIdx.z < grid.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x += cluster)
                together ? run_together(thread, block, shared, cluster) : run_apart(thread, block);
}

size_t emulated_waits;

void emulated_run_early(const std::function<void()> &thread, dim3 grid, dim3 block, size_t shared)
{
    const size_t before = emulated_waits, threads = (size_t)block.x * block.y * block.z;
    emulated_run_grid(true, thread, grid, block, shared, 1);
    if (emulated_waits - before != threads * grid.x * grid.y * grid.z) emulated::misuse("a kernel that begins early has not waited");
}

/* Work and what it waits for, numbers of earlier work. */
struct emulated_node {
    std::function<void()> work;
    std::vector<size_t> after;
};

struct emulated_graph {
    std::vector<emulated_node> nodes;
};

struct emulated_stream {
    emulated_graph *capture; /* that it takes part in */
    std::vector<size_t> after; /* what its next work waits for */
    std::deque<std::function<void()>> waiting; /* the work that has not run, outside of a capture */
    size_t enqueued; /* all work so far */
};

static std::vector<cudaStream_t> stream_list;

struct emulated_event {
    emulated_graph *capture; /* in a capture: what it stands for */
    std::vector<size_t> after;
    cudaStream_t stream; /* elsewhere: all that this one had got then */
    size_t enqueued;
};

/* Until so much is left. */
static void run_waiting(cudaStream_t stream, size_t left)
{
    while (stream->waiting.size() > left) {
        std::function<void()> work = stream->waiting.front();
        stream->waiting.pop_front();
        work();
    }
}

static void run_all_waiting()
{
    for (cudaStream_t stream : stream_list) run_waiting(stream, 0);
}

/* The device runs now and then, as the dice have it, and when it is waited for. */
void emulated_enqueue(cudaStream_t stream, const std::function<void()> &work)
{
    static std::mt19937 random(2);
    if (stream->capture) {
        stream->capture->nodes.push_back({work, stream->after});
        stream->after = {stream->capture->nodes.size() - 1};
        return;
    }
    stream->waiting.push_back(work);
    stream->enqueued++;
    if (random() % 4 == 0) run_waiting(stream, random() % stream->waiting.size());
}

/* As on a device, in any order that the edges allow: each time another one. */
static void play(const emulated_graph &graph)
{
    static std::mt19937 random(1);
    size_t count = graph.nodes.size();
    std::vector<std::vector<size_t>> before(count);
    std::vector<size_t> waits(count), ready;
    for (size_t i = 0; i < count; i++) {
        waits[i] = graph.nodes[i].after.size();
        for (size_t earlier : graph.nodes[i].after) before[earlier].push_back(i);
        if (!waits[i]) ready.push_back(i);
    }
    while (!ready.empty()) {
        std::swap(ready[random() % ready.size()], ready.back());
        size_t i = ready.back();
        ready.pop_back();
        graph.nodes[i].work();
        for (size_t later : before[i])
            if (--waits[later] == 0) ready.push_back(later);
    }
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
    const char *major = getenv("CHECK_MAJOR"), *minor = getenv("CHECK_MINOR"); /* 8: Ampere's kernels */
    properties->major = major ? atoi(major) : 9;
    properties->minor = minor ? atoi(minor) : 0;
    /* CUDA C++ Programming Guide, "Technical Specifications per Compute Capability": of 9.0, 8.0 and 8.6. */
    size_t kilobytes = properties->major == 9 ? 227 : properties->minor == 0 ? 163 : 99;
    machine.most_shared = properties->sharedMemPerBlockOptin = kilobytes << 10;
    const char *count = getenv("CHECK_MULTIPROCESSORS"); /* few, so that small pictures fill them */
    properties->multiProcessorCount = count ? atoi(count) : 8;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int) { return cudaSuccess; }

/* With EMULATED_REFUSES=cudaGraphInstantiate in the environment this function fails, or another of those that ask. */
static bool refuses(const char *function)
{
    const char *name = getenv("EMULATED_REFUSES");
    return name && strcmp(name, function) == 0;
}

/* All bits set: NaN for whoever reads what nobody wrote. As on a device, 256 bytes aligned. */
cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    if (bytes > DEVICE_MEMORY || posix_memalign(memory, 256, bytes) != 0) return cudaErrorMemoryAllocation;
    memset(*memory, 0xFF, bytes);
    return cudaSuccess;
}

/* Waits for all that may use it. */
cudaError_t cudaFree(void *memory)
{
    run_all_waiting();
    free(memory);
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *there, size_t *all)
{
    *there = *all = (size_t)1 << 40;
    return cudaSuccess;
}

/* Pinned memory: from, to less than. */
static std::map<const char *, const char *> pinned;

cudaError_t cudaMallocHost(void **memory, size_t bytes)
{
    if (refuses("cudaMallocHost")) return cudaErrorMemoryAllocation;
    cudaError_t code = cudaMalloc(memory, bytes);
    if (code == cudaSuccess) pinned[(const char *)*memory] = (const char *)*memory + bytes;
    return code;
}

cudaError_t cudaFreeHost(void *memory)
{
    pinned.erase((const char *)memory);
    return cudaFree(memory);
}

static bool is_pinned(const void *memory)
{
    auto next = pinned.upper_bound((const char *)memory);
    return next != pinned.begin() && (const char *)memory < std::prev(next)->second;
}

/* Pageable memory is read before this returns, and written ("API synchronization behavior" in the CUDA Runtime API). */
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream)
{
    if (kind == cudaMemcpyHostToDevice && !is_pinned(from)) {
        auto staged = std::make_shared<std::vector<char>>((const char *)from, (const char *)from + bytes);
        emulated_enqueue(stream, [=] { memcpy(to, staged->data(), bytes); });
        return cudaSuccess;
    }
    emulated_enqueue(stream, [=] { memcpy(to, from, bytes); });
    if (kind == cudaMemcpyDeviceToHost && !is_pinned(to)) return cudaStreamSynchronize(stream);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream)
{
    emulated_enqueue(stream, [=] { memset(memory, value, bytes); });
    return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, const void *)
{
    const char *registers = getenv("EMULATED_REGISTERS");
    attributes->numRegs = registers ? atoi(registers) : 168;
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
    *stream = new emulated_stream{nullptr, {}, {}, 0};
    stream_list.push_back(*stream);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    run_waiting(stream, 0);
    stream_list.erase(std::find(stream_list.begin(), stream_list.end(), stream));
    delete stream;
    return cudaSuccess;
}

/* Waiting while recording is an error on a device. */
cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    if (stream->capture) return cudaErrorInvalidValue;
    run_waiting(stream, 0);
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode)
{
    if (refuses("cudaStreamBeginCapture")) return cudaErrorInvalidValue;
    stream->capture = new emulated_graph;
    stream->after.clear();
    return cudaSuccess;
}

/* Streams that take part must have joined it, that is, their last work is before the end. */
static bool have_joined(cudaStream_t stream)
{
    std::vector<char> joined(stream->capture->nodes.size());
    for (size_t i : stream->after) joined[i] = 1;
    for (size_t i = joined.size(); i-- > 0;) {
        if (!joined[i]) return false;
        for (size_t earlier : stream->capture->nodes[i].after) joined[earlier] = 1;
    }
    return true;
}

/* The capture is over, also where it fails; there is no graph then. */
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    bool good = have_joined(stream) && !refuses("cudaStreamEndCapture");
    emulated_graph *captured = stream->capture;
    for (cudaStream_t other : stream_list)
        if (other->capture == captured) other->capture = nullptr;
    *graph = good ? captured : nullptr;
    if (!good) delete captured;
    return good ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long)
{
    if (refuses("cudaGraphInstantiate")) return cudaErrorMemoryAllocation;
    *executable = new emulated_graph(*graph);
    return cudaSuccess;
}

/* As it is now: it may be destroyed before it has run. */
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream)
{
    auto graph = std::make_shared<emulated_graph>(*executable);
    emulated_enqueue(stream, [=] { play(*graph); });
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
    *event = new emulated_event{nullptr, {}, nullptr, 0};
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) { return cudaEventCreate(event); }

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    event->capture = stream->capture;
    event->after = stream->after;
    event->stream = stream;
    event->enqueued = stream->enqueued;
    return cudaSuccess;
}

/* A stream that waits for what is captured takes part in the capture. */
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned)
{
    if (!event->capture) return stream->capture ? cudaErrorInvalidValue : cudaEventSynchronize(event);
    if (!stream->capture) {
        stream->capture = event->capture;
        stream->after.clear();
    }
    for (size_t i : event->after)
        if (std::find(stream->after.begin(), stream->after.end(), i) == stream->after.end()) stream->after.push_back(i);
    return cudaSuccess;
}

/* Of one that was never recorded there is nothing to wait for. */
cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    cudaStream_t stream = event->stream;
    if (!stream || event->capture) return event->capture ? cudaErrorInvalidValue : cudaSuccess;
    const size_t later = stream->enqueued - event->enqueued;
    if (stream->waiting.size() > later) run_waiting(stream, later);
    return cudaSuccess;
}

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

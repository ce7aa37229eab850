/* The lanes of a recording are streams that leave the first one at its begin and join it at its end; what they wait for
 * between become edges of the graph (CUDA C++ Programming Guide, "Cross-stream Dependencies and Events"). */
#include "nn/cuda/recording.h"

#include <stdlib.h>

static cuda_backend *of(nn_backend *backend) { return (cuda_backend *)(void *)backend; }

static bool create_event(cuda_backend *cuda, cudaEvent_t *event)
{
    return cuda_note(cuda, "recording", "cudaEventCreateWithFlags",
                     cudaEventCreateWithFlags(event, cudaEventDisableTiming));
}

void cuda_lanes_create(cuda_backend *cuda)
{
    for (int i = 0; i < CUDA_LANES; i++) {
        cuda_lane *lane = &cuda->lane[i];
        cuda_note(cuda, "starting", "cudaStreamCreateWithFlags",
                  cudaStreamCreateWithFlags(&lane->stream, cudaStreamNonBlocking));
        cuda_note(cuda, "starting", "cudaMalloc", cudaMalloc(&lane->lt_workspace, CUDA_LT_WORKSPACE));
        create_event(cuda, &lane->edge);
    }
    cuda_use_lane(&cuda->base, 0);
}

void cuda_lanes_destroy(cuda_backend *cuda)
{
    for (size_t i = 0; i < cuda->mark_count; i++)
        if (cuda->marks[i]) cudaEventDestroy(cuda->marks[i]);
    free(cuda->marks);
    for (int i = 0; i < CUDA_LANES; i++) {
        cuda_lane *lane = &cuda->lane[i];
        if (lane->edge) cudaEventDestroy(lane->edge);
        if (lane->lt_workspace) cudaFree(lane->lt_workspace);
        if (lane->stream) cudaStreamDestroy(lane->stream);
    }
}

void cuda_use_lane(nn_backend *backend, size_t lane)
{
    cuda_backend *cuda = of(backend);
    cuda->stream = cuda->lane[lane].stream;
    cuda->lt_workspace = cuda->lane[lane].lt_workspace;
    if (lane != cuda->lane_in_use) cuda->may_begin_early = false;
    cuda->lane_in_use = lane;
}

static void go_after(cuda_backend *cuda, cudaStream_t stream, cudaEvent_t event)
{
    cuda_note(cuda, "recording", "cudaStreamWaitEvent", cudaStreamWaitEvent(stream, event, 0));
}

static void record_event(cuda_backend *cuda, cudaEvent_t event, cudaStream_t stream)
{
    cuda_note(cuda, "recording", "cudaEventRecord", cudaEventRecord(event, stream));
}

void cuda_mark(nn_backend *backend, size_t mark)
{
    cuda_backend *cuda = of(backend);
    if (mark >= cuda->mark_count) {
        size_t count = 2 * mark + 64;
        cudaEvent_t *marks = (cudaEvent_t *)realloc(cuda->marks, count * sizeof *marks);
        if (!marks) {
            cuda_note(cuda, "recording", "realloc", cudaErrorMemoryAllocation);
            return;
        }
        for (size_t i = cuda->mark_count; i < count; i++) marks[i] = NULL;
        cuda->marks = marks;
        cuda->mark_count = count;
    }
    if (cuda->marks[mark] || create_event(cuda, &cuda->marks[mark])) record_event(cuda, cuda->marks[mark], cuda->stream);
}

void cuda_await(nn_backend *backend, size_t mark)
{
    cuda_backend *cuda = of(backend);
    cuda->may_begin_early = false;
    if (mark < cuda->mark_count && cuda->marks[mark]) go_after(cuda, cuda->stream, cuda->marks[mark]);
}

/* Thread-local capture: what other threads of the process do (decoding) is none of its business. Failures are noted. */
static cudaGraphExec_t capture(cuda_backend *cuda, void (*work)(void *context), void *context)
{
    cudaStream_t first = cuda->lane[0].stream;
    cudaGraph_t graph = NULL;
    cudaGraphExec_t executable = NULL;
    if (!cuda_note(cuda, "recording", "cudaStreamBeginCapture",
                   cudaStreamBeginCapture(first, cudaStreamCaptureModeThreadLocal)))
        return NULL;
    record_event(cuda, cuda->lane[0].edge, first);
    for (int i = 1; i < CUDA_LANES; i++) go_after(cuda, cuda->lane[i].stream, cuda->lane[0].edge);
    cuda->recording = true;
    cuda->may_begin_early = false;
    work(context);
    cuda->recording = cuda->may_begin_early = false;
    cuda_use_lane(&cuda->base, 0);
    for (int i = 1; i < CUDA_LANES; i++) {
        record_event(cuda, cuda->lane[i].edge, cuda->lane[i].stream);
        go_after(cuda, first, cuda->lane[i].edge);
    }
    if (cuda_note(cuda, "recording", "cudaStreamEndCapture", cudaStreamEndCapture(first, &graph)))
        cuda_note(cuda, "recording", "cudaGraphInstantiate", cudaGraphInstantiate(&executable, graph, 0));
    if (graph) cudaGraphDestroy(graph);
    return executable;
}

/* Nothing of it has run, and a graph takes memory of the device, which may lack where kernels have theirs: what failed is
 * forgotten, and the program runs kernel by kernel. A device that no longer works says so again there. */
void *cuda_record(nn_backend *backend, void (*work)(void *context), void *context)
{
    cuda_backend *cuda = of(backend);
    if (cuda->failure.code != STATUS_OK) return NULL;
    cudaGraphExec_t executable = capture(cuda, work, context);
    if (cuda->failure.code == STATUS_OK) return executable;
    cuda->failure = (error){};
    cudaGetLastError(); /* takes it back */
    if (executable) cudaGraphExecDestroy(executable);
    return NULL;
}

void cuda_replay(nn_backend *backend, void *recording)
{
    cuda_backend *cuda = of(backend);
    cuda_note(cuda, "a program", "cudaGraphLaunch", cudaGraphLaunch((cudaGraphExec_t)recording, cuda->stream));
}

void cuda_forget(nn_backend *backend, void *recording)
{
    cuda_note(of(backend), "a program", "cudaGraphExecDestroy", cudaGraphExecDestroy((cudaGraphExec_t)recording));
}

/* Where a step's time goes on a GPU: a library that CUDA loads into bench_gpu and that adds up, by CUPTI, the kernels which
 * recorded programs launch, by name and grid.
 *
 *   gcc -shared -fPIC -o kernels.so bench/gpu/kernels.c -lcupti
 *   CUDA_INJECTION64_PATH=kernels.so KERNELS_OUT=FILE KERNELS_REPLAYS=40 bench_gpu step ... 15
 *
 * KERNELS_REPLAYS: what sums are divided by, the benchmark's repetitions and the 5 before them, twice: one more run begins in
 * the second round, and the very first one is no replay. A line of FILE: microseconds in a replay, launches in it, the mean,
 * the least, the kernel (mangled: c++filt -p), grid x threads, registers, bytes of shared memory.
 */
#include <cupti.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 128, KINDS = 4096, BUFFER_BYTES = 8 << 20 };

typedef struct kind {
    char name[NAME];
    int grid[3], threads, registers, shared;
    double microseconds, least;
    long count;
} kind;

/* CUPTI's callbacks take no context. */
static kind kinds[KINDS];
static int kind_count;

typedef struct span {
    uint64_t begin, end; /* nanoseconds */
} span;

static span *spans; /* of all kernels */
static size_t span_count, span_room;

static void request(uint8_t **buffer, size_t *bytes, size_t *records)
{
    *bytes = BUFFER_BYTES;
    *buffer = aligned_alloc(8, BUFFER_BYTES);
    *records = 0;
}

static kind *kind_of(const CUpti_ActivityKernel10 *k)
{
    const int grid[3] = {k->gridX, k->gridY, k->gridZ};
    for (int i = 0; i < kind_count; i++)
        if (strncmp(kinds[i].name, k->name, NAME - 1) == 0 && memcmp(kinds[i].grid, grid, sizeof grid) == 0)
            return &kinds[i];
    if (kind_count == KINDS) return NULL;
    kind *made = &kinds[kind_count++];
    strncpy(made->name, k->name, NAME - 1);
    memcpy(made->grid, grid, sizeof grid);
    made->threads = k->blockX * k->blockY * k->blockZ;
    made->registers = k->registersPerThread;
    made->shared = k->dynamicSharedMemory + k->staticSharedMemory;
    made->least = 1e30;
    return made;
}

static void keep_span(span s)
{
    if (span_count == span_room) {
        size_t room = 2 * span_room + 4096;
        span *more = realloc(spans, room * sizeof *more);
        if (!more) return;
        spans = more;
        span_room = room;
    }
    spans[span_count++] = s;
}

static void complete(CUcontext context, uint32_t stream, uint8_t *buffer, size_t bytes, size_t valid)
{
    CUpti_Activity *record = NULL;
    (void)context, (void)stream, (void)bytes;
    while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
        const CUpti_ActivityKernel10 *k = (const CUpti_ActivityKernel10 *)(const void *)record;
        kind *found = record->kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL && k->graphId ? kind_of(k) : NULL;
        if (!found) continue;
        double microseconds = (double)(k->end - k->start) / 1e3;
        keep_span((span){k->start, k->end});
        found->microseconds += microseconds;
        found->count++;
        if (microseconds < found->least) found->least = microseconds;
    }
    free(buffer);
}

static int descending(const void *a, const void *b)
{
    double x = ((const kind *)a)->microseconds, y = ((const kind *)b)->microseconds;
    return (x < y) - (x > y);
}

static int earlier(const void *a, const void *b)
{
    const span *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

/* Microseconds in which at least one kernel ran. */
static double busy_time(void)
{
    uint64_t busy = 0, end = 0;
    qsort(spans, span_count, sizeof *spans, earlier);
    for (size_t i = 0; i < span_count; i++) {
        uint64_t begin = spans[i].begin > end ? spans[i].begin : end;
        if (spans[i].end > begin) busy += spans[i].end - begin, end = spans[i].end;
    }
    return (double)busy / 1e3;
}

static void report(void)
{
    const char *path = getenv("KERNELS_OUT"), *replays = getenv("KERNELS_REPLAYS");
    double n = replays ? atof(replays) : 1, sum = 0;
    cuptiActivityFlushAll(1);
    FILE *out = path ? fopen(path, "w") : NULL;
    if (!out) return;
    qsort(kinds, (size_t)kind_count, sizeof *kinds, descending);
    for (int i = 0; i < kind_count; i++) sum += kinds[i].microseconds;
    fprintf(out, "%.1f us of kernels in a replay, %.1f us in which one or more run\n", sum / n, busy_time() / n);
    for (int i = 0; i < kind_count; i++) {
        const kind *k = &kinds[i];
        fprintf(out, "%9.1f us %7.2f x %8.2f least %7.2f  %s (%d,%d,%d)x%d r%d s%d\n", k->microseconds / n,
                (double)k->count / n, k->microseconds / (double)k->count, k->least, k->name, k->grid[0], k->grid[1],
                k->grid[2], k->threads, k->registers, k->shared);
    }
    fclose(out);
}

/* What CUDA calls in a library that CUDA_INJECTION64_PATH names. */
int InitializeInjection(void);
int InitializeInjection(void)
{
    cuptiActivityRegisterCallbacks(request, complete);
    cuptiActivityEnable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL);
    atexit(report);
    return 1;
}

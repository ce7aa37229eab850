/* Where a step's time goes on a GPU: a library that CUDA loads into bench_gpu and that adds up, by CUPTI, the kernels which
 * recorded programs launch, by name and grid.
 *
 *   gcc -shared -fPIC -o kernels.so bench/gpu/kernels.c -lcupti
 *   CUDA_INJECTION64_PATH=kernels.so KERNELS_OUT=FILE KERNELS_REPLAYS=19 bench_gpu step ... 15
 *
 * KERNELS_REPLAYS: what sums are divided by, the benchmark's repetitions and 4 of the 5 before, the first of which is not
 * a replay. A line of FILE: microseconds in a replay, launches in it, the mean, the least, the kernel (mangled: c++filt -p),
 * grid x threads, registers, bytes of shared memory.
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

static void complete(CUcontext context, uint32_t stream, uint8_t *buffer, size_t bytes, size_t valid)
{
    CUpti_Activity *record = NULL;
    (void)context, (void)stream, (void)bytes;
    while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
        const CUpti_ActivityKernel10 *k = (const CUpti_ActivityKernel10 *)(const void *)record;
        kind *found = record->kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL && k->graphId ? kind_of(k) : NULL;
        if (!found) continue;
        double microseconds = (double)(k->end - k->start) / 1e3;
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

static void report(void)
{
    const char *path = getenv("KERNELS_OUT"), *replays = getenv("KERNELS_REPLAYS");
    double n = replays ? atof(replays) : 1, busy = 0;
    cuptiActivityFlushAll(1);
    FILE *out = path ? fopen(path, "w") : NULL;
    if (!out) return;
    qsort(kinds, (size_t)kind_count, sizeof *kinds, descending);
    for (int i = 0; i < kind_count; i++) busy += kinds[i].microseconds;
    fprintf(out, "%.1f us of kernels in a replay\n", busy / n);
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

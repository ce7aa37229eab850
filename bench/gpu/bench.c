/* Seconds and memory of the program's two jobs on a GPU, one line of JSON each, for bench/gpu/compare.py:
 *
 *   bench_gpu step SIDE GENERATOR NGF NDF UPSAMPLE BATCH PRECISION STEPS     one training step, identity loss on
 *   bench_gpu translate SIDE GENERATOR NGF UPSAMPLE BATCH PRECISION TIMES    BATCH pictures through a generator
 *
 * PRECISION: fp32, tf32 or bf16. The median of the repetitions that are timed; some come first that are not, in which
 * algorithms are chosen and the programs recorded. Each ends when its results (losses, pictures) have come back to the
 * host, and begins with the pictures there. Memory is what is in use on the whole device at the end, when nothing has
 * been freed. A profiler that waits for cudaProfilerStart (ncu --profile-from-start off) sees the timed ones alone.
 */
#include <cuda_profiler_api.h>
#include <cuda_runtime_api.h>
#include <stdio.h>

#include "../common.h"
#include "base/log.h"
#include "gan/cyclegan.h"
#include "models/discriminator.h"
#include "models/generator.h"
#include "models/initialise.h"
#include "nn/cuda/module.h"

enum { UNTIMED = 5 };

typedef struct bench {
    const char *generator, *upsample;
    size_t side, ngf, ndf, batch;
    double *seconds;
    int count;
    nn_program_options planning;
    double operations; /* of the convolutions; 0 where the program does not tell */
    size_t arena;      /* bytes */
} bench;

static status bench_step(bench *b, nn_backend *backend, error *err)
{
    gan_options o = {.generator = index_of(model_generator_names, b->generator), .ngf = (int64_t)b->ngf,
                     .ndf = (int64_t)b->ndf, .upsample = index_of(model_upsample_names, b->upsample),
                     .discriminator = MODEL_PATCHGAN, .lambda_cycle_a = 10, .lambda_cycle_b = 10,
                     .lambda_identity = 0.5, .beta1 = 0.5, .beta2 = 0.999, .adam_eps = 1e-8, .pool_size = 50};
    size_t floats = b->batch * b->side * b->side * 3;
    gan *model;
    TRY(gan_create(&o, (gan_size){b->batch, b->side, 0}, backend, 1, &b->planning, &model, err));
    b->arena = gan_arena_bytes(model);
    float *images = noise(2 * floats), losses[GAN_LOSSES];
    status result = images ? STATUS_OK : error_no_memory(err, "pictures", 2 * floats * sizeof(float));
    for (int i = -UNTIMED; i < b->count && result == STATUS_OK; i++) {
        training_step step = {(uint64_t)(i + UNTIMED), 2e-4, {images, images + floats}};
        if (i == 0) cudaProfilerStart();
        double begin = log_clock();
        result = gan_method(model)->step(model, &step, losses, err);
        if (i >= 0) b->seconds[i] = log_clock() - begin;
    }
    cudaProfilerStop();
    free(images);
    gan_destroy(model);
    return result;
}

static status run_generator(bench *b, nn_program *p, nn_value x, nn_value y, error *err)
{
    size_t floats = b->batch * b->side * b->side * 3;
    float *in = noise(2 * floats);
    if (!in) return error_no_memory(err, "pictures", 2 * floats * sizeof(float));
    for (int i = -UNTIMED; i < b->count; i++) {
        if (i == 0) cudaProfilerStart();
        double begin = log_clock();
        nn_program_write(p, x, in);
        nn_program_run(p);
        nn_program_read(p, y, in + floats);
        if (i >= 0) b->seconds[i] = log_clock() - begin;
    }
    cudaProfilerStop();
    free(in);
    return STATUS_OK;
}

static status bench_translate(bench *b, nn_backend *backend, error *err)
{
    model_generator_options o = {.kind = (model_generator_kind)index_of(model_generator_names, b->generator),
                                 .ngf = b->ngf, .in_channels = 3, .out_channels = 3,
                                 .upsample = (model_upsample)index_of(model_upsample_names, b->upsample)};
    nn_graph *graph = nn_graph_create();
    nn_parameters *set = nn_parameters_create();
    nn_program *program = NULL;
    nn_arena arena = {0};
    nn_value x = nn_input(graph, "x", nn_shape_of(b->batch, b->side, b->side, 3));
    nn_value y = model_generator_build(graph, set, "", &o, x, NULL);
    nn_output(graph, y);
    status result = nn_graph_status(graph, err);
    if (result == STATUS_OK) result = nn_parameters_allocate(set, backend, 0, err);
    if (result == STATUS_OK) result = model_initialise(set, 1, 0, err);
    if (result == STATUS_OK) result = nn_program_create(graph, backend, &b->planning, &program, err);
    if (result == STATUS_OK) result = nn_arena_bind(&arena, backend, &program, 1, err);
    if (result == STATUS_OK) {
        b->operations = nn_program_operations(program);
        b->arena = arena.bytes;
        result = run_generator(b, program, x, y, err);
    }
    nn_program_destroy(program);
    nn_arena_free(&arena);
    nn_graph_destroy(graph);
    nn_parameters_destroy(set);
    return result;
}

/* What the device has in use; asked for while the backend, its arena and its weights are there. */
static size_t used_bytes(void)
{
    size_t available = 0, total = 0;
    return cudaMemGetInfo(&available, &total) == cudaSuccess ? total - available : 0;
}

/* The backend's functions, with a look at the memory before each release: its most is the peak. */
static size_t peak;
static const nn_backend_interface *inner;
static void release_watched(nn_backend *backend, void *memory)
{
    size_t used = used_bytes();
    if (used > peak) peak = used;
    inner->release(backend, memory);
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_gpu step SIDE GENERATOR NGF NDF UPSAMPLE BATCH PRECISION STEPS\n"
                    "       bench_gpu translate SIDE GENERATOR NGF UPSAMPLE BATCH PRECISION TIMES\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const char *const precisions[] = {"fp32", "tf32", "bf16", NULL};
    bool step = argc == 10 && strcmp(argv[1], "step") == 0, translate = argc == 9 && strcmp(argv[1], "translate") == 0;
    if (!step && !translate) return usage();
    bench b = {.side = (size_t)atoi(argv[2]), .generator = argv[3], .ngf = (size_t)atoi(argv[4]),
               .ndf = step ? (size_t)atoi(argv[5]) : 0, .upsample = argv[5 + step], .batch = (size_t)atoi(argv[6 + step]),
               .count = atoi(argv[8 + step])};
    int precision = index_of(precisions, argv[7 + step]);
    if (b.count < 1 || b.batch < 1 || precision < 0 || index_of(model_generator_names, b.generator) < 0 ||
        index_of(model_upsample_names, b.upsample) < 0)
        return usage();
    error err = {0};
    nn_backend *backend = NULL;
    b.seconds = calloc((size_t)b.count, sizeof *b.seconds);
    b.planning.precision = precision == 2 ? NN_BF16 : NN_FP32;
    const nn_cuda_options options = {.tf32 = precision == 1};
    status result = b.seconds ? nn_cuda_module_create(&options, &backend, &err)
                              : error_no_memory(&err, "a benchmark", (size_t)b.count * sizeof *b.seconds);
    nn_backend_interface watched;
    if (result == STATUS_OK) {
        inner = backend->interface;
        watched = *inner;
        watched.release = release_watched;
        backend->interface = &watched;
        result = step ? bench_step(&b, backend, &err) : bench_translate(&b, backend, &err);
    }
    if (result == STATUS_OK) result = nn_backend_check(backend, &err);
    if (result == STATUS_OK) {
        qsort(b.seconds, (size_t)b.count, sizeof *b.seconds, ascending);
        printf("{\"seconds\": %.6f, \"least\": %.6f, \"bytes\": %zu, \"arena\": %zu, \"operations\": %.6g, "
               "\"device\": \"%s\"}\n", b.seconds[b.count / 2], b.seconds[0], peak, b.arena, b.operations,
               backend->device_name);
    } else {
        fprintf(stderr, "bench_gpu: %s\n", err.message);
    }
    nn_backend_destroy(backend);
    free(b.seconds);
    return result != STATUS_OK;
}

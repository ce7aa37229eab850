/* Seconds and memory of the program's two jobs on a GPU, one line of JSON each, for bench/gpu/compare.py:
 *
 *   bench_gpu step SIDE GENERATOR NGF NDF UPSAMPLE BATCH PRECISION STEPS     one training step, identity loss on
 *   bench_gpu translate SIDE GENERATOR NGF UPSAMPLE BATCH PRECISION TIMES    BATCH pictures through a generator
 *
 * PRECISION: fp32, tf32 or bf16. Pictures begin as bytes on the host and losses or pictures end there. "seconds": from the
 * end of one repetition to the end of the next where each begins before the one before it ends, as training and translating
 * a folder do it; "alone": of one that begins when the one before has ended. The medians of those that are timed; some come
 * first that are not, in which algorithms are chosen and the programs recorded. "free": bytes that are free on the whole
 * device at the end, when nothing has been released. A profiler that waits for cudaProfilerStart (ncu --profile-from-start
 * off) sees the timed ones alone.
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
    double *seconds, *alone; /* count each */
    int count;
    nn_program_options planning;
    double operations; /* of the convolutions; 0 where the program does not tell */
    size_t arena;      /* bytes */
    /* The job under way. */
    const training_method *method;
    uint64_t step;
    nn_program *program;
    nn_value x, y;
    uint8_t *pixels; /* of a and b; of pictures and their translations */
    bool *finite;    /* of each picture of a batch */
} bench;

static size_t bytes_of(const bench *b) { return b->batch * b->side * b->side * 3; }

static status begin_step(bench *b, error *err)
{
    training_step step = {b->step++, 2e-4, {b->pixels, b->pixels + bytes_of(b)}};
    return b->method->begin(b->method->context, &step, err);
}

static status end_step(bench *b, error *err)
{
    float losses[GAN_LOSSES];
    return b->method->end(b->method->context, losses, err);
}

static status begin_translation(bench *b, error *err)
{
    nn_program_write_pixels(b->program, b->x, b->pixels);
    nn_program_run(b->program);
    if (nn_program_begin_read_pixels(b->program, b->y)) return STATUS_OK;
    return error_set(err, STATUS_NO_MEMORY, "no pinned memory for the results");
}

static status end_translation(bench *b, error *err)
{
    nn_backend *backend = nn_program_backend(b->program);
    backend->interface->end_read_pixels(backend, b->pixels + bytes_of(b), b->finite, b->batch, b->side * b->side * 3);
    return nn_backend_check(backend, err);
}

/* One after the other. */
static status time_alone(bench *b, status (*begin)(bench *, error *), status (*end)(bench *, error *), error *err)
{
    for (int i = -UNTIMED; i < b->count; i++) {
        double began = log_clock();
        TRY(begin(b, err));
        TRY(end(b, err));
        if (i >= 0) b->alone[i] = log_clock() - began;
    }
    return STATUS_OK;
}

/* Each begins before the one before it ends. */
static status time_in_a_row(bench *b, status (*begin)(bench *, error *), status (*end)(bench *, error *), error *err)
{
    double before = 0;
    TRY(begin(b, err));
    for (int i = -UNTIMED; i < b->count; i++) {
        if (i == 0) cudaProfilerStart();
        TRY(begin(b, err));
        TRY(end(b, err));
        double now = log_clock();
        if (i >= 0) b->seconds[i] = now - before;
        before = now;
    }
    TRY(end(b, err));
    cudaProfilerStop();
    return STATUS_OK;
}

static status time_both(bench *b, status (*begin)(bench *, error *), status (*end)(bench *, error *), error *err)
{
    b->pixels = pixel_noise(2 * bytes_of(b));
    b->finite = calloc(b->batch, sizeof *b->finite);
    status result = b->pixels && b->finite ? STATUS_OK : error_no_memory(err, "pictures", 2 * bytes_of(b));
    if (result == STATUS_OK) result = time_alone(b, begin, end, err);
    if (result == STATUS_OK) result = time_in_a_row(b, begin, end, err);
    free(b->pixels);
    free(b->finite);
    return result;
}

static status bench_step(bench *b, nn_backend *backend, error *err)
{
    gan_options o = {.generator = index_of(model_generator_names, b->generator), .ngf = (int64_t)b->ngf,
                     .ndf = (int64_t)b->ndf, .upsample = index_of(model_upsample_names, b->upsample),
                     .discriminator = MODEL_PATCHGAN, .lambda_cycle_a = 10, .lambda_cycle_b = 10,
                     .lambda_identity = 0.5, .beta1 = 0.5, .beta2 = 0.999, .adam_eps = 1e-8, .pool_size = 50};
    gan *model;
    TRY(gan_create(&o, (gan_size){b->batch, b->side, 0}, backend, 1, &b->planning, &model, err));
    b->arena = gan_arena_bytes(model);
    b->method = gan_method(model);
    status result = STATUS_OK;
    if (b->method->open_steps < 2) result = error_set(err, STATUS_FAILED, "steps cannot overlap on this device");
    if (result == STATUS_OK) result = time_both(b, begin_step, end_step, err);
    gan_destroy(model);
    return result;
}

static status bench_translate(bench *b, nn_backend *backend, error *err)
{
    model_generator_options o = {.kind = (model_generator_kind)index_of(model_generator_names, b->generator),
                                 .ngf = b->ngf, .in_channels = 3, .out_channels = 3,
                                 .upsample = (model_upsample)index_of(model_upsample_names, b->upsample)};
    nn_graph *graph = nn_graph_create();
    nn_parameters *set = nn_parameters_create();
    nn_arena arena = {0};
    b->x = nn_input(graph, "x", nn_shape_of(b->batch, b->side, b->side, 3));
    b->y = model_generator_build(graph, set, "", &o, b->x, NULL);
    nn_output(graph, b->y);
    status result = nn_graph_status(graph, err);
    if (result == STATUS_OK) result = nn_parameters_allocate(set, backend, 0, err);
    if (result == STATUS_OK) result = model_initialise(set, 1, 0, err);
    b->planning.prepack = true; /* as translate/translator.c has it */
    if (result == STATUS_OK) result = nn_program_create(graph, backend, &b->planning, &b->program, err);
    if (result == STATUS_OK) result = nn_arena_bind(&arena, backend, &b->program, 1, err);
    if (result == STATUS_OK) {
        b->operations = nn_program_operations(b->program);
        b->arena = arena.bytes;
        result = time_both(b, begin_translation, end_translation, err);
    }
    nn_program_destroy(b->program);
    nn_arena_free(&arena);
    nn_graph_destroy(graph);
    nn_parameters_destroy(set);
    return result;
}

/* The backend's functions, with a look at the device's memory before each release: what is free then, at least. */
static size_t least_free = SIZE_MAX;
static const nn_backend_interface *inner;
static void release_watched(nn_backend *backend, void *memory)
{
    size_t available = 0, total = 0;
    if (cudaMemGetInfo(&available, &total) == cudaSuccess && available < least_free) least_free = available;
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
    b.seconds = calloc(2 * (size_t)b.count, sizeof *b.seconds);
    b.alone = b.seconds ? b.seconds + b.count : NULL;
    b.planning.precision = precision == 2 ? NN_BF16 : NN_FP32;
    const nn_cuda_options options = {.tf32 = precision == 1};
    status result = b.seconds ? nn_cuda_module_create(&options, &backend, &err)
                              : error_no_memory(&err, "a benchmark", 2 * (size_t)b.count * sizeof *b.seconds);
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
        qsort(b.alone, (size_t)b.count, sizeof *b.alone, ascending);
        printf("{\"seconds\": %.6f, \"least\": %.6f, \"alone\": %.6f, \"free\": %zu, \"arena\": %zu, \"operations\": %.6g, "
               "\"device\": \"%s\"}\n", b.seconds[b.count / 2], b.seconds[0], b.alone[b.count / 2], least_free, b.arena,
               b.operations, backend->device_name);
    } else {
        fprintf(stderr, "bench_gpu: %s\n", err.message);
    }
    nn_backend_destroy(backend);
    free(b.seconds);
    return result != STATUS_OK;
}

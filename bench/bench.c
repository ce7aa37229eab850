/* Seconds and memory of the program's two jobs, one line of JSON each, for bench/compare.py:
 *
 *   bench step SIDE GENERATOR NGF NDF UPSAMPLE STEPS THREADS     one training step, identity loss on, batch 1
 *   bench translate SIDE GENERATOR NGF UPSAMPLE TIMES THREADS    one picture through a generator
 *
 * `--precision bf16` may follow either. The median of the timed repetitions (two more come first, untimed); memory is the process's greatest resident set.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/rng.h"
#include "gan/cyclegan.h"
#include "models/discriminator.h"
#include "models/generator.h"
#include "models/initialise.h"

enum { UNTIMED = 2 };

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void report(double *seconds, int count)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    qsort(seconds, (size_t)count, sizeof *seconds, ascending);
    printf("{\"seconds\": %.5f, \"least\": %.5f, \"bytes\": %lld}\n", seconds[count / 2], seconds[0],
           (long long)usage.ru_maxrss * 1024);
}

static int index_of(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

static float *noise(size_t count)
{
    float *out = malloc(count * sizeof *out);
    for (size_t i = 0; out && i < count; i++) out[i] = 2 * rng_uniform(1, RNG_TEST, 0, (uint32_t)i) - 1;
    return out;
}

static status bench_step(char **argv, const nn_program_options *planning, nn_backend *backend, double *seconds,
                         int count, error *err)
{
    size_t side = (size_t)atoi(argv[2]);
    gan_options o = {.generator = index_of(model_generator_names, argv[3]), .ngf = atoi(argv[4]), .ndf = atoi(argv[5]),
                     .upsample = index_of(model_upsample_names, argv[6]), .discriminator = MODEL_PATCHGAN,
                     .lambda_cycle_a = 10, .lambda_cycle_b = 10, .lambda_identity = 0.5, .beta1 = 0.5, .beta2 = 0.999,
                     .adam_eps = 1e-8, .pool_size = 50};
    if (o.generator < 0 || o.upsample < 0) return error_set(err, STATUS_USAGE, "unknown generator or upsampling");
    gan *model;
    TRY(gan_create(&o, (gan_size){1, side, 0}, backend, 1, planning, &model, err));
    float *images = noise(2 * side * side * 3), losses[GAN_LOSSES];
    status result = STATUS_OK;
    for (int i = -UNTIMED; i < count && result == STATUS_OK; i++) {
        training_step step = {(uint64_t)(i + UNTIMED), 2e-4, {images, images + side * side * 3}};
        double begin = log_clock();
        result = gan_method(model)->step(model, &step, losses, err);
        if (i >= 0) seconds[i] = log_clock() - begin;
    }
    free(images);
    gan_destroy(model);
    return result;
}

static status run_generator(nn_program *p, nn_value x, nn_value y, size_t floats, double *seconds, int count)
{
    float *in = noise(2 * floats);
    if (!in) return STATUS_NO_MEMORY;
    for (int i = -UNTIMED; i < count; i++) {
        double begin = log_clock();
        nn_program_write(p, x, in);
        nn_program_run(p);
        nn_program_read(p, y, in + floats);
        if (i >= 0) seconds[i] = log_clock() - begin;
    }
    free(in);
    return STATUS_OK;
}

static status bench_translate(char **argv, const nn_program_options *planning, nn_backend *backend, double *seconds,
                              int count, error *err)
{
    size_t side = (size_t)atoi(argv[2]);
    model_generator_options o = {.kind = (model_generator_kind)index_of(model_generator_names, argv[3]),
                                 .ngf = (size_t)atoi(argv[4]), .in_channels = 3, .out_channels = 3,
                                 .upsample = (model_upsample)index_of(model_upsample_names, argv[5])};
    nn_graph *graph = nn_graph_create();
    nn_parameters *set = nn_parameters_create();
    nn_program *program = NULL;
    nn_arena arena = {0};
    nn_value x = nn_input(graph, "x", nn_shape_of(1, side, side, 3));
    nn_value y = model_generator_build(graph, set, "", &o, x, NULL);
    nn_output(graph, y);
    status result = nn_parameters_allocate(set, backend, 0, err);
    if (result == STATUS_OK) result = model_initialise(set, 1, 0, err);
    if (result == STATUS_OK) result = nn_program_create(graph, backend, planning, &program, err);
    if (result == STATUS_OK) result = nn_arena_bind(&arena, backend, &program, 1, err);
    if (result == STATUS_OK) result = run_generator(program, x, y, side * side * 3, seconds, count);
    nn_program_destroy(program);
    nn_arena_free(&arena);
    nn_graph_destroy(graph);
    nn_parameters_destroy(set);
    return result;
}

int main(int argc, char **argv)
{
    nn_program_options planning = {0};
    if (argc > 2 && strcmp(argv[argc - 2], "--precision") == 0) {
        planning.precision = strcmp(argv[argc - 1], nn_precision_names[NN_BF16]) == 0 ? NN_BF16 : NN_FP32;
        argc -= 2;
    }
    bool step = argc == 9 && strcmp(argv[1], "step") == 0, translate = argc == 8 && strcmp(argv[1], "translate") == 0;
    int count = step ? atoi(argv[7]) : translate ? atoi(argv[6]) : 0;
    if (count < 1) {
        fprintf(stderr, "usage: bench step SIDE GENERATOR NGF NDF UPSAMPLE STEPS THREADS [--precision bf16]\n"
                        "       bench translate SIDE GENERATOR NGF UPSAMPLE TIMES THREADS [--precision bf16]\n");
        return 2;
    }
    error err = {0};
    nn_backend *backend = NULL;
    double *seconds = calloc((size_t)count, sizeof *seconds);
    status result = seconds ? nn_cpu_create(atoi(argv[argc - 1]), &backend, &err) : STATUS_NO_MEMORY;
    if (result == STATUS_OK)
        result = step ? bench_step(argv, &planning, backend, seconds, count, &err)
                      : bench_translate(argv, &planning, backend, seconds, count, &err);
    if (result == STATUS_OK)
        report(seconds, count);
    else
        fprintf(stderr, "bench: %s\n", err.message);
    free(seconds);
    nn_backend_destroy(backend);
    return result != STATUS_OK;
}

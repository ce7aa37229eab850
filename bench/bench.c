/* Seconds and memory of the program's two jobs, one line of JSON each, for bench/compare.py and bench/scaling.py:
 *
 *   bench step SIDE GENERATOR NGF NDF UPSAMPLE STEPS THREADS     one training step, identity loss on
 *   bench translate SIDE GENERATOR NGF UPSAMPLE TIMES THREADS    one picture through a generator
 *   bench peak THREADS                                           multiply-adds a second that these cores can do
 *
 * `--precision bf16` and `--batch N` may follow the first two. The median of the timed repetitions (one or two more come
 * first, untimed); memory is the process's greatest resident set; operations are those of the convolutions as defined.
 */
#include <stdio.h>
#include <sys/resource.h>

#include "base/log.h"
#include "common.h"
#include "gan/cyclegan.h"
#include "models/discriminator.h"
#include "models/generator.h"
#include "models/initialise.h"

typedef struct bench {
    double *seconds;
    int count, untimed; /* repetitions; those before that are not timed */
    size_t batch;
    double operations;
    nn_program_options planning;
} bench;

static void report(const bench *b)
{
    double *seconds = b->seconds;
    int count = b->count;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    qsort(seconds, (size_t)count, sizeof *seconds, ascending);
    printf("{\"seconds\": %.5f, \"least\": %.5f, \"bytes\": %lld, \"operations\": %.4g}\n", seconds[count / 2],
           seconds[0], (long long)usage.ru_maxrss * 1024, b->operations);
}

static status bench_step(char **argv, bench *b, nn_backend *backend, error *err)
{
    size_t side = (size_t)atoi(argv[2]), bytes = b->batch * side * side * 3;
    gan_options o = {.generator = index_of(model_generator_names, argv[3]), .ngf = atoi(argv[4]), .ndf = atoi(argv[5]),
                     .upsample = index_of(model_upsample_names, argv[6]), .discriminator = MODEL_PATCHGAN,
                     .lambda_cycle_a = 10, .lambda_cycle_b = 10, .lambda_identity = 0.5, .beta1 = 0.5, .beta2 = 0.999,
                     .adam_eps = 1e-8, .pool_size = 50};
    if (o.generator < 0 || o.upsample < 0) return error_set(err, STATUS_USAGE, "unknown generator or upsampling");
    gan *model;
    TRY(gan_create(&o, (gan_size){b->batch, side, 0}, backend, 1, &b->planning, &model, err));
    float losses[GAN_LOSSES];
    uint8_t *pixels = pixel_noise(2 * bytes);
    status result = pixels ? STATUS_OK : error_no_memory(err, "pictures", 2 * bytes);
    b->operations = gan_operations(model);
    for (int i = -b->untimed; i < b->count && result == STATUS_OK; i++) {
        training_step step = {(uint64_t)(i + b->untimed), 2e-4, {pixels, pixels + bytes}};
        double begin = log_clock();
        result = training_method_step(gan_method(model), &step, losses, err);
        if (i >= 0) b->seconds[i] = log_clock() - begin;
    }
    free(pixels);
    gan_destroy(model);
    return result;
}

static status run_generator(bench *b, nn_program *p, nn_value x, nn_value y, size_t bytes, error *err)
{
    bool *finite = malloc(b->batch * sizeof *finite);
    uint8_t *in = pixel_noise(2 * bytes);
    for (int i = -b->untimed; in && finite && i < b->count; i++) {
        double begin = log_clock();
        nn_program_write_pixels(p, x, in);
        nn_program_run(p);
        nn_program_read_pixels(p, y, in + bytes, finite);
        if (i >= 0) b->seconds[i] = log_clock() - begin;
    }
    status result = in && finite ? STATUS_OK : error_no_memory(err, "pictures", 2 * bytes);
    free(in);
    free(finite);
    return result;
}

static status bench_translate(char **argv, bench *b, nn_backend *backend, error *err)
{
    size_t side = (size_t)atoi(argv[2]);
    model_generator_options o = {.kind = (model_generator_kind)index_of(model_generator_names, argv[3]),
                                 .ngf = (size_t)atoi(argv[4]), .in_channels = 3, .out_channels = 3,
                                 .upsample = (model_upsample)index_of(model_upsample_names, argv[5])};
    nn_graph *graph = nn_graph_create();
    nn_parameters *set = nn_parameters_create();
    nn_program *program = NULL;
    nn_arena arena = {0};
    nn_value x = nn_input(graph, "x", nn_shape_of(b->batch, side, side, 3));
    nn_value y = model_generator_build(graph, set, "", &o, x, NULL);
    nn_output(graph, y);
    status result = nn_parameters_allocate(set, backend, 0, err);
    if (result == STATUS_OK) result = model_initialise(set, 1, 0, err);
    if (result == STATUS_OK) result = nn_program_create(graph, backend, &b->planning, &program, err);
    if (result == STATUS_OK) result = nn_arena_bind(&arena, backend, &program, 1, err);
    if (result == STATUS_OK) {
        b->operations = nn_program_operations(program);
        result = run_generator(b, program, x, y, b->batch * side * side * 3, err);
    }
    nn_program_destroy(program);
    nn_arena_free(&arena);
    nn_graph_destroy(graph);
    nn_parameters_destroy(set);
    return result;
}

/* Multiply-adds on twelve vectors of 16 floats, which fill the registers of every x86-64 level without touching memory;
 * the compiler makes a version for each level, and the machine's is called. Returns something of all, so that none is
 * dropped. */
typedef float lanes __attribute__((vector_size(64)));
enum { CHAINS = 12 };
#ifdef __x86_64__
__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("fp-contract=fast")))
#endif
static float
multiply_adds(long rounds)
{
    lanes sum[CHAINS], factor, addend;
    for (int i = 0; i < 16; i++) factor[i] = 0.999f + (float)i * 1e-6f, addend[i] = 1e-3f;
    for (int c = 0; c < CHAINS; c++) sum[c] = addend * (float)c;
    for (long r = 0; r < rounds; r++)
#pragma GCC unroll 12
        for (int c = 0; c < CHAINS; c++) sum[c] = sum[c] * factor + addend;
    float all = 0;
    for (int c = 0; c < CHAINS; c++)
        for (int i = 0; i < 16; i++) all += sum[c][i];
    return all;
}

static int print_peak(int threads)
{
    const long rounds = 60000000;
    double best = 0;
    float all = 0;
    for (int repetition = 0; repetition < 3; repetition++) {
        double begin = log_clock();
#pragma omp parallel for num_threads(threads) reduction(+ : all)
        for (int t = 0; t < threads; t++) all += multiply_adds(rounds);
        double rate = 2.0 * (double)rounds * CHAINS * 16 * threads / (log_clock() - begin);
        if (rate > best) best = rate;
    }
    printf("{\"operations_per_second\": %.4g, \"sum\": %g}\n", best, (double)all);
    return 0;
}

/* Takes `--NAME VALUE` from the end of the words. */
static const char *take_option(int *argc, char **argv, const char *name)
{
    if (*argc < 4 || strcmp(argv[*argc - 2], name) != 0) return NULL;
    *argc -= 2;
    return argv[*argc + 1];
}

int main(int argc, char **argv)
{
    bench b = {.batch = 1};
    const char *precision = take_option(&argc, argv, "--precision"), *batch = take_option(&argc, argv, "--batch");
    if (precision && strcmp(precision, nn_precision_names[NN_BF16]) == 0) b.planning.precision = NN_BF16;
    if (batch) b.batch = (size_t)atoi(batch);
    if (argc == 3 && strcmp(argv[1], "peak") == 0) return print_peak(atoi(argv[2]));
    bool step = argc == 9 && strcmp(argv[1], "step") == 0, translate = argc == 8 && strcmp(argv[1], "translate") == 0;
    b.count = step ? atoi(argv[7]) : translate ? atoi(argv[6]) : 0;
    b.untimed = b.count > 2 ? 2 : 1;
    if (b.count < 1 || b.batch < 1) {
        fprintf(stderr, "usage: bench step SIDE GENERATOR NGF NDF UPSAMPLE STEPS THREADS [--batch N] [--precision bf16]\n"
                        "       bench translate SIDE GENERATOR NGF UPSAMPLE TIMES THREADS [--batch N] [--precision bf16]\n"
                        "       bench peak THREADS\n");
        return 2;
    }
    error err = {0};
    nn_backend *backend = NULL;
    b.seconds = calloc((size_t)b.count, sizeof *b.seconds);
    status result = b.seconds ? nn_cpu_create(atoi(argv[argc - 1]), &backend, &err) : STATUS_NO_MEMORY;
    if (result == STATUS_OK)
        result = step ? bench_step(argv, &b, backend, &err) : bench_translate(argv, &b, backend, &err);
    if (result == STATUS_OK)
        report(&b);
    else
        fprintf(stderr, "bench: %s\n", err.message);
    free(b.seconds);
    nn_backend_destroy(backend);
    return result != STATUS_OK;
}

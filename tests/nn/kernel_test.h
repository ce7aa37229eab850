/* Runs one CPU kernel by hand, without graph or planner, on every instruction set that this machine has.
 *
 *     kernel_test k;
 *     nn_shape s = nn_shape_of(1, 5, 7, 3);
 *     kernel_test_open(&k, NN_ADD, (nn_attributes){0}, 2, (nn_shape[]){s, s}, 1, &s);
 *     kernel_test_fill(&k, 0, -1, 1);
 *     kernel_test_fill(&k, 1, -1, 1);
 *     for (size_t i = 0; i < nn_count(s); i++) k.expected[0][i] = (double)k.input[0][i] + k.input[1][i];
 *     k.aliases = KERNEL_TEST_OVER(0) | KERNEL_TEST_OVER(1);     also with output 0 laid over input 0, over input 1
 *     kernel_test_run(t, &k);
 *     kernel_test_close(&k);
 *
 * A run checks the outputs against `expected`; that inputs are as they were (an effect's, against what
 * kernel_test_change returned); that nothing was written beside a tensor or the workspace; and that one, two and three
 * threads give the same bits. Outputs and workspace are NaN beforehand.
 */
#ifndef TESTS_NN_KERNEL_TEST_H
#define TESTS_NN_KERNEL_TEST_H

#include "base/rng.h"
#include "nn/cpu/cpu.h"
#include "test.h"

#define KERNEL_TEST_OVER(input) (1u << (input))

typedef struct kernel_test {
    nn_op op;
    nn_attributes attr;
    size_t input_count, output_count;
    nn_shape input_shape[NN_MAX_INPUTS], output_shape[NN_MAX_OUTPUTS];
    float *input[NN_MAX_INPUTS];      /* the test fills them; a run works on copies */
    double *expected[NN_MAX_OUTPUTS]; /* the test fills them; zero until then */
    double *changed[NN_MAX_INPUTS];   /* NULL: the input must stay as it is */
    double bound, floor;              /* |actual - expected| <= bound * (|expected| + floor); 1e-6 and 1 at first */
    unsigned aliases;                 /* inputs that output 0 may overwrite: KERNEL_TEST_OVER(i) | ... */
    uint64_t seed;                    /* of the next fill */
    float *output[NN_MAX_OUTPUTS];    /* what the last run left, for checks of the test's own */
} kernel_test;

enum { KERNEL_TEST_GUARD = 64 };

/* `bytes` between two guards, 64-byte aligned, all bits set: NaN as floats. Free *block. */
static inline void *kernel_test_guarded(size_t bytes, unsigned char **block)
{
    size_t whole = (KERNEL_TEST_GUARD + bytes + KERNEL_TEST_GUARD + 63) / 64 * 64;
    *block = aligned_alloc(64, whole);
    if (!*block) {
        fputs("kernel_test: out of memory\n", stderr);
        exit(1);
    }
    memset(*block, 0xFF, whole);
    memset(*block, 0xA5, KERNEL_TEST_GUARD);
    memset(*block + KERNEL_TEST_GUARD + bytes, 0xA5, KERNEL_TEST_GUARD);
    return *block + KERNEL_TEST_GUARD;
}

static inline bool kernel_test_guards_hold(const unsigned char *block, size_t bytes)
{
    for (size_t i = 0; i < KERNEL_TEST_GUARD; i++)
        if (block[i] != 0xA5 || block[KERNEL_TEST_GUARD + bytes + i] != 0xA5) return false;
    return true;
}

static inline void kernel_test_open(kernel_test *k, nn_op op, nn_attributes attr, size_t input_count,
                                    const nn_shape *input_shape, size_t output_count, const nn_shape *output_shape)
{
    *k = (kernel_test){.op = op, .attr = attr, .input_count = input_count, .output_count = output_count,
                       .bound = 1e-6, .floor = 1, .seed = 1};
    for (size_t i = 0; i < input_count; i++) {
        k->input_shape[i] = input_shape[i];
        k->input[i] = calloc(nn_count(input_shape[i]), sizeof(float));
    }
    for (size_t i = 0; i < output_count; i++) {
        k->output_shape[i] = output_shape[i];
        k->expected[i] = calloc(nn_count(output_shape[i]), sizeof(double));
        k->output[i] = calloc(nn_count(output_shape[i]), sizeof(float));
    }
}

static inline void kernel_test_close(kernel_test *k)
{
    for (size_t i = 0; i < k->input_count; i++) {
        free(k->input[i]);
        free(k->changed[i]);
    }
    for (size_t i = 0; i < k->output_count; i++) {
        free(k->expected[i]);
        free(k->output[i]);
    }
}

/* Uniform numbers of [low, high); every call draws others. */
static inline void kernel_test_fill(kernel_test *k, size_t input, float low, float high)
{
    for (size_t i = 0; i < nn_count(k->input_shape[input]); i++)
        k->input[input][i] = low + (high - low) * rng_uniform(k->seed, RNG_TEST, input, (uint32_t)i);
    k->seed++;
}

/* For an effect: what it must leave in this input, at first the input as it is. */
static inline double *kernel_test_change(kernel_test *k, size_t input)
{
    size_t count = nn_count(k->input_shape[input]);
    k->changed[input] = malloc(count * sizeof(double));
    for (size_t i = 0; i < count; i++) k->changed[input][i] = k->input[input][i];
    return k->changed[input];
}

/* The first element that is off, or `count`. Where NaN or an infinity is expected, nothing else will do. */
static inline size_t kernel_test_first_wrong(const kernel_test *k, const float *actual, const double *expected,
                                             size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (isnan(expected[i]) ? isnan(actual[i]) : isinf(expected[i]) && (double)actual[i] == expected[i]) continue;
        if (!(fabs(actual[i] - expected[i]) <= k->bound * (fabs(expected[i]) + k->floor))) return i;
    }
    return count;
}

static inline void kernel_test_compare(test *t, const kernel_test *k, const char *where, const char *what,
                                       size_t number, const float *actual, const double *expected, nn_shape s)
{
    size_t i = kernel_test_first_wrong(k, actual, expected, nn_count(s));
    if (i < nn_count(s))
        test_failed(t, __FILE__, __LINE__, "op %d, %s: %s %zu (%zux%zux%zux%zu)[%zu] is %.9g, expected %.9g", (int)k->op,
                    where, what, number, s.dim[0], s.dim[1], s.dim[2], s.dim[3], i, actual[i], expected[i]);
}

/* One run: `over` is the input that output 0 lies over, or NN_MAX_INPUTS for none. The results go to k->output. */
static inline void kernel_test_once(test *t, kernel_test *k, const nn_kernel *kernel, int threads, size_t over,
                                    const char *where)
{
    unsigned char *input_block[NN_MAX_INPUTS] = {0}, *output_block[NN_MAX_OUTPUTS] = {0}, *work_block = NULL;
    nn_call call = {.run = kernel->run, .op = k->op, .attr = k->attr, .input_count = k->input_count,
                    .output_count = k->output_count, .threads = threads};
    memcpy(call.input_shape, k->input_shape, sizeof call.input_shape);
    memcpy(call.output_shape, k->output_shape, sizeof call.output_shape);
    error err = {0};
    if (kernel->prepare) REQUIRE_OK(t, kernel->prepare(NULL, &call, &err), err);
    if (kernel->workspace) call.workspace_bytes = kernel->workspace(&call);
    for (size_t i = 0; i < k->input_count; i++) {
        size_t bytes = nn_count(k->input_shape[i]) * sizeof(float);
        float *copy = kernel_test_guarded(bytes, &input_block[i]);
        memcpy(copy, k->input[i], bytes);
        call.input[i] = copy;
    }
    for (size_t i = 0; i < k->output_count; i++) {
        float *output = kernel_test_guarded(nn_count(k->output_shape[i]) * sizeof(float), &output_block[i]);
        call.output[i] = i == 0 && over < NN_MAX_INPUTS ? nn_call_mutable(&call, over) : output;
    }
    call.workspace = kernel_test_guarded(call.workspace_bytes, &work_block);
    if (kernel->bind && kernel->bind(&call, &err) != STATUS_OK) test_failed(t, __FILE__, __LINE__, "%s", err.message);

    call.run(&call);

    for (size_t i = 0; i < k->output_count; i++) {
        kernel_test_compare(t, k, where, "output", i, call.output[i], k->expected[i], k->output_shape[i]);
        memcpy(k->output[i], call.output[i], nn_count(k->output_shape[i]) * sizeof(float));
        if (!kernel_test_guards_hold(output_block[i], nn_count(k->output_shape[i]) * sizeof(float)))
            test_failed(t, __FILE__, __LINE__, "op %d, %s: wrote beside output %zu", (int)k->op, where, i);
        free(output_block[i]);
    }
    for (size_t i = 0; i < k->input_count; i++) {
        size_t bytes = nn_count(k->input_shape[i]) * sizeof(float);
        if (k->changed[i])
            kernel_test_compare(t, k, where, "changed input", i, call.input[i], k->changed[i], k->input_shape[i]);
        else if (i != over && memcmp(call.input[i], k->input[i], bytes) != 0)
            test_failed(t, __FILE__, __LINE__, "op %d, %s: changed input %zu", (int)k->op, where, i);
        if (!kernel_test_guards_hold(input_block[i], bytes))
            test_failed(t, __FILE__, __LINE__, "op %d, %s: wrote beside input %zu", (int)k->op, where, i);
        free(input_block[i]);
    }
    if (!kernel_test_guards_hold(work_block, call.workspace_bytes))
        test_failed(t, __FILE__, __LINE__, "op %d, %s: wrote beside the workspace", (int)k->op, where);
    free(work_block);
    if (kernel->release) kernel->release(&call);
}

/* Every instruction set, 1 to 3 threads, each allowed alias; within an instruction set all have the same bits. */
static inline void kernel_test_run(test *t, kernel_test *k)
{
    const cpu_kernel_table *table;
    for (size_t level = 0; (table = cpu_kernels_supported(level)); level++) {
        const nn_kernel *kernel = table->kernel[k->op];
        if (!kernel) {
            test_failed(t, __FILE__, __LINE__, "op %d: no kernel at level %zu", (int)k->op, level);
            continue;
        }
        float *first[NN_MAX_OUTPUTS] = {0};
        for (int threads = 1; threads <= 3; threads++)
            for (size_t over = 0; over <= NN_MAX_INPUTS; over++) {
                if (over < NN_MAX_INPUTS && !(k->aliases & KERNEL_TEST_OVER(over))) continue;
                char where[96];
                snprintf(where, sizeof where, "level %zu, %d threads, output 0 %s %zu", level, threads,
                         over < NN_MAX_INPUTS ? "over input" : "apart;", over);
                kernel_test_once(t, k, kernel, threads, over, where);
                for (size_t i = 0; i < k->output_count; i++) {
                    size_t bytes = nn_count(k->output_shape[i]) * sizeof(float);
                    if (!first[i]) {
                        first[i] = malloc(bytes);
                        memcpy(first[i], k->output[i], bytes);
                    } else if (memcmp(first[i], k->output[i], bytes) != 0) {
                        test_failed(t, __FILE__, __LINE__, "op %d, %s: other bits in output %zu", (int)k->op, where, i);
                    }
                }
            }
        for (size_t i = 0; i < k->output_count; i++) free(first[i]);
    }
}

#endif

/* GFLOP/s of the convolutions of two training set-ups, layer by layer and direction by direction:
 *
 *   conv_bench [THREADS [onednn] [bf16]]     threads 0, the default: all cores; onednn: never Winograd
 *
 * The fastest of several runs counts, reorders of activations inside a call included, those of weights left out. The
 * count of operations is the direct sum's, two for each product with a pixel inside or outside the picture. A
 * transposed convolution is the data gradient of `down`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "nn/cpu/cpu.h"
#include "nn/program.h"

enum { LEAST_RUNS = 5, MOST_RUNS = 100 };
static const double LEAST_SECONDS = 0.3;

typedef struct layer {
    const char *name;
    size_t in, out, side, kernel, stride, padding; /* side: of the input, padding by reflection included */
} layer;

/* The layers of a generator and a PatchGAN of `base` channels on pictures of `side`. */
enum { LAYERS = 12 };
static void layers_of(size_t side, size_t base, layer out[LAYERS])
{
    const layer all[LAYERS] = {
        {"head", 3, base, side + 6, 7, 1, 0},
        {"down 1", base, 2 * base, side, 3, 2, 1},
        {"down 2", 2 * base, 4 * base, side / 2, 3, 2, 1},
        {"residual", 4 * base, 4 * base, side / 4 + 2, 3, 1, 0},
        {"resize 1", 4 * base, 2 * base, side / 2 + 2, 3, 1, 0},
        {"resize 2", 2 * base, base, side + 2, 3, 1, 0},
        {"tail", base, 3, side + 6, 7, 1, 0},
        {"patch 1", 3, base, side, 4, 2, 1},
        {"patch 2", base, 2 * base, side / 2, 4, 2, 1},
        {"patch 3", 2 * base, 4 * base, side / 4, 4, 2, 1},
        {"patch 4", 4 * base, 8 * base, side / 8, 4, 1, 1},
        {"patch 5", 8 * base, 1, side / 8 - 1, 4, 1, 1},
    };
    memcpy(out, all, sizeof all);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *noise(nn_backend *backend, size_t bytes)
{
    float *data = backend->interface->allocate(backend, bytes);
    for (size_t i = 0; data && i < bytes / sizeof *data; i++)
        data[i] = 2 * rng_uniform(1, RNG_TEST, 0, (uint32_t)i) - 1;
    return data;
}

static double fastest(const nn_call *call)
{
    double least = 1e9, total = 0;
    call->run(call);
    for (int i = 0; i < LEAST_RUNS || (total < LEAST_SECONDS && i < MOST_RUNS); i++) {
        double begin = now();
        call->run(call);
        double seconds = now() - begin;
        total += seconds;
        if (seconds < least) least = seconds;
    }
    return least;
}

/* Activations as programs of bf16 hand them on. */
static void take_bf16(const nn_backend *backend, nn_call *call)
{
    const nn_backend_interface *interface = backend->interface;
    for (size_t i = 0; i < call->input_count; i++)
        if (interface->reads_bf16(backend, call, i)) call->input_layout[i] = NN_LAYOUT_BF16;
    if (interface->writes_bf16(backend, call, 0)) call->output_layout[0] = NN_LAYOUT_BF16;
}

/* Seconds of one run; below 0 after a failure, which `err` tells. */
static double measure(nn_backend *backend, const nn_kernel *kernel, nn_call *call, error *err)
{
    call->run = kernel->run;
    call->backend = backend;
    call->threads = backend->threads;
    if (call->precision == NN_BF16) take_bf16(backend, call);
    if (kernel->prepare(backend, call, err) != STATUS_OK) return -1;
    double seconds = -1;
    float *input[2] = {NULL};
    for (size_t i = 0; i < 2; i++)
        call->input[i] = input[i] = noise(
            backend, backend->interface->layout_bytes(backend, call->input_layout[i], call->input_shape[i]));
    call->output[0] = noise(
        backend, backend->interface->layout_bytes(backend, call->output_layout[0], call->output_shape[0]));
    call->workspace = noise(backend, call->workspace_bytes);
    if (!input[0] || !input[1] || !call->output[0] || !call->workspace)
        error_no_memory(err, "a layer", call->workspace_bytes);
    else if (!kernel->bind || kernel->bind(call, err) == STATUS_OK)
        seconds = fastest(call);
    backend->interface->release(backend, input[0]);
    backend->interface->release(backend, input[1]);
    backend->interface->release(backend, call->output[0]);
    backend->interface->release(backend, call->workspace);
    kernel->release(call);
    return seconds;
}

static status bench_layer(nn_backend *backend, const layer *l, bool onednn, nn_precision precision, error *err)
{
    static const nn_kernel *const plain[] = {&cpu_onednn_conv2d, &cpu_onednn_conv2d_data_grad,
                                             &cpu_onednn_conv2d_weight_grad};
    size_t result = (l->side + 2 * l->padding - l->kernel) / l->stride + 1;
    nn_shape x = nn_shape_of(1, l->side, l->side, l->in), y = nn_shape_of(1, result, result, l->out);
    nn_shape w = nn_shape_of(l->out, l->in, l->kernel, l->kernel);
    const nn_shape operands[3][3] = {{x, w, y}, {y, w, x}, {x, y, w}};
    double operations = 2.0 * (double)nn_count(w) * (double)(result * result);
    printf("%-9s %4zu -> %3zu  %zux%zu stride %zu on %3zu ", l->name, l->in, l->out, l->kernel, l->kernel, l->stride,
           l->side);
    for (int i = 0; i < 3; i++) {
        const nn_op op = (nn_op[]){NN_CONV2D, NN_CONV2D_DATA_GRAD, NN_CONV2D_WEIGHT_GRAD}[i];
        nn_call call = {.op = op, .attr = {.stride = l->stride, .padding = l->padding}, .input_count = 2,
                        .output_count = 1, .precision = precision, .input_shape = {operands[i][0], operands[i][1]},
                        .output_shape = {operands[i][2]}};
        double seconds = measure(backend, onednn ? plain[i] : backend->interface->kernel(backend, op), &call, err);
        if (seconds < 0) return err->code;
        printf("%8.1f", 1e-9 * operations / seconds);
        fflush(stdout);
    }
    printf("\n");
    return STATUS_OK;
}

int main(int argc, char **argv)
{
    const struct {
        const char *name;
        size_t side, base;
    } networks[] = {{"128, resnet_6blocks, ngf 32, ndf 32", 128, 32}, {"256, resnet_9blocks, ngf 64, ndf 64", 256, 64}};
    error err = {0};
    nn_backend *backend;
    bool onednn = argc > 2 && strcmp(argv[2], "onednn") == 0;
    nn_precision precision = argc > 2 && strcmp(argv[argc - 1], "bf16") == 0 ? NN_BF16 : NN_FP32;
    if (argc > 2 + onednn + (precision == NN_BF16)) {
        fprintf(stderr, "usage: conv_bench [THREADS [onednn] [bf16]]\n");
        return 2;
    }
    if (nn_cpu_create(argc > 1 ? atoi(argv[1]) : 0, &backend, &err) != STATUS_OK ||
        nn_precision_check(backend, precision, &err) != STATUS_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    status result = STATUS_OK;
    for (size_t i = 0; i < sizeof networks / sizeof *networks && result == STATUS_OK; i++) {
        layer layers[LAYERS];
        layers_of(networks[i].side, networks[i].base, layers);
        printf("%s; GFLOP/s on %d threads\n%41sforward  d data  d weight\n", networks[i].name, backend->threads, "");
        for (size_t k = 0; k < LAYERS && result == STATUS_OK; k++)
            result = bench_layer(backend, &layers[k], onednn, precision, &err);
    }
    if (result != STATUS_OK) fprintf(stderr, "\n%s\n", err.message);
    nn_backend_destroy(backend);
    return result == STATUS_OK ? 0 : 1;
}

/* Which convolutions go to which kernels: the rules, and why, are conv2d.h's. */
#include "nn/cpu/conv2d.h"

#include "nn/cpu/kernels/conv_direct.h"
#include "nn/cpu/kernels/conv_lines.h"
#include "nn/cpu/kernels/conv_phases.h"
#include "nn/cpu/kernels/conv_tiles.h"
#include "nn/cpu/kernels/moments.h"
#include "nn/cpu/kernels/winograd.h"

enum {
    LEAST_CHANNELS = 16,
    LEAST_CHANNELS_OF_3 = 32,      /* of a 3x3 kernel by phases */
    MOST_PHASE_BYTES = 16 << 20,   /* of transformed weights */
    LEAST_TILES = 24,
    LEAST_COLUMNS = 16, /* of y, where rows are filtered */
    LEAST_PIXELS = 1024,
    LEAST_TILED_PIXELS = 96, /* fewer do not pay for packing the weights; what Winograd takes has more */
    LEAST_GRADIENT_PIXELS = 256
};

bool cpu_conv2d_is_winograd(const nn_call *call)
{
    bool weight_grad = call->op == NN_CONV2D_WEIGHT_GRAD;
    nn_shape w = weight_grad ? call->output_shape[0] : call->input_shape[1];
    nn_shape tiled = weight_grad ? call->input_shape[1] : call->output_shape[0]; /* dx, too, is a result */
    size_t images = tiled.dim[NN_N], rows = tiled.dim[NN_H], columns = tiled.dim[NN_W], kernel = w.dim[NN_KH];
    if ((kernel != 3 && kernel != 4) || w.dim[NN_KW] != kernel || call->attr.stride != 1 ||
        call->attr.padding >= kernel)
        return false;
    size_t tile = WINOGRAD_PATCH + 1 - kernel, tiles = images * ((rows + tile - 1) / tile) * ((columns + tile - 1) / tile);
    bool full = 2 * images * rows * columns >= tile * tile * tiles;
    return full && w.dim[NN_IN] >= LEAST_CHANNELS && w.dim[NN_OUT] >= LEAST_CHANNELS && tiles >= LEAST_TILES;
}

bool cpu_conv2d_is_enlarged(const nn_call *call)
{
    nn_shape x = call->input_shape[0], w = call->input_shape[1];
    size_t tile = WINOGRAD_PATCH + 1 - WINOGRAD_ENLARGED_TAPS, tiles = x.dim[NN_N] * (x.dim[NN_H] / tile + 1) * (x.dim[NN_W] / tile + 1);
    return call->op == NN_CONV2D && call->attr.factor == 2 && call->attr.stride == 1 && call->attr.padding == 1 &&
           call->attr.mode == NN_PAD_REFLECT && w.dim[NN_KH] == 3 && w.dim[NN_KW] == 3 &&
           w.dim[NN_IN] >= LEAST_CHANNELS && w.dim[NN_OUT] % LEAST_CHANNELS == 0 && tiles >= LEAST_TILES;
}

static size_t pixels_of(nn_shape s) { return s.dim[NN_N] * s.dim[NN_H] * s.dim[NN_W]; }

/* Whether the kernels that filter rows can take it, on whichever side few channels are. */
static bool is_lines(const nn_call *call)
{
    bool weight_grad = call->op == NN_CONV2D_WEIGHT_GRAD;
    nn_shape w = weight_grad ? call->output_shape[0] : call->input_shape[1];
    nn_shape y = weight_grad ? call->input_shape[1] : call->output_shape[0];
    return w.dim[NN_KW] == LINES_TAPS && w.dim[NN_KH] == LINES_TAPS && call->attr.stride == 1 &&
           call->attr.padding < LINES_TAPS && y.dim[NN_W] >= LEAST_COLUMNS && pixels_of(y) >= LEAST_PIXELS;
}

static bool is_few_to_many(size_t few, size_t many)
{
    return few <= LINES_FEW && many > LINES_FEW && many % LEAST_CHANNELS == 0;
}

bool cpu_conv2d_is_to_many(const nn_call *call)
{
    return call->op != NN_CONV2D_WEIGHT_GRAD && is_lines(call) &&
           is_few_to_many(call->input_shape[0].dim[NN_C], call->output_shape[0].dim[NN_C]);
}

bool cpu_conv2d_is_to_few(const nn_call *call)
{
    return call->op != NN_CONV2D_WEIGHT_GRAD && is_lines(call) &&
           is_few_to_many(call->output_shape[0].dim[NN_C], call->input_shape[0].dim[NN_C]);
}

bool cpu_conv2d_is_lines_weight(const nn_call *call)
{
    size_t x = call->input_shape[0].dim[NN_C], y = call->input_shape[1].dim[NN_C];
    return call->op == NN_CONV2D_WEIGHT_GRAD && is_lines(call) && (is_few_to_many(x, y) || is_few_to_many(y, x));
}

/* Whether strided kernels of ours take it, directly or by phases. */
static bool is_strided(const nn_call *call)
{
    bool weight_grad = call->op == NN_CONV2D_WEIGHT_GRAD;
    nn_shape w = weight_grad ? call->output_shape[0] : call->input_shape[1];
    nn_shape y = weight_grad ? call->input_shape[1]
                 : call->op == NN_CONV2D ? call->output_shape[0]
                                         : call->input_shape[0];
    bool fits = call->precision == NN_FP32 && call->attr.stride == CPU_DIRECT_STRIDE;
    return fits && w.dim[NN_IN] >= LEAST_CHANNELS && w.dim[NN_OUT] >= LEAST_CHANNELS &&
           pixels_of(y) >= (weight_grad ? LEAST_GRADIENT_PIXELS : LEAST_PIXELS);
}

bool cpu_conv2d_is_phased(const nn_call *call)
{
    bool weight_grad = call->op == NN_CONV2D_WEIGHT_GRAD;
    nn_shape w = weight_grad ? call->output_shape[0] : call->input_shape[1];
    size_t in = w.dim[NN_IN], out = w.dim[NN_OUT], kernel = w.dim[NN_KH];
    if (!is_strided(call) || (kernel != 3 && kernel != 4) || w.dim[NN_KW] != kernel || call->attr.padding >= kernel)
        return false;
    if (weight_grad && pixels_of(call->input_shape[1]) < LEAST_PIXELS) return false;
    size_t least = kernel == 3 ? LEAST_CHANNELS_OF_3 : LEAST_CHANNELS, matrices = kernel == 3 ? 36 : 100;
    return in >= least && out >= least && matrices * in * out * sizeof(float) <= MOST_PHASE_BYTES;
}

bool cpu_conv2d_is_tiled(const cpu_backend *cpu, const nn_call *call)
{
    bool weight_grad = call->op == NN_CONV2D_WEIGHT_GRAD;
    nn_shape w = weight_grad ? call->output_shape[0] : call->input_shape[1];
    nn_shape tiled = weight_grad ? call->input_shape[1] : call->output_shape[0];
    size_t kernel = w.dim[NN_KH];
    return cpu->tiles && call->precision == NN_BF16 && kernel == w.dim[NN_KW] && kernel <= TILES_MOST_TAPS &&
           call->attr.padding < kernel && call->attr.stride >= 1 && call->attr.stride <= TILES_MOST_STRIDE &&
           w.dim[NN_IN] >= LEAST_CHANNELS && w.dim[NN_OUT] >= LEAST_CHANNELS && pixels_of(tiled) >= LEAST_TILED_PIXELS;
}

bool cpu_conv2d_is_direct(const nn_call *call) { return is_strided(call) && !cpu_conv2d_is_phased(call); }

size_t cpu_conv2d_moment_parts(const cpu_backend *cpu, const nn_call *call)
{
    const size_t *y = call->output_shape[0].dim, kernel = call->input_shape[1].dim[NN_KH];
    if (y[NN_C] % LEAST_CHANNELS != 0) return 0;
    if (cpu_conv2d_is_tiled(cpu, call)) return cpu->tiles->tiles_parts(call);
    if (call->attr.factor) {
        size_t side = call->attr.factor * (WINOGRAD_PATCH + 1 - WINOGRAD_ENLARGED_TAPS);
        return cpu_runs_of(y[NN_H] / side + 1, y[NN_W] / side + 1).count;
    }
    size_t side = 0;
    if (call->op == NN_CONV2D && cpu_conv2d_is_winograd(call)) side = WINOGRAD_PATCH + 1 - kernel;
    if (cpu_conv2d_is_phased(call)) side = call->op == NN_CONV2D ? PHASES_TILE : PHASES_TILE * PHASES_STRIDE;
    return side > 0 ? cpu_runs_of(cpu_divide_up(y[NN_H], side), cpu_divide_up(y[NN_W], side)).count : 0;
}

static status prepare_with(const nn_kernel *onednn, nn_backend *backend, nn_call *call, error *err)
{
    const cpu_backend *cpu = (const cpu_backend *)backend;
    const nn_kernel *kernel = onednn;
    if (cpu_conv2d_is_tiled(cpu, call)) {
        kernel = cpu->tiles->tiles[call->op];
    } else if (call->attr.factor || cpu_conv2d_is_winograd(call)) {
        bool bf16 = call->precision == NN_BF16;
        kernel = (bf16 ? cpu_kernels_bf16() : cpu->kernels)->winograd[call->op];
    } else if (cpu_conv2d_is_to_many(call)) {
        kernel = cpu->kernels->to_many;
    } else if (cpu_conv2d_is_to_few(call)) {
        kernel = cpu->kernels->to_few;
    } else if (cpu_conv2d_is_lines_weight(call)) {
        kernel = cpu->kernels->lines_weight;
    } else if (cpu_conv2d_is_phased(call)) {
        kernel = cpu->kernels->phases[call->op];
    } else if (cpu_conv2d_is_direct(call)) {
        kernel = cpu->kernels->direct[call->op];
    }
    call->run = kernel->run;
    if (kernel->workspace) call->workspace_bytes = kernel->workspace(call);
    return kernel->prepare ? kernel->prepare(backend, call, err) : STATUS_OK;
}

/* oneDNN's calls have something prepared, ours nothing. */
static status bind_with(const nn_kernel *onednn, nn_call *call, error *err)
{
    return call->prepared && onednn->bind ? onednn->bind(call, err) : STATUS_OK;
}

static void release_with(const nn_kernel *onednn, nn_call *call)
{
    if (call->prepared && onednn->release) onednn->release(call);
}

#define CONVOLUTION(name)                                                                                             \
    static status prepare_##name(nn_backend *backend, nn_call *call, error *err)                                      \
    {                                                                                                                 \
        return prepare_with(&cpu_onednn_##name, backend, call, err);                                                  \
    }                                                                                                                 \
    static status bind_##name(nn_call *call, error *err) { return bind_with(&cpu_onednn_##name, call, err); }         \
    static void release_##name(nn_call *call) { release_with(&cpu_onednn_##name, call); }                             \
    const nn_kernel cpu_##name = {.prepare = prepare_##name, .bind = bind_##name, .release = release_##name};

CONVOLUTION(conv2d)
CONVOLUTION(conv2d_data_grad)
CONVOLUTION(conv2d_weight_grad)

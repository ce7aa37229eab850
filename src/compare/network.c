#include "compare/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/vgg.h"
#include "nn/program.h"

enum { CHANNELS = 3 };

static const char *const style_names[COMPARE_STYLE_LAYERS] = {"relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"};

struct compare_network {
    model_vgg *vgg;
    nn_program *program;
    nn_arena arena;
    nn_value picture, map, gram[COMPARE_STYLE_LAYERS];
    size_t layers[COMPARE_STYLE_LAYERS + 1]; /* the style's, then the one that was asked for */
    size_t styles, side, positions, channels[COMPARE_STYLE_LAYERS + 1];
    float *scratch; /* a picture, or a Gram matrix */
};

void compare_network_destroy(compare_network *n)
{
    if (!n) return;
    nn_program_destroy(n->program);
    nn_arena_free(&n->arena);
    model_vgg_destroy(n->vgg);
    free(n->scratch);
    free(n);
}

const char *compare_network_description(const compare_network *n) { return model_vgg_description(n->vgg); }
bool compare_network_is_random(const compare_network *n) { return model_vgg_is_random(n->vgg); }
size_t compare_network_style_layers(const compare_network *n) { return n->styles; }
size_t compare_network_pooled_size(const compare_network *n) { return n->channels[n->styles]; }
size_t compare_network_map_size(const compare_network *n) { return n->positions * n->channels[n->styles]; }

static size_t triangle(size_t channels) { return channels * (channels + 1) / 2; }

size_t compare_network_gram_size(const compare_network *n)
{
    size_t size = 0;
    for (size_t i = 0; i < n->styles; i++) size += triangle(n->channels[i]);
    return size;
}

static status find_layers(compare_network *n, const char *layer, error *err)
{
    size_t number;
    TRY(model_vgg_layer(n->vgg, style_names[0], &number, err));
    while (n->styles < COMPARE_STYLE_LAYERS && model_vgg_layer(n->vgg, style_names[n->styles], &number, NULL) == 0)
        n->layers[n->styles++] = number;
    TRY(model_vgg_layer(n->vgg, layer, &n->layers[n->styles], err));
    for (size_t i = 0; i <= n->styles; i++) n->channels[i] = model_vgg_channels(n->vgg, n->layers[i]);
    return STATUS_OK;
}

static status build(compare_network *n, nn_graph *g, error *err)
{
    nn_value results[COMPARE_STYLE_LAYERS + 1];
    n->picture = nn_input(g, "picture", nn_shape_of(1, n->side, n->side, CHANNELS));
    model_vgg_build(n->vgg, g, n->picture, n->layers, n->styles + 1, results);
    TRY(nn_graph_status(g, err));
    for (size_t i = 0; i < n->styles; i++) {
        nn_shape shape = nn_shape_at(g, results[i]);
        n->gram[i] = nn_gram(g, results[i], 1 / (float)(shape.dim[NN_H] * shape.dim[NN_W]));
        nn_output(g, n->gram[i]);
    }
    n->map = results[n->styles];
    nn_shape shape = nn_shape_at(g, n->map);
    n->positions = shape.dim[NN_H] * shape.dim[NN_W];
    nn_output(g, n->map);
    return nn_graph_status(g, err);
}

static status compile(compare_network *n, nn_backend *backend, error *err)
{
    nn_graph *g = nn_graph_create();
    if (!g) return error_no_memory(err, "a perceptual network", 0);
    status result = build(n, g, err);
    if (result == STATUS_OK) result = nn_program_create(g, backend, NULL, &n->program, err);
    nn_graph_destroy(g);
    TRY(result);
    return nn_arena_bind(&n->arena, backend, &n->program, 1, err);
}

static status prepare(compare_network *n, nn_backend *backend, const compare_network_options *o, error *err)
{
    size_t deepest = 0, floats = o->side * o->side * CHANNELS;
    n->side = o->side;
    TRY(model_vgg_open(o->file, &(model_vgg_options){.seed = o->seed}, &n->vgg, err));
    TRY(find_layers(n, o->layer, err));
    for (size_t i = 0; i <= n->styles; i++) {
        if (n->layers[i] > deepest) deepest = n->layers[i];
        if (i < n->styles && n->channels[i] * n->channels[i] > floats) floats = n->channels[i] * n->channels[i];
    }
    TRY(model_vgg_load(n->vgg, backend, deepest, err));
    n->scratch = malloc(floats * sizeof *n->scratch);
    if (!n->scratch) return error_no_memory(err, "a perceptual network", floats * sizeof *n->scratch);
    return compile(n, backend, err);
}

status compare_network_create(nn_backend *backend, const compare_network_options *options, compare_network **out,
                              error *err)
{
    compare_network *n = *out = calloc(1, sizeof *n);
    if (!n) return error_no_memory(err, "a perceptual network", sizeof *n);
    status result = prepare(n, backend, options, err);
    if (result == STATUS_OK) return STATUS_OK;
    compare_network_destroy(n);
    *out = NULL;
    return result;
}

static void pool(const compare_network *n, const float *map, float *pooled)
{
    size_t channels = compare_network_pooled_size(n);
    for (size_t c = 0; c < channels; c++) {
        double sum = 0;
        for (size_t p = 0; p < n->positions; p++) sum += map[p * channels + c];
        pooled[c] = (float)(sum / (double)n->positions);
    }
}

/* matrix: (c, c); returns the end of what it writes. */
static float *write_triangle(const float *matrix, size_t c, float *out)
{
    for (size_t i = 0; i < c; i++) {
        *out++ = matrix[i * c + i];
        for (size_t j = i + 1; j < c; j++) *out++ = 1.41421356f * matrix[i * c + j];
    }
    return out;
}

void compare_network_run(compare_network *n, const uint8_t *picture, float *map, float *pooled, float *gram)
{
    for (size_t i = 0; i < n->side * n->side * CHANNELS; i++) n->scratch[i] = (float)picture[i] / 127.5f - 1;
    nn_program_write(n->program, n->picture, n->scratch);
    nn_program_run(n->program);
    nn_program_read(n->program, n->map, map);
    if (pooled) pool(n, map, pooled);
    for (size_t i = 0; i < n->styles && gram; i++) {
        nn_program_read(n->program, n->gram[i], n->scratch);
        gram = write_triangle(n->scratch, n->channels[i], gram);
    }
}

/* Norm of the mean of vectors, elements begin .. begin+size-1 of each. */
static double norm_of_mean(const float *vectors, size_t count, size_t dimension, size_t begin, size_t size)
{
    double squares = 0;
    for (size_t k = begin; k < begin + size; k++) {
        double sum = 0;
        for (size_t i = 0; i < count; i++) sum += vectors[i * dimension + k];
        squares += sum / (double)count * (sum / (double)count);
    }
    return sqrt(squares);
}

static void scale_part(float *vectors, size_t count, size_t dimension, size_t begin, size_t size, double factor)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = begin; k < begin + size; k++)
            vectors[i * dimension + k] = (float)(vectors[i * dimension + k] * factor);
}

void compare_network_gram_factors(const compare_network *n, const float *targets, size_t target_count,
                                  double factors[COMPARE_STYLE_LAYERS])
{
    size_t dimension = compare_network_gram_size(n), begin = 0;
    for (size_t i = 0; i < n->styles; i++) {
        size_t size = triangle(n->channels[i]);
        double norm = norm_of_mean(targets, target_count, dimension, begin, size);
        factors[i] = norm > 0 ? sqrt((double)dimension / (double)n->styles) / norm : 1;
        begin += size;
    }
}

void compare_network_scale_grams(const compare_network *n, const double factors[COMPARE_STYLE_LAYERS], float *vectors,
                                 size_t count)
{
    size_t dimension = compare_network_gram_size(n), begin = 0;
    for (size_t i = 0; i < n->styles; i++) {
        size_t size = triangle(n->channels[i]);
        scale_part(vectors, count, dimension, begin, size, factors[i]);
        begin += size;
    }
}

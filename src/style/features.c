#include "style/features.h"

#include <stdlib.h>

static void forget(style_extractor *x)
{
    nn_program_destroy(x->program);
    nn_arena_free(&x->arena);
    x->program = NULL;
}

void style_extractor_free(style_extractor *x) { forget(x); }

static void build(style_extractor *x, nn_graph *g, size_t height, size_t width)
{
    x->picture = nn_input(g, "picture", nn_shape_of(1, height, width, 3));
    model_vgg_build(x->vgg, g, x->picture, x->layers->at, x->layers->count, x->results);
    for (size_t i = 0; i < x->layers->count && x->results[i] != NN_NONE; i++) {
        nn_shape s = nn_shape_at(g, x->results[i]);
        double places = (double)s.dim[NN_H] * (double)s.dim[NN_W];
        if (x->grams) x->results[i] = nn_gram(g, x->results[i], (float)(1 / places));
        x->counts[i] = nn_count(nn_shape_at(g, x->results[i]));
        nn_output(g, x->results[i]);
    }
}

static status compile(style_extractor *x, size_t height, size_t width, error *err)
{
    if (x->program && x->height == height && x->width == width) return STATUS_OK;
    forget(x);
    nn_graph *g = nn_graph_create();
    if (!g) return error_no_memory(err, "a graph", 0);
    build(x, g, height, width);
    status result = nn_graph_status(g, err);
    if (result == STATUS_OK) result = nn_program_create(g, x->backend, NULL, &x->program, err);
    if (result == STATUS_OK) result = nn_arena_bind(&x->arena, x->backend, &x->program, 1, err);
    nn_graph_destroy(g);
    if (result != STATUS_OK) forget(x);
    x->height = height;
    x->width = width;
    return result;
}

status style_extract(style_extractor *x, const float *picture, size_t height, size_t width, float **results, error *err)
{
    if (!x->layers->count) return STATUS_OK;
    TRY(compile(x, height, width, err));
    nn_program_write(x->program, x->picture, picture);
    nn_program_run(x->program);
    for (size_t i = 0; i < x->layers->count; i++) {
        results[i] = malloc(x->counts[i] * sizeof **results);
        if (!results[i]) {
            for (size_t k = 0; k < i; k++) free(results[k]);
            return error_no_memory(err, "features", x->counts[i] * sizeof **results);
        }
        nn_program_read(x->program, x->results[i], results[i]);
    }
    status result = nn_program_check(x->program, err);
    for (size_t i = 0; result != STATUS_OK && i < x->layers->count; i++) free(results[i]);
    return result;
}

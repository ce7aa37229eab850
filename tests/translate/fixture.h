/* A folder of its own for each test, tiny generators in files, pictures with a known pattern. */
#ifndef TESTS_TRANSLATE_FIXTURE_H
#define TESTS_TRANSLATE_FIXTURE_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "image/image.h"
#include "models/generator.h"
#include "models/initialise.h"
#include "models/weights.h"
#include "test.h"

typedef struct fixture {
    nn_backend *backend;
    char folder[64];
    char paths[8][256]; /* what fixture_path returned last */
    int next;
    error err;
} fixture;

static const model_generator_options tiny = {.kind = MODEL_RESNET_9, .blocks = 2, .ngf = 4, .in_channels = 3,
                                             .out_channels = 3, .upsample = MODEL_RESIZE_CONV};

static inline fixture fixture_begin(void)
{
    fixture f = {.folder = "/tmp/cyclegan-translate-XXXXXX"};
    if (nn_cpu_create(2, &f.backend, &f.err) != STATUS_OK) fprintf(stderr, "%s\n", f.err.message);
    if (!mkdtemp(f.folder)) perror(f.folder);
    return f;
}

static inline void fixture_end(fixture *f)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", f->folder);
    if (system(command) != 0) perror(command);
    nn_backend_destroy(f->backend);
}

/* A path in the test's folder; valid until eight more are asked for. */
__attribute__((format(printf, 2, 3))) static inline const char *fixture_path(fixture *f, const char *format, ...)
{
    char *out = f->paths[f->next++ % 8];
    int used = snprintf(out, sizeof f->paths[0], "%s/", f->folder);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out + used, sizeof f->paths[0] - (size_t)used, format, arguments);
    va_end(arguments);
    return out;
}

/* A generator's tensors with random values. The deviation of `model_initialise` leaves a grey picture; 12 times that
 * uses the whole range. */
static inline nn_parameters *fixture_weights(fixture *f, const model_generator_options *options, uint64_t seed)
{
    nn_parameters *set = nn_parameters_create();
    nn_graph *g = nn_graph_create();
    size_t side = 2 * model_generator_stride(options);
    nn_value x = nn_input(g, "x", nn_shape_of(1, side, side, options->in_channels));
    model_generator_build(g, set, "", options, x, NULL);
    if (nn_graph_status(g, &f->err) != STATUS_OK || nn_parameters_allocate(set, f->backend, 0, &f->err) != STATUS_OK ||
        model_initialise(set, seed, 0, &f->err) != STATUS_OK)
        fprintf(stderr, "%s\n", f->err.message);
    nn_graph_destroy(g);
    for (size_t i = 0; i < set->count; i++) {
        size_t count = nn_count(set->tensors[i].shape);
        float *values = malloc(count * sizeof *values);
        nn_parameters_read(set, NN_DATA, i, values);
        for (size_t k = 0; k < count; k++) values[k] *= 12;
        nn_parameters_write(set, NN_DATA, i, values);
        free(values);
    }
    return set;
}

/* metadata: pairs of key and value, ended by NULL; without any, a bare file. */
static inline void fixture_save(fixture *f, const char *path, const model_generator_options *options, uint64_t seed,
                                ...)
{
    nn_parameters *set = fixture_weights(f, options, seed);
    safetensors_metadata about[8];
    size_t count = 0;
    va_list arguments;
    va_start(arguments, seed);
    for (char *key; (key = va_arg(arguments, char *)) != NULL; count++)
        about[count] = (safetensors_metadata){key, va_arg(arguments, char *)};
    va_end(arguments);
    model_weights weights = {.set = set, .slot = NN_DATA, .set_prefix = "", .file_prefix = ""};
    if (model_weights_save(path, &weights, about, count, SAFETENSORS_F32, &f->err) != STATUS_OK)
        fprintf(stderr, "%s\n", f->err.message);
    nn_parameters_destroy(set);
}

static inline image fixture_image(size_t width, size_t height, unsigned seed)
{
    image picture = {0};
    error err = {0};
    if (image_create(&picture, width, height, &err) != STATUS_OK) return picture;
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++)
            for (size_t c = 0; c < 3; c++)
                picture.pixels[(y * width + x) * 3 + c] = (uint8_t)(x * 7 + y * 13 * (c + 1) + (x * y + seed) % 61);
    return picture;
}

/* Writes a picture, its folders created. */
static inline void fixture_picture(fixture *f, const char *path, size_t width, size_t height, unsigned seed)
{
    image picture = fixture_image(width, height, seed);
    if (file_make_parent(path, &f->err) != STATUS_OK || image_write(path, &picture, NULL, &f->err) != STATUS_OK)
        fprintf(stderr, "%s\n", f->err.message);
    image_free(&picture);
}

#endif

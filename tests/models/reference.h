/* The networks of tests/fixtures/reference_keys.txt (made by tools/oracle/keys.py), and building any of them. */
#ifndef TESTS_MODELS_REFERENCE_H
#define TESTS_MODELS_REFERENCE_H

#include <stdio.h>
#include <string.h>

#include "models/discriminator.h"
#include "models/generator.h"
#include "test.h"

enum { REFERENCE_TENSORS = 64, REFERENCE_NETWORKS = 16 };

typedef struct reference_network {
    char kind[32], extra[32];
    size_t width;
    size_t count;
    struct {
        char name[128];
        size_t rank, shape[4];
    } tensors[REFERENCE_TENSORS];
} reference_network;

static inline int reference_index(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

/* Returns the number of networks read; 0 when the file is absent or does not read as expected. */
static inline size_t reference_read(reference_network networks[REFERENCE_NETWORKS])
{
    FILE *file = fopen("tests/fixtures/reference_keys.txt", "r");
    size_t count = 0;
    char line[256], name[128];
    while (file && fgets(line, sizeof line, file)) {
        reference_network header = {.count = 0};
        if (sscanf(line, "network %31s %zu %31s", header.kind, &header.width, header.extra) == 3) {
            if (count == REFERENCE_NETWORKS) break;
            networks[count++] = header;
            continue;
        }
        size_t s[4];
        int fields = sscanf(line, "%127s %zu %zu %zu %zu", name, &s[0], &s[1], &s[2], &s[3]);
        if (!count || fields < 2 || networks[count - 1].count == REFERENCE_TENSORS) {
            count = 0;
            break;
        }
        reference_network *n = &networks[count - 1];
        strcpy(n->tensors[n->count].name, name);
        n->tensors[n->count].rank = (size_t)fields - 1;
        memcpy(n->tensors[n->count++].shape, s, sizeof s);
    }
    if (file) fclose(file);
    return count;
}

static inline bool reference_is_generator(const reference_network *n)
{
    return reference_index(model_generator_names, n->kind) >= 0;
}

static inline model_generator_options reference_generator(const reference_network *n)
{
    return (model_generator_options){
        .kind = (model_generator_kind)reference_index(model_generator_names, n->kind),
        .ngf = n->width, .in_channels = 3, .out_channels = 3,
        .upsample = (model_upsample)reference_index(model_upsample_names, n->extra)};
}

static inline model_discriminator_options reference_discriminator(const reference_network *n)
{
    return (model_discriminator_options){
        .kind = (model_discriminator_kind)reference_index(model_discriminator_names, n->kind),
        .ndf = n->width, .in_channels = 3, .layers = (size_t)atoi(n->extra)};
}

/* The network on one image of the smallest square that suits all: its output. */
static inline nn_value reference_build(const reference_network *n, nn_graph *g, nn_parameters *set, const char *prefix,
                                       model_trainables *trained)
{
    if (reference_is_generator(n)) {
        model_generator_options options = reference_generator(n);
        size_t side = model_generator_is_unet(&options) ? model_generator_stride(&options) : 8;
        nn_value x = nn_input(g, "x", nn_shape_of(1, side, side, 3));
        return model_generator_build(g, set, prefix, &options, x, trained);
    }
    model_discriminator_options options = reference_discriminator(n);
    size_t side = model_discriminator_minimum(&options);
    nn_value x = nn_input(g, "x", nn_shape_of(1, side, side, 3));
    return model_discriminator_build(g, set, prefix, &options, x, trained);
}

#endif

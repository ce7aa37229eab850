#include <stdlib.h>

#include "inspect/internal.h"
#include "models/infer.h"
#include "models/weights.h"

static size_t elements_of(const safetensors_file *file)
{
    size_t elements = 0;
    for (size_t i = 0; i < safetensors_count(file); i++) elements += safetensors_at(file, i)->count;
    return elements;
}

static const safetensors_entry *find(const safetensors_file *file, const char *prefix, const char *key, size_t kernel)
{
    char *name = text_printf("%s%s", prefix, key);
    const safetensors_entry *entry = name ? safetensors_find(file, name) : NULL;
    free(name);
    return entry && entry->rank == 4 && entry->shape[2] == kernel && entry->shape[3] == kernel ? entry : NULL;
}

/* The widths and kind; loading finds out whether the rest is there. */
static status infer_discriminator(const safetensors_file *file, const char *prefix, model_discriminator_options *out,
                                  error *err)
{
    const safetensors_entry *pixel = find(file, prefix, "net.0.weight", 1);
    const safetensors_entry *patch = find(file, prefix, "model.0.weight", 4), *first = pixel ? pixel : patch;
    if (!first)
        return error_set(err, STATUS_FAILED, "not a discriminator: expected %smodel.0.weight (...x...x4x4) or "
                         "%snet.0.weight (...x...x1x1), found neither", prefix, prefix);
    *out = (model_discriminator_options){.kind = MODEL_PIXEL, .ndf = first->shape[0], .in_channels = first->shape[1]};
    if (pixel) return STATUS_OK;
    size_t convolutions = 0; /* after the first one, at 2, 5, 8, ...: one for each strided layer, and the last */
    char key[32];
    do
        snprintf(key, sizeof key, "model.%zu.weight", 3 * ++convolutions - 1);
    while (convolutions <= MODEL_MAX_LAYERS + 2 && find(file, prefix, key, 4));
    size_t layers = convolutions - 1 > 0 ? convolutions - 2 : 0;
    if (layers < 1 || layers > MODEL_MAX_LAYERS)
        return error_set(err, STATUS_FAILED, "%smodel.0.weight: expected a discriminator of 1 to %d strided layers, "
                         "found %zu", prefix, MODEL_MAX_LAYERS, layers);
    out->kind = layers == 3 ? MODEL_PATCHGAN : MODEL_N_LAYERS;
    out->layers = layers;
    return STATUS_OK;
}

/* The network's tensors, once its graph has declared them. */
static status load(inspect_planner *planner, const nn_graph *graph, nn_parameters *set, const safetensors_file *file,
                   const char *prefix, error *err)
{
    TRY(nn_graph_status(graph, err));
    /* Loading finds out that a file lacks tensors; until then, no memory for what its first one claims. */
    if (nn_parameters_elements(set) <= elements_of(file))
        TRY(nn_parameters_allocate(set, inspect_planner_backend(planner), 0, err));
    model_weights weights = {.set = set, .slot = NN_DATA, .set_prefix = "", .file_prefix = prefix};
    return model_weights_load(file, &weights, err);
}

static status check(inspect_planner *planner, const safetensors_file *file, const char *prefix, inspect_network *n,
                    error *err)
{
    nn_graph *graph = nn_graph_create();
    nn_parameters *set = nn_parameters_create();
    status result = graph && set ? STATUS_OK : error_no_memory(err, "a network", 4096);
    if (result == STATUS_OK) {
        size_t side = n->is_generator ? 2 * model_generator_stride(&n->generator)
                                      : model_discriminator_minimum(&n->discriminator);
        size_t channels = n->is_generator ? n->generator.in_channels : n->discriminator.in_channels;
        nn_value x = nn_input(graph, "x", nn_shape_of(1, side, side, channels));
        if (n->is_generator)
            model_generator_build(graph, set, "", &n->generator, x, NULL);
        else
            model_discriminator_build(graph, set, "", &n->discriminator, x, NULL);
        result = load(planner, graph, set, file, prefix, err);
        n->parameters = nn_parameters_elements(set);
    }
    nn_graph_destroy(graph);
    nn_parameters_destroy(set);
    return result;
}

status inspect_generator(inspect_planner *planner, const safetensors_file *file, const char *prefix,
                         inspect_network *out, error *err)
{
    *out = (inspect_network){.is_generator = true};
    TRY(model_generator_infer(file, prefix, &out->generator, err));
    return check(planner, file, prefix, out, err);
}

status inspect_discriminator(inspect_planner *planner, const safetensors_file *file, const char *prefix,
                             inspect_network *out, error *err)
{
    *out = (inspect_network){0};
    TRY(infer_discriminator(file, prefix, &out->discriminator, err));
    return check(planner, file, prefix, out, err);
}

static void generator_facts(const inspect_network *n, json_t *object, text *shown)
{
    const model_generator_options *g = &n->generator;
    const char *name = model_generator_names[g->kind];
    size_t blocks = model_generator_blocks(g);
    bool unet = model_generator_is_unet(g), named = unet || blocks == 6 || blocks == 9;
    text_format(shown, "%s, ngf %zu", named ? name : "resnet", g->ngf);
    if (!named) text_format(shown, ", %zu blocks", blocks);
    if (!unet) text_format(shown, ", %s", model_upsample_names[g->upsample]);
    if (g->in_channels != 3 || g->out_channels != 3)
        text_format(shown, ", %zu to %zu channels", g->in_channels, g->out_channels);
    json_object_set_new(object, "architecture", json_string(named ? name : "resnet"));
    json_object_set_new(object, "blocks", json_integer((json_int_t)blocks));
    json_object_set_new(object, "ngf", json_integer((json_int_t)g->ngf));
    json_object_set_new(object, "upsample", json_string(model_upsample_names[g->upsample]));
    json_object_set_new(object, "in_channels", json_integer((json_int_t)g->in_channels));
    json_object_set_new(object, "out_channels", json_integer((json_int_t)g->out_channels));
}

static void discriminator_facts(const inspect_network *n, json_t *object, text *shown)
{
    const model_discriminator_options *d = &n->discriminator;
    json_object_set_new(object, "architecture", json_string(model_discriminator_names[d->kind]));
    text_format(shown, "%s, ndf %zu", model_discriminator_names[d->kind], d->ndf);
    if (d->kind != MODEL_PIXEL) {
        text_format(shown, ", %zu strided layers", d->layers);
        json_object_set_new(object, "layers", json_integer((json_int_t)d->layers));
    }
    json_object_set_new(object, "ndf", json_integer((json_int_t)d->ndf));
    json_object_set_new(object, "in_channels", json_integer((json_int_t)d->in_channels));
}

void inspect_network_facts(const inspect_network *network, const char *key, inspect_facts *facts)
{
    json_t *object = json_object();
    text shown = {0};
    if (network->is_generator)
        generator_facts(network, object, &shown);
    else
        discriminator_facts(network, object, &shown);
    if (json_object_set_new(object, "parameters", json_integer((json_int_t)network->parameters)) != 0 ||
        json_object_size(object) < 4)
        facts->failed = true;
    inspect_value(facts, key, object, "%s; %zu parameters", text_get(&shown), network->parameters);
    text_free(&shown);
}

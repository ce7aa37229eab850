#include "translate/export.h"

#include <stdio.h>

#include "base/text.h"
#include "nn/onnx.h"
#include "translate/internal.h"

enum { NAME_SIZE = 1024 };

/* A ResNet's trunk is padded by reflection, of which ONNX takes less than a side; we mirror a single row as well. */
translator_sides translator_export_sides(const translator *t)
{
    size_t stride = model_generator_stride(&t->generator);
    return (translator_sides){stride, model_generator_is_unet(&t->generator) ? stride : 2 * stride};
}

/* The domains' names come from a file, and may be any bytes. */
static status write_graph(const translator *t, const nn_graph *g, nn_value x, nn_value y, const char *path,
                          const char *version, error *err)
{
    translator_sides sides = translator_export_sides(t);
    char from[NAME_SIZE], to[NAME_SIZE], multiple[24], least[24], description[2 * NAME_SIZE + 256];
    text_printable(t->from ? t->from : "", from, sizeof from);
    text_printable(t->to ? t->to : "", to, sizeof to);
    snprintf(multiple, sizeof multiple, "%zu", sides.multiple);
    snprintf(least, sizeof least, "%zu", sides.least);
    snprintf(description, sizeof description,
             "Translates pictures%s%s%s%s. Input and output: RGB from -1 to 1, (batch, 3, height, width); the sides must "
             "be multiples of %s, and at least %s.", t->from ? " from " : "", from, t->to ? " to " : "", to, multiple,
             least);
    const nn_onnx_property properties[] = {
        {"sides_multiple_of", multiple}, {"sides_at_least", least}, {"from", from}, {"to", to}};
    nn_onnx_about about = {.name = "generator", .producer = "cyclegan", .version = version, .description = description,
                           .properties = properties, .property_count = t->from && t->to ? 4 : 2};
    return nn_onnx_write(path, g, x, y, &about, err);
}

status translator_export(translator *t, const char *path, const char *version, error *err)
{
    nn_graph *g = nn_graph_create();
    if (!g) return error_no_memory(err, path, 0);
    size_t side = translator_export_sides(t).least;
    nn_value x = nn_input(g, "picture", nn_shape_of(1, side, side, TRANSLATE_CHANNELS));
    nn_value y = model_generator_build(g, t->weights, "", &t->generator, x, NULL);
    status result = write_graph(t, g, x, y, path, version, err);
    nn_graph_destroy(g);
    return result;
}

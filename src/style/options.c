#include "style/options.h"

#include <string.h>

#include "style/network_fields.h"

static const char *const presets[] = {"none", "gatys", "keras", NULL};
static const char *const content_forms[] = {"relative", "half_sum", "mean", "sum", NULL};
static const char *const grams[] = {"relative", "gatys", "element", "keras", NULL};
static const char *const inits[] = {"content", "noise", "image", NULL};
static const char *const colours[] = {"style", "luminance", "histogram", NULL};
static const char *const methods[] = {"lbfgs", "adam", NULL};

#define AT(field) offsetof(style_options, field)

const config_field style_fields[] = {
    {"preset", CONFIG_CHOICE, AT(preset), "none", .choices = presets,
     .help = "defaults of others: gatys, of PytorchNeuralStyleTransfer by Gatys; keras, of Chollet's example. Both "
             "have weights for the full VGG-19 of Caffe"},
    {"content.path", CONFIG_STRING, AT(content_path), .flags = CONFIG_REQUIRED,
     .help = "a picture, or a folder of them, each of which is done"},
    {"content.layers", CONFIG_STRING, AT(content_layers), "relu4_2",
     .help = "layers that keep the content: relu4_2, conv4_2 (before the ReLU), block4_conv2 (Keras' name), pool4; "
             "several with commas"},
    {"content.weights", CONFIG_STRING, AT(content_weights), .help = "a weight for each of them (else 1)"},
    {"content.weight", CONFIG_FLOAT, AT(content_weight), "1", 0, 1e12, .help = "weight of them all"},
    {"content.form", CONFIG_CHOICE, AT(content_form), "relative", .choices = content_forms,
     .help = "of squared differences: relative to the squared features; half their sum (the paper); their mean (Gatys' "
             "code); their sum (Keras)"},
    {"style.path", CONFIG_STRING, AT(style_path), .flags = CONFIG_REQUIRED,
     .help = "a picture; or a folder, whose pictures' mean Gram matrix is the style; or several of both, with commas"},
    {"style.blend", CONFIG_STRING, AT(style_blend), .help = "a weight for each of several styles (else equal)"},
    {"style.layers", CONFIG_STRING, AT(style_layers), "relu1_1, relu2_1, relu3_1, relu4_1, relu5_1",
     .help = "layers whose Gram matrices are the style"},
    {"style.weights", CONFIG_STRING, AT(style_weights), .help = "a weight for each of them (else 1 / their number)"},
    {"style.weight", CONFIG_FLOAT, AT(style_weight), "100", 0, 1e15, .help = "weight of them all"},
    {"style.gram", CONFIG_CHOICE, AT(gram), "relative", .choices = grams,
     .help = "how a layer's Gram matrices are compared: relative to the style's; 1 / (4 N^2 M^2) (gatys); mean square "
             "of Gram / (c h w) (element); sum / (4 * 9 * (picture's h w)^2) (keras)"},
    {"style.scale", CONFIG_FLOAT, AT(style_scale), "1", 0.05, 20,
     .help = "shorter side of style pictures, relative to the result's: larger gives larger strokes"},
    {"total_variation.weight", CONFIG_FLOAT, AT(variation_weight), "0", 0, 1e12,
     .help = "weight of sum((dx^2 + dy^2)^(exponent / 2)) of grey levels: above 0 it removes noise"},
    {"total_variation.exponent", CONFIG_FLOAT, AT(variation_exponent), "2.5", 1, 4, .help = "its exponent"},
    STYLE_NETWORK_FIELDS(0),
    {"image.size", CONFIG_INT, AT(size), "0", 0, 65536, .help = "shorter side of the result (0: the content's)"},
    {"image.scales", CONFIG_INT, AT(scales), "1", 1, 8,
     .help = "sizes gone through, each twice the one before, each with all iterations; those too small are left out"},
    {"image.init", CONFIG_CHOICE, AT(init), "content", .choices = inits, .help = "what the result starts as"},
    {"image.start", CONFIG_STRING, AT(start), .help = "the picture that image.init: image starts from"},
    {"image.seed", CONFIG_INT, AT(seed), "1", 0, 9e15, .help = "of the noise"},
    {"image.colour", CONFIG_CHOICE, AT(colour), "style", .choices = colours,
     .help = "style: of the style; else the content's are kept: luminance transfers brightness alone, histogram gives "
             "the style's pictures the content's colours first"},
    {"optimiser.method", CONFIG_CHOICE, AT(method), "lbfgs", .choices = methods, .help = "lbfgs needs no tuning"},
    {"optimiser.iterations", CONFIG_INT, AT(iterations), "200", 1, 1000000, .help = "at each scale"},
    {"optimiser.history", CONFIG_INT, AT(history), "20", 1, 1000,
     .help = "steps that L-BFGS remembers; each takes 24 bytes a pixel"},
    {"optimiser.learning_rate", CONFIG_FLOAT, AT(learning_rate), "0.02", 1e-6, 10,
     .help = "of Adam, where black to white is 2"},
    {"output.path", CONFIG_STRING, AT(output), .flags = CONFIG_REQUIRED,
     .help = "the result, .png, .jpg or .webp, or a folder; a folder for a folder"},
    {"output.every", CONFIG_INT, AT(every), "0", 0, 1000000,
     .help = "iterations between intermediate pictures, written beside the result (0: none)"},
    {"output.quality", CONFIG_INT, AT(quality), "95", 1, 100, .help = "of JPEG and WebP"},
    {"output.overwrite", CONFIG_BOOL, AT(overwrite), "false", .help = "replace results that exist"},
};
const size_t style_field_count = sizeof style_fields / sizeof *style_fields;

/* KEY=VALUE. Gatys' code weighs a layer's mean squared difference of Gram matrices over m by 1000 / c^2 with
 * c = 64, 128, 256, 512, 512; half the half of it is in the form `gatys`. */
static const char *const of_gatys[] = {
    "content.layers=relu4_2", "content.form=mean", "content.weight=1",
    "style.weights=0.9765625, 0.244140625, 0.06103515625, 0.0152587890625, 0.0152587890625",
    "style.layers=relu1_1, relu2_1, relu3_1, relu4_1, relu5_1", "style.gram=gatys", "style.weight=1",
    "total_variation.weight=0", "image.init=content", "image.size=512", "optimiser.method=lbfgs",
    "optimiser.iterations=500", "optimiser.history=100", NULL};
static const char *const of_keras[] = {
    "content.layers=block5_conv2", "content.form=sum", "content.weight=0.025",
    "style.layers=block1_conv1, block2_conv1, block3_conv1, block4_conv1, block5_conv1", "style.gram=keras",
    "style.weight=1", "total_variation.weight=1e-4",
    "total_variation.exponent=2.5", "image.init=content", NULL};

static status apply(config *c, const char *const *values, error *err)
{
    char key[64];
    for (; *values; values++) {
        size_t length = strcspn(*values, "=");
        memcpy(key, *values, length);
        key[length] = '\0';
        bool other_layers = strcmp(key, "style.weights") == 0 && config_was_given(c, "style.layers");
        if (!other_layers && !config_was_given(c, key)) TRY(config_set(c, *values, err));
    }
    return STATUS_OK;
}

static status wrong(error *err, const config *c, const char *key, const char *what)
{
    return error_set(err, STATUS_USAGE, "%s: %s %s", config_where(c, key), key, what);
}

static bool empty(const char *value) { return !value || !value[0]; }

status style_options_finish(style_options *o, config *c, error *err)
{
    TRY(config_finish(c, err));
    if (o->preset == 1) TRY(apply(c, of_gatys, err));
    if (o->preset == 2) TRY(apply(c, of_keras, err));
    if (empty(o->content_path)) return wrong(err, c, "content.path", "must not be empty");
    if (empty(o->style_path)) return wrong(err, c, "style.path", "must not be empty");
    if (empty(o->output)) return wrong(err, c, "output.path", "must not be empty");
    if (empty(o->features)) return wrong(err, c, "features", "must be a file, or random");
    if (o->init == STYLE_FROM_IMAGE && empty(o->start)) return wrong(err, c, "image.init", "image needs image.start");
    if (o->content_weight == 0 && o->style_weight == 0)
        return wrong(err, c, "content.weight", "and style.weight are both 0: there is nothing to do");
    return STATUS_OK;
}

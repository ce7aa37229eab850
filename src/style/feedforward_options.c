#include "style/feedforward_options.h"

#include "models/generator.h"
#include "style/network_fields.h"
#include "training/update_fields.h"

#define AT(field) offsetof(style_feedforward_options, field)

const config_field style_feedforward_fields[] = {
    {"model.generator", CONFIG_CHOICE, AT(generator), "resnet_6blocks", .choices = model_generator_names,
     .help = "architecture of the generator"},
    {"model.ngf", CONFIG_INT, AT(ngf), "32", 1, 512, .help = "channels of its first layer"},
    {"model.upsample", CONFIG_CHOICE, AT(upsample), "resize_conv", .choices = model_upsample_names,
     .help = "how a resnet grows pictures back: resize_conv leaves no checkerboard"},
    STYLE_NETWORK_FIELDS(CONFIG_MAY_CHANGE),
    {"content.layers", CONFIG_STRING, AT(content_layers), "relu1_2, relu3_3", .flags = CONFIG_MAY_CHANGE,
     .help = "layers that keep the content: early ones details and colours, late ones what is where. One at full "
             "resolution, such as relu1_2, keeps a fine grid away, which late ones do not see"},
    {"content.weights", CONFIG_STRING, AT(content_weights), .flags = CONFIG_MAY_CHANGE,
     .help = "a weight for each of them (else 1)"},
    {"content.weight", CONFIG_FLOAT, AT(content_weight), "1", 0, 1e12, .flags = CONFIG_MAY_CHANGE,
     .help = "weight of them all; squared differences are relative to the mean square of the pictures' features"},
    {"style.layers", CONFIG_STRING, AT(style_layers), "relu1_2, relu2_2, relu3_3, relu4_3", .flags = CONFIG_MAY_CHANGE,
     .help = "layers whose Gram matrices are the style"},
    {"style.weights", CONFIG_STRING, AT(style_weights), .flags = CONFIG_MAY_CHANGE,
     .help = "a weight for each of them (else 1 / their number)"},
    {"style.weight", CONFIG_FLOAT, AT(style_weight), "3", 0, 1e15, .flags = CONFIG_MAY_CHANGE,
     .help = "weight of them all; squared differences are relative to the style's Gram matrix"},
    {"style.scale", CONFIG_FLOAT, AT(style_scale), "1", 0.05, 20, .flags = CONFIG_MAY_CHANGE,
     .help = "shorter side of style pictures, relative to data.crop_size: larger gives larger strokes"},
    {"total_variation.weight", CONFIG_FLOAT, AT(variation_weight), "3", 0, 1e12, .flags = CONFIG_MAY_CHANGE,
     .help = "weight of (dx^2 + dy^2)^(exponent / 2) a pixel, where black to white is 2: above 0 it removes noise"},
    {"total_variation.exponent", CONFIG_FLOAT, AT(variation_exponent), "2", 1, 4, .flags = CONFIG_MAY_CHANGE,
     .help = "its exponent"},
    TRAINING_UPDATE_FIELDS("0.9", "generator"),
    {"train.init_from", CONFIG_STRING, AT(init_from), .flags = CONFIG_MAY_CHANGE,
     .help = "file whose generator a new run starts from (else random weights)"},
};
const size_t style_feedforward_field_count = sizeof style_feedforward_fields / sizeof *style_feedforward_fields;

status style_feedforward_options_check(const style_feedforward_options *o, const config *c, int64_t crop, error *err)
{
    model_generator_options generator = {.kind = (model_generator_kind)o->generator};
    int64_t stride = (int64_t)model_generator_stride(&generator);
    if (crop % stride != 0)
        return error_set(err, STATUS_USAGE, "%s: data.crop_size must be a multiple of %lld for %s, is %lld",
                         config_where(c, "data.crop_size"), (long long)stride, model_generator_names[o->generator],
                         (long long)crop);
    if (!o->features || !o->features[0])
        return error_set(err, STATUS_USAGE, "%s: features must be a file, or random", config_where(c, "features"));
    if (o->content_weight == 0 && o->style_weight == 0)
        return error_set(err, STATUS_USAGE, "%s: style.weight and content.weight are both 0: there is nothing to learn",
                         config_where(c, "style.weight"));
    return STATUS_OK;
}

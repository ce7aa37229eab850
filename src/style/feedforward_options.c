#include "style/feedforward_options.h"

#include "models/generator.h"
#include "models/vgg.h"

#define AT(field) offsetof(style_feedforward_options, field)

const config_field style_feedforward_fields[] = {
    {"model.generator", CONFIG_CHOICE, AT(generator), "resnet_6blocks", .choices = model_generator_names,
     .help = "architecture of the generator"},
    {"model.ngf", CONFIG_INT, AT(ngf), "32", 1, 512, .help = "channels of its first layer"},
    {"model.upsample", CONFIG_CHOICE, AT(upsample), "resize_conv", .choices = model_upsample_names,
     .help = "how a resnet grows pictures back: resize_conv leaves no checkerboard"},
    {"features", CONFIG_STRING, AT(features), "random", .flags = CONFIG_MAY_CHANGE,
     .help = "a VGG-16 or VGG-19 (.safetensors); random: a VGG-19 with random weights, which needs no file"},
    {"network.input", CONFIG_CHOICE, AT(input), "auto", .choices = model_vgg_input_names,
     .help = "what it takes: torchvision's mean and deviation; caffe's BGR in [0,255]; RGB in [0,1] (unit) or [-1,1] "
             "(signed); auto: as the file says, else torchvision"},
    {"network.padding", CONFIG_CHOICE, AT(padding), "auto", .choices = model_vgg_padding_names,
     .help = "around its layers; auto: as the file says, else zero"},
    {"network.pool", CONFIG_CHOICE, AT(pool), "auto", .choices = model_vgg_pool_names,
     .help = "its pooling; auto: as the file says, else max; average if it is random"},
    {"network.seed", CONFIG_INT, AT(network_seed), "1", 0, 9e15, .help = "of random weights"},
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
    {"train.beta1", CONFIG_FLOAT, AT(beta1), "0.9", 0, 0.9999, .help = "Adam's decay of the mean gradient"},
    {"train.beta2", CONFIG_FLOAT, AT(beta2), "0.999", 0, 0.999999, .help = "Adam's decay of the mean squared gradient"},
    {"train.adam_eps", CONFIG_FLOAT, AT(adam_eps), "1e-8", 1e-12, 1, .help = "Adam's epsilon"},
    {"train.ema", CONFIG_FLOAT, AT(ema), "0", 0, 0.999999,
     .help = "decay of an exponential moving average of the generator, which is then what is exported (0: none)"},
    {"train.clip_norm", CONFIG_FLOAT, AT(clip_norm), "0", 0, 1e9, .flags = CONFIG_MAY_CHANGE,
     .help = "greatest norm of a step's gradient (0: no clipping)"},
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

#include "gan/options.h"

#include "models/discriminator.h"
#include "models/generator.h"
#include "training/update_fields.h"

static const char *const modes[] = {"lsgan", "vanilla", NULL};

#define AT(field) offsetof(gan_options, field)

const config_field gan_fields[] = {
    {"model.generator", CONFIG_CHOICE, AT(generator), "resnet_9blocks", .choices = model_generator_names,
     .help = "architecture of both generators"},
    {"model.ngf", CONFIG_INT, AT(ngf), "64", 1, 512, .help = "channels of a generator's first layer"},
    {"model.upsample", CONFIG_CHOICE, AT(upsample), "resize_conv", .choices = model_upsample_names,
     .help = "how a resnet grows pictures back: resize_conv leaves no checkerboard, transpose is the reference's"},
    {"model.discriminator", CONFIG_CHOICE, AT(discriminator), "patchgan", .choices = model_discriminator_names,
     .help = "architecture of both discriminators"},
    {"model.ndf", CONFIG_INT, AT(ndf), "64", 1, 512, .help = "channels of a discriminator's first layer"},
    {"model.discriminator_layers", CONFIG_INT, AT(discriminator_layers), "3", 1, MODEL_MAX_LAYERS,
     .help = "strided layers of the n_layers discriminator"},
    {"loss.mode", CONFIG_CHOICE, AT(mode), "lsgan", .choices = modes,
     .help = "adversarial loss: least squares, or cross-entropy with logits (vanilla)"},
    {"loss.lambda_cycle", CONFIG_FLOAT, AT(lambda_cycle), "10", 0, 1e6, .flags = CONFIG_MAY_CHANGE,
     .help = "weight of the cycle-consistency losses"},
    {"loss.lambda_cycle_a", CONFIG_FLOAT, AT(lambda_cycle_a), NULL, 0, 1e6, .flags = CONFIG_MAY_CHANGE,
     .help = "the same for a to b to a alone (else lambda_cycle)"},
    {"loss.lambda_cycle_b", CONFIG_FLOAT, AT(lambda_cycle_b), NULL, 0, 1e6, .flags = CONFIG_MAY_CHANGE,
     .help = "the same for b to a to b alone (else lambda_cycle)"},
    {"loss.lambda_identity", CONFIG_FLOAT, AT(lambda_identity), "0.5", 0, 1e6, .flags = CONFIG_MAY_CHANGE,
     .help = "weight of the identity losses, relative to the cycle weight; 0 saves their time"},
    {"loss.lambda_tv", CONFIG_FLOAT, AT(lambda_tv), "0", 0, 1e6, .flags = CONFIG_MAY_CHANGE,
     .help = "weight of the translations' total variation a pixel: above 0 it removes noise"},
    TRAINING_UPDATE_FIELDS("0.5", "generators"),
    {"train.pool_size", CONFIG_INT, AT(pool_size), "50", 0, 100000,
     .help = "earlier translations kept to train the discriminators on (0: none)"},
    {"train.augment", CONFIG_BOOL, AT(augment), "false", .flags = CONFIG_MAY_CHANGE,
     .help = "discriminators see pictures in other colours, shifted and with a hole (DiffAugment): for few pictures"},
    {"train.init_from", CONFIG_STRING, AT(init_from), .flags = CONFIG_MAY_CHANGE,
     .help = "file whose weights a new run starts from: a training state, or one generator (else random weights)"},
};
const size_t gan_field_count = sizeof gan_fields / sizeof *gan_fields;

status gan_options_check(gan_options *o, const config *c, int64_t crop, error *err)
{
    if (!config_was_given(c, "loss.lambda_cycle_a")) o->lambda_cycle_a = o->lambda_cycle;
    if (!config_was_given(c, "loss.lambda_cycle_b")) o->lambda_cycle_b = o->lambda_cycle;
    model_generator_options generator = {.kind = (model_generator_kind)o->generator};
    int64_t stride = (int64_t)model_generator_stride(&generator);
    if (crop % stride != 0)
        return error_set(err, STATUS_USAGE, "%s: data.crop_size must be a multiple of %lld for %s, is %lld",
                         config_where(c, "data.crop_size"), (long long)stride, model_generator_names[o->generator],
                         (long long)crop);
    model_discriminator_options d = {.kind = (model_discriminator_kind)o->discriminator,
                                     .layers = (size_t)o->discriminator_layers};
    int64_t least = (int64_t)model_discriminator_minimum(&d);
    if (crop < least)
        return error_set(err, STATUS_USAGE, "%s: data.crop_size must be at least %lld for this discriminator, is %lld",
                         config_where(c, "data.crop_size"), (long long)least, (long long)crop);
    return STATUS_OK;
}

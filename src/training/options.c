#include "training/options.h"

#include <string.h>

#include "nn/program.h"

static const char *const fits[] = {"squash", "cover", "none", NULL};
static const char *const storages[] = {"f32", "bf16", NULL};
static const char *const schedules[] = {"linear", "constant", "cosine", NULL};

const char *const training_kind_names[] = {"cyclegan", "feedforward", NULL};

#define AT(field) offsetof(training_options, field)

const config_field training_fields[] = {
    {"name", CONFIG_STRING, AT(name), .flags = CONFIG_REQUIRED, .help = "name of the run: its folder under output.folder"},
    {"method", CONFIG_CHOICE, AT(kind), "cyclegan", .choices = training_kind_names,
     .help = "cyclegan: two generators, a to b and b to a; feedforward: one, which gives a the style of b"},
    {"domains.a.name", CONFIG_STRING, AT(domains[0].name), "a", .help = "what the first domain is called"},
    {"domains.a.train", CONFIG_STRING, AT(domains[0].train), .flags = CONFIG_REQUIRED | CONFIG_MAY_CHANGE,
     .help = "folder of its training pictures"},
    {"domains.a.test", CONFIG_STRING, AT(domains[0].test), .flags = CONFIG_MAY_CHANGE,
     .help = "folder of its test pictures, for samples (else training pictures are shown)"},
    {"domains.b.name", CONFIG_STRING, AT(domains[1].name), "b", .help = "what the second domain is called"},
    {"domains.b.train", CONFIG_STRING, AT(domains[1].train), .flags = CONFIG_REQUIRED | CONFIG_MAY_CHANGE,
     .help = "folder of its training pictures"},
    {"domains.b.test", CONFIG_STRING, AT(domains[1].test), .flags = CONFIG_MAY_CHANGE,
     .help = "folder of its test pictures"},
    {"data.load_size", CONFIG_INT, AT(load_size), "286", 8, 8192, .help = "side to which pictures are resized"},
    {"data.crop_size", CONFIG_INT, AT(crop_size), "256", 8, 8192, .help = "side of the random crop that is trained on"},
    {"data.fit", CONFIG_CHOICE, AT(fit), "squash", .choices = fits,
     .help = "squash: to a square, as the reference; cover: shorter side to load_size, shape kept; none: no resizing"},
    {"data.flip", CONFIG_BOOL, AT(flip), "true", .help = "mirror half of the pictures left to right"},
    {"data.cache_mb", CONFIG_INT, AT(cache_mb), "1024", 0, 1048576, .flags = CONFIG_MAY_CHANGE,
     .help = "memory for decoded pictures, in MiB; those beyond it are decoded again each time"},
    {"data.workers", CONFIG_INT, AT(workers), "1", 1, 64, .flags = CONFIG_MAY_CHANGE,
     .help = "threads that decode ahead"},
    {"data.max_megapixels", CONFIG_INT, AT(max_megapixels), "256", 1, 100000, .flags = CONFIG_MAY_CHANGE,
     .help = "larger pictures are refused before they are decoded"},
    {"data.check", CONFIG_INT, AT(check), "200", 0, 1e9, .flags = CONFIG_MAY_CHANGE,
     .help = "pictures of each folder that are looked at before the first step, evenly spread (0: none)"},
    {"train.epochs", CONFIG_INT, AT(epochs), "100", 0, 1000000, .flags = CONFIG_MAY_CHANGE,
     .help = "epochs at the full learning rate"},
    {"train.decay_epochs", CONFIG_INT, AT(decay_epochs), "100", 0, 1000000, .flags = CONFIG_MAY_CHANGE,
     .help = "epochs during which it falls"},
    {"train.steps", CONFIG_INT, AT(steps), "0", 0, 1e9, .flags = CONFIG_MAY_CHANGE,
     .help = "length in steps, decay included; above 0 the epochs do not count"},
    {"train.decay_steps", CONFIG_INT, AT(decay_steps), "0", 0, 1e9, .flags = CONFIG_MAY_CHANGE,
     .help = "how many of train.steps the learning rate falls during"},
    {"train.schedule", CONFIG_CHOICE, AT(schedule), "linear", .choices = schedules, .flags = CONFIG_MAY_CHANGE,
     .help = "how the learning rate falls"},
    {"train.learning_rate", CONFIG_FLOAT, AT(learning_rate), "0.0002", 1e-9, 1, .flags = CONFIG_MAY_CHANGE,
     .help = "Adam's learning rate"},
    {"train.batch_size", CONFIG_INT, AT(batch_size), "1", 1, 256, .help = "pictures of each domain in a step"},
    {"train.seed", CONFIG_INT, AT(seed), "1", 0, 9e15, .help = "everything random follows from it"},
    {"train.precision", CONFIG_CHOICE, AT(precision), "fp32", .choices = nn_precision_names,
     .help = "of activations and products; bf16 takes less time and memory, and a CPU with AVX512-BF16"},
    {"output.folder", CONFIG_STRING, AT(folder), "runs", .flags = CONFIG_MAY_CHANGE, .help = "where runs are kept"},
    {"output.checkpoint_every", CONFIG_INT, AT(checkpoint_every), "500", 1, 1e9, .flags = CONFIG_MAY_CHANGE,
     .help = "steps between checkpoints"},
    {"output.sample_every", CONFIG_INT, AT(sample_every), "500", 0, 1e9, .flags = CONFIG_MAY_CHANGE,
     .help = "steps between sample sheets (0: none)"},
    {"output.sample_count", CONFIG_INT, AT(sample_count), "4", 1, 64, .flags = CONFIG_MAY_CHANGE,
     .help = "pictures of each domain on a sample sheet"},
    {"output.storage", CONFIG_CHOICE, AT(storage), "f32", .choices = storages, .flags = CONFIG_MAY_CHANGE,
     .help = "numbers of the exported generators: bf16 halves their files and rounds weights to 8 bits"},
    {"output.log_every", CONFIG_INT, AT(log_every), "10", 1, 1e9, .flags = CONFIG_MAY_CHANGE,
     .help = "steps between lines of log.jsonl"},
};
const size_t training_field_count = sizeof training_fields / sizeof *training_fields;

enum { LONGEST_NAME = 255 }; /* of file systems */

static status wrong(error *err, const config *c, const char *key, const char *what)
{
    return error_set(err, STATUS_USAGE, "%s: %s %s", config_where(c, key), key, what);
}

status training_options_check(const training_options *o, const config *c, error *err)
{
    if (o->fit != TRAINING_AS_IS && o->crop_size > o->load_size)
        return wrong(err, c, "data.crop_size", "must be at most data.load_size");
    if (strchr(o->name, '/') || strcmp(o->name, ".") == 0 || strcmp(o->name, "..") == 0 || !o->name[0])
        return wrong(err, c, "name", "must be the name of a folder, without '/'");
    if (strlen(o->name) > LONGEST_NAME) return wrong(err, c, "name", "must have at most 255 bytes");
    const char *a = o->domains[0].name, *b = o->domains[1].name;
    if (!a || !a[0]) return wrong(err, c, "domains.a.name", "must not be empty");
    if (!b || !b[0]) return wrong(err, c, "domains.b.name", "must not be empty");
    if (strcmp(a, b) == 0) return wrong(err, c, "domains.b.name", "must differ from domains.a.name");
    if (!o->folder || !o->folder[0]) return wrong(err, c, "output.folder", "must not be empty");
    if (o->steps == 0 && o->epochs + o->decay_epochs == 0)
        return wrong(err, c, "train.epochs", "and train.decay_epochs are both 0: there is nothing to train");
    if (o->decay_steps > o->steps) return wrong(err, c, "train.decay_steps", "must be at most train.steps");
    return STATUS_OK;
}

#include <string.h>

#include "base/memory.h"
#include "gan/options.h"
#include "inspect/internal.h"
#include "models/format.h"
#include "models/infer.h"
#include "style/feedforward_options.h"
#include "training/checkpoint.h"
#include "translate/translator.h"

static bool has_tensors(const safetensors_file *file, const char *prefix)
{
    for (size_t i = 0; i < safetensors_count(file); i++)
        if (text_starts_with(safetensors_at(file, i)->name, prefix)) return true;
    return false;
}

static void add_training_time(const safetensors_file *file, inspect_facts *facts)
{
    double step, seconds;
    char shown[32];
    if (training_checkpoint_number(file, "step", &step, NULL) == STATUS_OK)
        inspect_value(facts, "step", json_integer((json_int_t)step), "%.0f", step);
    if (training_checkpoint_number(file, "seconds", &seconds, NULL) == STATUS_OK)
        inspect_value(facts, "seconds", json_real(seconds), "%s of training",
                      text_duration(seconds, shown, sizeof shown));
}

/* What a photograph takes, which translate does in strips where it can. */
static void add_large(inspect_planner *planner, const inspect_network *n, inspect_facts *facts)
{
    enum { WIDTH = 6144, HEIGHT = 4096 };
    char least[32], limit[32];
    double bytes;
    error problem = {0};
    nn_backend *backend = inspect_planner_backend(planner);
    if (translator_least_memory(backend, &n->generator, WIDTH, HEIGHT, &bytes, &problem) != STATUS_OK) {
        inspect_value(facts, "memory_large", json_null(), "not known: %s", problem.message);
        return;
    }
    inspect_value(facts, "memory_large", json_integer((json_int_t)bytes),
                  "%s at least to translate %dx%d pixels, %s; translate takes up to %s here, or --max-memory",
                  text_bytes(bytes, least, sizeof least), WIDTH, HEIGHT,
                  model_generator_is_unet(&n->generator) ? "as a whole" : "in strips",
                  text_bytes(memory_total() / 2, limit, sizeof limit));
}

/* What translating takes, as planned here; what cannot be planned is said to be so, which is no fault of the file. */
static void add_translation(inspect_planner *planner, const inspect_network *n, inspect_facts *facts)
{
    static const size_t sides[] = {256, 1024};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        char key[64], shown[32];
        double bytes = 0;
        error problem = {0};
        snprintf(key, sizeof key, "memory_%zu", sides[i]);
        if (inspect_plan_translation(planner, &n->generator, sides[i], &bytes, &problem) == STATUS_OK)
            inspect_value(facts, key, json_integer((json_int_t)bytes), "about %s to translate %zux%zu pixels as a "
                          "whole", text_bytes(bytes, shown, sizeof shown), sides[i], sides[i]);
        else
            inspect_value(facts, key, json_null(), "not known: %s", problem.message);
    }
    add_large(planner, n, facts);
}

static void add_step(inspect_planner *planner, const training_settings *s, inspect_facts *facts)
{
    training_footprint f;
    char shown[3][32];
    error problem = {0};
    if (inspect_plan_training(planner, s, &f, &problem) == STATUS_OK)
        inspect_value(facts, "memory_training", json_integer((json_int_t)(f.step_bytes + f.kept_bytes)),
                      "about %s: %s for a step, %s for %s; pictures besides",
                      text_bytes(f.step_bytes + f.kept_bytes, shown[0], sizeof shown[0]),
                      text_bytes(f.step_bytes, shown[1], sizeof shown[1]),
                      text_bytes(f.kept_bytes, shown[2], sizeof shown[2]), f.kept);
    else
        inspect_value(facts, "memory_training", json_null(), "not known: %s", problem.message);
}

/* The networks of a file that its config describes. */
typedef struct described {
    const inspect_network *generator, *discriminator; /* NULL: the file has none */
    bool one_way; /* a style network's state, which has no discriminator */
} described;

static bool is_gan(const training_settings *s) { return s->trainer->kind == TRAINING_CYCLEGAN; }

/* A config of other networks would be wrong about the memory, and could ask for any amount of planning. */
static bool fits(const training_settings *s, const described *networks)
{
    const gan_options *o = is_gan(s) ? s->options : NULL;
    const style_feedforward_options *style = is_gan(s) ? NULL : s->options;
    const model_generator_options *g = &networks->generator->generator;
    model_generator_options told = {.kind = (model_generator_kind)(o ? o->generator : style->generator)};
    bool same = (size_t)(o ? o->ngf : style->ngf) == g->ngf && model_generator_is_unet(&told) == model_generator_is_unet(g) &&
                model_generator_blocks(&told) == model_generator_blocks(g);
    if (!o || !networks->discriminator) return same && !(style && networks->discriminator);
    const model_discriminator_options *d = &networks->discriminator->discriminator;
    size_t layers = o->discriminator == MODEL_N_LAYERS ? (size_t)o->discriminator_layers : 3;
    bool pixel = o->discriminator == MODEL_PIXEL;
    return same && (size_t)o->ndf == d->ndf && pixel == (d->kind == MODEL_PIXEL) && (pixel || layers == d->layers);
}

/* With the memory of a training step when the file is a state. */
static void add_config(const safetensors_file *file, const described *networks, inspect_planner *planner,
                       inspect_facts *facts)
{
    const char *yaml = safetensors_metadata_get(file, "config");
    training_settings settings;
    error problem = {0};
    if (!yaml) return;
    if (inspect_settings_read(&settings, "config", yaml, &problem) != STATUS_OK) {
        inspect_value(facts, "config", inspect_json_string(problem.message), "cannot be read: %s", problem.message);
        training_settings_free(&settings);
        return;
    }
    inspect_settings_facts(&settings, facts);
    if (!fits(&settings, networks))
        inspect_value(facts, "config", json_string("of other networks"), "is of other networks than the tensors");
    else if (networks->discriminator || networks->one_way)
        add_step(planner, &settings, facts);
    training_settings_free(&settings);
}

static void add_direction(const safetensors_file *file, inspect_facts *facts)
{
    const char *direction = safetensors_metadata_get(file, "direction");
    const char *from = safetensors_metadata_get(file, "from"), *to = safetensors_metadata_get(file, "to");
    inspect_string(facts, "direction", direction);
    inspect_string(facts, "from", from);
    inspect_string(facts, "to", to);
}

typedef struct subject {
    const char *path;
    const safetensors_file *file;
    const inspect_options *options;
    inspect_planner *planner;
} subject;

static status tell_generator(const subject *s, inspect_facts *facts, error *err)
{
    inspect_network n;
    TRY(inspect_generator(s->planner, s->file, "", &n, err));
    inspect_begin(facts, s->path, "generator");
    inspect_network_facts(&n, "network", facts);
    add_direction(s->file, facts);
    add_training_time(s->file, facts);
    TRY(inspect_contents(s->path, s->file, facts, err));
    add_translation(s->planner, &n, facts);
    add_config(s->file, &(described){.generator = &n}, s->planner, facts);
    return STATUS_OK;
}

static status tell_discriminator(const subject *s, inspect_facts *facts, error *err)
{
    inspect_network n;
    TRY(inspect_discriminator(s->planner, s->file, "", &n, err));
    inspect_begin(facts, s->path, "discriminator");
    inspect_network_facts(&n, "network", facts);
    return inspect_contents(s->path, s->file, facts, err);
}

static void add_pools(const safetensors_file *file, inspect_facts *facts)
{
    static const char *const keys[2] = {"pool_a", "pool_b"};
    for (int i = 0; i < 2; i++) {
        const safetensors_entry *pool = safetensors_find(file, keys[i]);
        if (pool && pool->rank == 4)
            inspect_value(facts, keys[i], json_integer((json_int_t)pool->shape[0]), "%zu picture%s of %zux%zu",
                          pool->shape[0], pool->shape[0] == 1 ? "" : "s", pool->shape[2], pool->shape[1]);
    }
}

static status tell_state(const subject *s, inspect_facts *facts, error *err)
{
    static const char *const keys[4] = {"G_A", "G_B", "D_A", "D_B"};
    static const char *const prefixes[4] = {"G_A.", "G_B.", "D_A.", "D_B."};
    static const char *const averages[2] = {"ema.G_A.", "ema.G_B."};
    inspect_network networks[4], average;
    described two = {.generator = &networks[0]};
    const char *yaml = safetensors_metadata_get(s->file, "config");
    training_kind kind = TRAINING_CYCLEGAN;
    bool one_way = yaml && training_settings_kind_of_text("config", yaml, &kind, NULL) == STATUS_OK &&
                   kind == TRAINING_FEEDFORWARD;
    two.one_way = one_way;
    inspect_begin(facts, s->path, "training state");
    for (int i = 0; i < 4; i++) {
        /* Generators alone, put into one file; a style network has but one. */
        if (i >= (one_way ? 1 : 2) && !has_tensors(s->file, prefixes[i])) continue;
        TRY(i < 2 ? inspect_generator(s->planner, s->file, prefixes[i], &networks[i], err)
                  : inspect_discriminator(s->planner, s->file, prefixes[i], &networks[i], err));
        inspect_network_facts(&networks[i], keys[i], facts);
        if (i == 2) two.discriminator = &networks[i];
    }
    bool averaged = has_tensors(s->file, "ema.");
    for (int i = 0; averaged && i < (one_way ? 1 : 2); i++)
        TRY(inspect_generator(s->planner, s->file, averages[i], &average, err));
    inspect_value(facts, "ema", json_boolean(averaged), "%s", averaged ? "averaged generators are there" : "none");
    add_pools(s->file, facts);
    inspect_string(facts, "domain_a", safetensors_metadata_get(s->file, "domain_a"));
    inspect_string(facts, "domain_b", safetensors_metadata_get(s->file, "domain_b"));
    add_training_time(s->file, facts);
    TRY(inspect_contents(s->path, s->file, facts, err));
    add_translation(s->planner, &networks[0], facts);
    add_config(s->file, &two, s->planner, facts);
    return STATUS_OK;
}

static status tell_features(const subject *s, inspect_facts *facts, error *err)
{
    inspect_begin(facts, s->path, "features of a VGG network");
    inspect_features(s->file, facts);
    return inspect_contents(s->path, s->file, facts, err);
}

static status tell_others(const subject *s, inspect_facts *facts, error *err)
{
    inspect_begin(facts, s->path, "tensors");
    inspect_string(facts, "of_kind", safetensors_metadata_get(s->file, "kind"));
    TRY(inspect_contents(s->path, s->file, facts, err));
    inspect_tensor_list(s->file, s->options->tensors, facts);
    return STATUS_OK;
}

static status tell(const subject *s, inspect_facts *facts, error *err)
{
    const char *kind = safetensors_metadata_get(s->file, "kind");
    model_generator_options generator;
    TRY(model_format_check(s->file, err));
    status (*teller)(const subject *, inspect_facts *, error *) = tell_others;
    bool bare = !kind || !safetensors_metadata_get(s->file, MODEL_FORMAT_KEY);
    if (!bare && strcmp(kind, "generator") == 0)
        teller = tell_generator;
    else if (bare ? has_tensors(s->file, "G_A.") : strcmp(kind, "training_state") == 0)
        teller = tell_state;
    else if (inspect_is_features(s->file))
        teller = tell_features;
    else if (bare && model_generator_infer(s->file, "", &generator, NULL) == STATUS_OK)
        teller = tell_generator;
    else if (bare && (safetensors_find(s->file, "model.0.weight") || safetensors_find(s->file, "net.0.weight")))
        teller = tell_discriminator;
    TRY(teller(s, facts, err));
    if (s->options->tensors && teller != tell_others) inspect_tensor_list(s->file, true, facts);
    return STATUS_OK;
}

status inspect_weights(const char *path, const inspect_options *options, inspect_facts *facts, error *err)
{
    safetensors_file *file;
    TRY(safetensors_open(path, &file, err));
    subject s = {.path = path, .file = file, .options = options};
    status result = inspect_planner_create(options->threads, &s.planner, err);
    if (result == STATUS_OK) {
        result = tell(&s, facts, err);
        if (result != STATUS_OK && !text_starts_with(err->message, path)) error_prefix(err, "%s", path);
    }
    inspect_planner_destroy(s.planner);
    safetensors_close(file);
    return result;
}

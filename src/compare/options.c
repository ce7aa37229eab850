#include "compare/options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "compare/pictures.h"

enum { LONGEST_NAME = 64 };

const char *const comparison_kind_names[] = {"gan", "gatys", "feedforward", NULL};

#define AT(field) offsetof(comparison_options, field)

/* The rows of methods.NUMBER. */
#define METHOD(number, i)                                                                                             \
    {"methods." number ".kind", CONFIG_CHOICE, AT(methods[i].kind), .choices = comparison_kind_names,                 \
     .help = "gan and feedforward: a trained generator; gatys: optimisation of each picture"},                        \
    {"methods." number ".name", CONFIG_STRING, AT(methods[i].name),                                                   \
     .help = "what people call it, and its folder under images/"},                                                    \
    {"methods." number ".model", CONFIG_STRING, AT(methods[i].model),                                                 \
     .help = "gan, feedforward: file of the generator or training state"},                                            \
    {"methods." number ".to", CONFIG_STRING, AT(methods[i].to),                                                       \
     .help = "gan: the domain to translate to, where the file has both directions"},                                  \
    {"methods." number ".settings", CONFIG_STRING, AT(methods[i].settings),                                           \
     .help = "gatys: config of `cyclegan gatys`; its contents, output and size are replaced"},                        \
    {"methods." number ".style", CONFIG_STRING, AT(methods[i].style),                                                 \
     .help = "gatys: style picture or folder, instead of the config's (else the targets)"},                           \
    {"methods." number ".features", CONFIG_STRING, AT(methods[i].features),                                           \
     .help = "gatys: VGG file or random, instead of the config's"},                                                   \
    {"methods." number ".iterations", CONFIG_INT, AT(methods[i].iterations), "0", 0, 1000000,                         \
     .help = "gatys: instead of the config's (0: the config's)"},                                                     \
    {"methods." number ".content_weight", CONFIG_FLOAT, AT(methods[i].content_weight), NULL, 0, 1e12,                 \
     .help = "gatys: instead of the config's"},                                                                       \
    {"methods." number ".style_weight", CONFIG_FLOAT, AT(methods[i].style_weight), NULL, 0, 1e15,                     \
     .help = "gatys: instead of the config's"},                                                                       \
    {"methods." number ".training_seconds", CONFIG_FLOAT, AT(methods[i].training_seconds), NULL, 0, 1e12,             \
     .help = "time of its training (else what the model's file says)"}

static const config_field fields[] = {
    {"name", CONFIG_STRING, AT(name), .flags = CONFIG_REQUIRED,
     .help = "name of the comparison: its folder under output.folder"},
    {"inputs", CONFIG_STRING, AT(inputs), .flags = CONFIG_REQUIRED, .help = "folder of pictures that every method gets"},
    {"targets", CONFIG_STRING, AT(targets), .flags = CONFIG_REQUIRED,
     .help = "folder of real pictures of what inputs are to become, that no method was trained on"},
    {"train", CONFIG_STRING, AT(train),
     .help = "folder of the pictures that methods were trained on, of the targets' kind: shows what was copied"},
    {"size", CONFIG_INT, AT(size), "0", 0, 8192, .help = "shorter side to which inputs are scaled (0: as they are)"},
    {"measures.features", CONFIG_STRING, AT(features), "random",
     .help = "network that measures look through: VGG file; random: weights drawn at random; none: no such measures"},
    {"measures.layer", CONFIG_STRING, AT(layer), "relu4_2", .help = "its layer that features are taken from"},
    {"measures.side", CONFIG_INT, AT(side), "128", 32, 2048,
     .help = "measures see pictures as squares of this side, a power of two"},
    {"measures.seed", CONFIG_INT, AT(seed), "1", 0, 9e15, .help = "of a random network and random patches"},
    {"output.folder", CONFIG_STRING, AT(folder), "runs", .help = "where comparisons are kept"},
    METHOD("1", 0),
    METHOD("2", 1),
    METHOD("3", 2),
    METHOD("4", 3),
    METHOD("5", 4),
    METHOD("6", 5),
    METHOD("7", 6),
    METHOD("8", 7),
};
enum { FIELDS = sizeof fields / sizeof *fields, COMMON_FIELDS = 10,
       METHOD_FIELDS = (FIELDS - COMMON_FIELDS) / COMPARISON_METHODS };

void comparison_options_table(comparison_options *target, size_t methods, config_table *out)
{
    if (methods > COMPARISON_METHODS) methods = COMPARISON_METHODS;
    *out = (config_table){fields, COMMON_FIELDS + METHOD_FIELDS * methods, target};
}

typedef struct method_check {
    const config *c;
    comparison_options *options;
    size_t number; /* from 0 */
} method_check;

static const config_field *row(const method_check *m, size_t field)
{
    return &fields[COMMON_FIELDS + METHOD_FIELDS * m->number + field];
}

/* Where the method stands: its first row that was given; NULL: none was. */
static const char *first_given(const method_check *m)
{
    for (size_t i = 0; i < METHOD_FIELDS; i++)
        if (config_was_given(m->c, row(m, i)->key)) return row(m, i)->key;
    return NULL;
}

static status wrong(error *err, const config *c, const char *key, const char *what)
{
    return error_set(err, STATUS_USAGE, "%s: %s %s", config_where(c, key), key, what);
}

static status lacks(error *err, const method_check *m, const char *what)
{
    return error_set(err, STATUS_USAGE, "%s: methods.%zu needs a %s", config_where(m->c, first_given(m)), m->number + 1,
                     what);
}

static status check_folder_name(const config *c, const char *key, const char *name, error *err)
{
    if (!name || !name[0] || strchr(name, '/') || name[0] == '.')
        return wrong(err, c, key, "must be the name of a folder, without '/', and not begin with '.'");
    if (strlen(name) > LONGEST_NAME) return wrong(err, c, key, "must have at most 64 bytes");
    return STATUS_OK;
}

static status check_name(const method_check *m, error *err)
{
    const comparison_method_options *methods = m->options->methods;
    char key[64];
    snprintf(key, sizeof key, "methods.%zu.name", m->number + 1);
    if (!methods[m->number].name) return lacks(err, m, "name");
    TRY(check_folder_name(m->c, key, methods[m->number].name, err));
    if (strcmp(methods[m->number].name, COMPARISON_INPUT) == 0)
        return wrong(err, m->c, key, "must not be 'input': that is the inputs' folder");
    for (size_t i = 0; i < m->number; i++)
        if (methods[i].given && strcmp(methods[i].name, methods[m->number].name) == 0)
            return wrong(err, m->c, key, "is the name of another method already");
    return STATUS_OK;
}

/* Fields that another kind has would be passed over in silence. */
static status check_kind(const method_check *m, error *err)
{
    static const char *const of_models[] = {"model", "to"};
    static const char *const of_gatys[] = {"settings", "style", "features", "iterations", "content_weight",
                                           "style_weight"};
    const comparison_method_options *o = &m->options->methods[m->number];
    bool gatys = o->kind == COMPARISON_GATYS;
    const char *const *others = gatys ? of_models : of_gatys;
    size_t count = gatys ? sizeof of_models / sizeof *of_models : sizeof of_gatys / sizeof *of_gatys;
    char key[64];
    for (size_t i = 0; i < count; i++) {
        snprintf(key, sizeof key, "methods.%zu.%s", m->number + 1, others[i]);
        if (config_was_given(m->c, key))
            return wrong(err, m->c, key, gatys ? "is for gan and feedforward, not for gatys" : "is for gatys alone");
    }
    if (!gatys && (!o->model || !o->model[0])) return lacks(err, m, "model");
    return STATUS_OK;
}

static status check_method(const method_check *m, error *err)
{
    comparison_method_options *o = &m->options->methods[m->number];
    char key[64];
    o->given = first_given(m) != NULL;
    if (!o->given) return STATUS_OK;
    snprintf(key, sizeof key, "methods.%zu.kind", m->number + 1);
    if (!config_was_given(m->c, key)) return lacks(err, m, "kind: gan, gatys or feedforward");
    const struct { const char *field; double *value; } numbers[] = {
        {"content_weight", &o->content_weight}, {"style_weight", &o->style_weight},
        {"training_seconds", &o->training_seconds}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        snprintf(key, sizeof key, "methods.%zu.%s", m->number + 1, numbers[i].field);
        if (!config_was_given(m->c, key)) *numbers[i].value = NAN;
    }
    TRY(check_name(m, err));
    return check_kind(m, err);
}

status comparison_options_check(comparison_options *o, const config *c, error *err)
{
    TRY(check_folder_name(c, "name", o->name, err));
    const struct { const char *key, *value; } needed[] = {{"inputs", o->inputs}, {"targets", o->targets},
                                                          {"measures.features", o->features},
                                                          {"measures.layer", o->layer}, {"output.folder", o->folder}};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!needed[i].value || !needed[i].value[0]) return wrong(err, c, needed[i].key, "must not be empty");
    if (o->side & (o->side - 1)) return wrong(err, c, "measures.side", "must be a power of two");
    size_t count = 0;
    for (size_t i = 0; i < COMPARISON_METHODS; i++) {
        TRY(check_method(&(method_check){c, o, i}, err));
        count += o->methods[i].given;
    }
    if (!count) return error_set(err, STATUS_USAGE, "%s: no method is given; expected methods.1 at least",
                                 config_where(c, "name"));
    return STATUS_OK;
}

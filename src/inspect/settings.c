#include <string.h>

#include "gan/train.h"
#include "inspect/internal.h"
#include "style/feedforward_train.h"

status inspect_settings_read(training_settings *s, const char *name, const char *yaml, error *err)
{
    training_kind kind;
    *s = (training_settings){0};
    TRY(training_settings_kind_of_text(name, yaml, &kind, err));
    const training_trainer *trainer = kind == TRAINING_CYCLEGAN ? &gan_trainer : &style_feedforward_trainer;
    return training_settings_read_text(s, trainer, name, yaml, err);
}

/* "key value, key value, ..." over several lines. */
static void add_wrapped(const char *list, json_t *object, inspect_facts *facts)
{
    enum { LINE_WIDTH = 90 };
    for (const char *line = list; line;) {
        const char *end = strlen(line) > LINE_WIDTH ? line + LINE_WIDTH : NULL;
        while (end && end > line && strncmp(end, ", ", 2) != 0) end--;
        if (end == line) end = strstr(line + 1, ", "); /* a long one */
        int length = end ? (int)(end + 1 - line) : (int)strlen(line);
        if (line == list)
            inspect_value(facts, "not_as_by_default", object, "%.*s", length, line);
        else
            inspect_note(facts, "%.*s", length, line);
        line = end ? end + 2 : NULL;
    }
}

/* Each line of the differences, "key: default -> value". */
static void add_lines(const text *lines, json_t *object, text *shown, inspect_facts *facts)
{
    for (const char *line = text_get(lines), *end; (end = strchr(line, '\n')); line = end + 1) {
        char whole[1024];
        snprintf(whole, sizeof whole, "%.*s", (int)(end - line), line);
        char *colon = strstr(whole, ": "), *arrow = strstr(whole, " -> ");
        /* The names, the method and the folders are facts of their own. */
        bool told = text_starts_with(whole, "name:") || text_starts_with(whole, "method:") ||
                    text_starts_with(whole, "domains.");
        if (!colon || !arrow || arrow < colon || told) continue;
        *colon = '\0';
        text_format(shown, "%s%s %s", shown->length ? ", " : "", whole, arrow + 4);
        if (json_object_set_new(object, whole, inspect_json_string(arrow + 4)) != 0) facts->failed = true;
    }
}

/* What is not as it would be without a config. */
static void add_differences(const training_settings *s, inspect_facts *facts)
{
    training_settings plain;
    text allowed = {0}, forbidden = {0}, shown = {0};
    if (training_settings_init(&plain, s->trainer, NULL) == STATUS_OK) {
        json_t *object = json_object();
        config_difference(plain.config, s->config, &allowed, &forbidden);
        add_lines(&forbidden, object, &shown, facts);
        add_lines(&allowed, object, &shown, facts);
        add_wrapped(shown.length ? text_get(&shown) : "nothing", object, facts);
    } else {
        facts->failed = true;
    }
    facts->failed = facts->failed || allowed.failed || forbidden.failed || shown.failed;
    training_settings_free(&plain);
    text_free(&allowed);
    text_free(&forbidden);
    text_free(&shown);
}

void inspect_settings_facts(const training_settings *s, inspect_facts *facts)
{
    const training_options *o = &s->training;
    inspect_string(facts, "name", o->name);
    inspect_string(facts, "method", training_kind_names[o->kind]);
    json_t *domains = json_object();
    for (int d = 0; d < 2; d++) {
        json_t *domain = json_pack("{s: o, s: o}", "name", inspect_json_string(o->domains[d].name), "train",
                                   inspect_json_string(o->domains[d].train));
        if (json_object_set_new(domains, d ? "b" : "a", domain) != 0) facts->failed = true;
    }
    inspect_value(facts, "domains", domains, "a: %s in %s; b: %s in %s", o->domains[0].name, o->domains[0].train,
                  o->domains[1].name, o->domains[1].train);
    inspect_value(facts, "crop_size", json_integer(o->crop_size), "%lld, of pictures loaded at %lld",
                  (long long)o->crop_size, (long long)o->load_size);
    inspect_value(facts, "batch_size", json_integer(o->batch_size), "%lld", (long long)o->batch_size);
    add_differences(s, facts);
}

#include <stdlib.h>
#include <string.h>

#include "config/internal.h"

config_entry *config_find(const config *c, const char *key, size_t length)
{
    for (size_t i = 0; i < c->count; i++) {
        const char *known = c->entries[i].field->key;
        if (strlen(known) == length && memcmp(known, key, length) == 0) return &c->entries[i];
    }
    return NULL;
}

static bool inside(const char *key, const char *map, size_t length)
{
    return length == 0 || (strncmp(key, map, length) == 0 && key[length] == '.');
}

const char *config_find_map(const config *c, const char *key, size_t length)
{
    if (memchr(key, '\0', length)) return NULL;
    for (size_t i = 0; i < c->count; i++)
        if (inside(c->entries[i].field->key, key, length)) return c->entries[i].field->key;
    return NULL;
}

/* The component of `key` that follows the map's name: its first byte and, by *length, its size. */
static const char *component(const char *key, size_t map_length, size_t *length)
{
    const char *name = key + map_length + (map_length != 0);
    *length = strcspn(name, ".");
    return name;
}

typedef struct word_list {
    char **words;
    size_t count;
} word_list;

static void words_free(word_list *list)
{
    for (size_t i = 0; i < list->count; i++) free(list->words[i]);
    free(list->words);
}

/* The distinct names in the map `map`; empty when there is no memory, which costs only a hint. */
static word_list names_in(const config *c, const char *map, size_t map_length)
{
    word_list list = {.words = calloc(c->count ? c->count : 1, sizeof *list.words)};
    for (size_t i = 0; list.words && i < c->count; i++) {
        const char *key = c->entries[i].field->key;
        if (!inside(key, map, map_length)) continue;
        size_t length;
        const char *name = component(key, map_length, &length);
        bool known = false;
        for (size_t k = 0; k < list.count; k++)
            known = known || (strlen(list.words[k]) == length && memcmp(list.words[k], name, length) == 0);
        if (known) continue;
        list.words[list.count] = text_printf("%.*s", (int)length, name);
        if (list.words[list.count]) list.count++;
    }
    return list;
}

void config_list_map(const config *c, const char *key, size_t length, text *out)
{
    word_list names = names_in(c, key, length);
    for (size_t i = 0; i < names.count; i++) text_format(out, "%s%s", i ? ", " : "", names.words[i]);
    words_free(&names);
}

static const char *last_component(const char *key)
{
    const char *dot = strrchr(key, '.');
    return dot ? dot + 1 : key;
}

/* The key that ends in exactly `name`, or the one whose end is nearest; NULL when none is near. */
static const char *elsewhere(const config *c, const char *name, bool exact)
{
    const char *best = NULL, *nearest = NULL;
    const char **ends = calloc(c->count ? c->count : 1, sizeof *ends);
    if (!ends) return NULL;
    for (size_t i = 0; i < c->count; i++) ends[i] = last_component(c->entries[i].field->key);
    if (!exact) nearest = text_nearest(name, ends, c->count);
    for (size_t i = 0; i < c->count && !best; i++)
        if (exact ? strcmp(ends[i], name) == 0 : ends[i] == nearest) best = c->entries[i].field->key;
    free(ends);
    return best;
}

status config_unknown_key(const config *c, const char *map, const char *name, error *err)
{
    char shown[96];
    text_printable(name, shown, sizeof shown);
    text message = {0};
    text_format(&message, "unknown key '%s'", shown);
    if (map[0]) text_format(&message, " in '%s'", map);
    word_list names = names_in(c, map, strlen(map));
    const char *sibling = text_nearest(name, (const char *const *)names.words, names.count);
    /* A key that is right but stands in the wrong map beats one that only resembles it. */
    const char *other = elsewhere(c, name, true);
    if (!other && !sibling) other = elsewhere(c, name, false);
    const config_entry *dotted = config_find(c, name, strlen(name));
    if (dotted && strchr(name, '.'))
        text_format(&message, "; write '%s' under '%.*s'", last_component(name), (int)(strrchr(name, '.') - name), name);
    else if (other || sibling)
        text_format(&message, "; did you mean '%s'?", other ? other : sibling);
    words_free(&names);
    status result = error_set(err, STATUS_USAGE, "%s", text_get(&message));
    text_free(&message);
    return result;
}

status config_unknown_path(const config *c, const char *path, error *err)
{
    char shown[96];
    text_printable(path, shown, sizeof shown);
    const char *meant = elsewhere(c, last_component(path), true);
    const char **keys = calloc(c->count ? c->count : 1, sizeof *keys);
    for (size_t i = 0; keys && i < c->count; i++) keys[i] = c->entries[i].field->key;
    const char *near = keys ? text_nearest(path, keys, c->count) : NULL;
    free(keys);
    if (near) meant = near;
    if (!meant) meant = elsewhere(c, last_component(path), false);
    if (!meant) return error_set(err, STATUS_USAGE, "unknown key '%s'", shown);
    return error_set(err, STATUS_USAGE, "unknown key '%s'; did you mean '%s'?", shown, meant);
}

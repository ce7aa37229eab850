#include <inttypes.h>
#include <string.h>

#include "config/internal.h"

/* Words that some reader of YAML takes for a bool or null. */
static bool is_reserved(const char *s)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(s) == strlen(words[i]) && text_ends_with_ignoring_case(s, words[i])) return true;
    return false;
}

/* Safe without quotes in every version of YAML: begins like a word or a path, and no ':', '#' or blank at an end. */
static bool is_plain(const char *s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/";
    static const char others[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/0123456789.+- ";
    size_t start = strncmp(s, "./", 2) == 0 ? 1 : strncmp(s, "../", 3) == 0 ? 2 : 0;
    size_t length = strlen(s);
    return length && strchr(letters, s[start]) && strspn(s, others) == length && s[length - 1] != ' ' &&
           !is_reserved(s);
}

static void add_quoted(const char *s, text *out)
{
    text_add(out, "\"");
    for (size_t left = strlen(s), size; left; s += size, left -= size) {
        unsigned long code;
        size = config_utf8(s, left, &code);
        if (!size) { /* an owner's own string; YAML has no form for a lone byte */
            text_format(out, "\\x%02X", (unsigned char)*s);
            size = 1;
            continue;
        }
        bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
        bool special = code == 0x2028 || code == 0x2029 || code == 0xfeff || (code & 0xfffe) == 0xfffe;
        if (code == '"' || code == '\\')
            text_format(out, "\\%c", (int)code);
        else if (code == '\n')
            text_add(out, "\\n");
        else if (code == '\t')
            text_add(out, "\\t");
        else if (control || special)
            text_format(out, "\\U%08lX", code);
        else
            text_append(out, s, size);
    }
    text_add(out, "\"");
}

static void add_string(const char *s, text *out)
{
    if (is_plain(s))
        text_add(out, s);
    else
        add_quoted(s, out);
}

void config_value_text(const config_entry *entry, text *out)
{
    char buffer[32];
    if (!config_has_value(entry)) {
        text_add(out, "null");
        return;
    }
    switch (entry->field->type) {
    case CONFIG_BOOL: text_add(out, *(bool *)entry->value ? "true" : "false"); break;
    case CONFIG_INT: text_format(out, "%" PRId64, *(int64_t *)entry->value); break;
    case CONFIG_FLOAT: text_add(out, config_double_text(*(double *)entry->value, buffer)); break;
    case CONFIG_STRING: add_string(*(char **)entry->value, out); break;
    case CONFIG_CHOICE: add_string(entry->field->choices[*(int *)entry->value], out); break;
    }
}

/* Only an optional string can be null in a file; what else has no value is left out. */
static bool is_written(const config_entry *entry)
{
    return config_has_value(entry) || (entry->field->type == CONFIG_STRING && !(entry->field->flags & CONFIG_REQUIRED));
}

/* Whether the first `length` bytes of entry's key, a whole map or key, came up in an earlier entry. */
static bool came_before(const config *c, size_t index, size_t length)
{
    const char *key = c->entries[index].field->key;
    for (size_t i = 0; i < index; i++) {
        const char *other = c->entries[i].field->key;
        if (is_written(&c->entries[i]) && strncmp(other, key, length) == 0 && other[length] == '.') return true;
    }
    return false;
}

/* Tables of several owners may share a map, so its keys are gathered: a map must not appear twice. */
static void dump_map(const config *c, const char *map, size_t map_length, int depth, text *out)
{
    size_t begin = map_length ? map_length + 1 : 0;
    for (size_t i = 0; i < c->count; i++) {
        const char *key = c->entries[i].field->key;
        if (!is_written(&c->entries[i])) continue;
        if (map_length && (strncmp(key, map, map_length) != 0 || key[map_length] != '.')) continue;
        size_t length = strcspn(key + begin, ".");
        bool leaf = key[begin + length] == '\0';
        if (!leaf && came_before(c, i, begin + length)) continue;
        text_format(out, "%*s", 2 * depth, "");
        /* A key is quoted by the same rule as a value: "on" or "y" would not be text elsewhere. */
        char name[CONFIG_KEY_LIMIT];
        snprintf(name, sizeof name, "%.*s", (int)length, key + begin);
        add_string(name, out);
        text_add(out, ":");
        if (leaf) {
            text_add(out, " ");
            config_value_text(&c->entries[i], out);
        }
        text_add(out, "\n");
        if (!leaf) dump_map(c, key, begin + length, depth + 1, out);
    }
}

void config_dump(const config *c, text *out) { dump_map(c, "", 0, 0, out); }

static void add_default(const config_field *field, text *out)
{
    if (field->flags & CONFIG_REQUIRED)
        text_add(out, "required");
    else if (!field->fallback)
        text_add(out, "not set");
    else if (field->fallback[0] == '\0')
        text_add(out, "empty");
    else
        text_add(out, field->fallback);
}

/* A bar would end the cell. */
static void add_cell(const char *string, text *out)
{
    for (; *string; string++) {
        if (*string == '|') text_add(out, "\\");
        text_append(out, string, 1);
    }
}

void config_help(const config_table *tables, size_t count, bool markdown, text *out)
{
    text type = {0}, fallback = {0};
    if (markdown) text_add(out, "| key | value | default | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < tables[i].count; k++) {
            const config_field *field = &tables[i].fields[k];
            const char *help = field->help ? field->help : "";
            text_clear(&type);
            text_clear(&fallback);
            config_describe(field, &type);
            add_default(field, &fallback);
            if (markdown) {
                text_format(out, "| `%s` | ", field->key);
                add_cell(text_get(&type), out);
                text_add(out, " | ");
                add_cell(text_get(&fallback), out);
                text_add(out, " | ");
                add_cell(help, out);
                text_add(out, " |\n");
            } else {
                bool given = field->fallback && !(field->flags & CONFIG_REQUIRED);
                text_format(out, "  %s: %s (%s%s)\n      %s\n", field->key, text_get(&type), given ? "default " : "",
                            text_get(&fallback), help);
            }
        }
    text_free(&type);
    text_free(&fallback);
}

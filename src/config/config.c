#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#include "config/internal.h"

/* Mistakes in a table are its owner's, found by the first test that makes the config. */
static status check_field(const config *c, const config_field *field, error *err)
{
    size_t length = strlen(field->key);
    if (length == 0 || length >= CONFIG_KEY_LIMIT || field->key[0] == '.' || field->key[length - 1] == '.' ||
        strstr(field->key, ".."))
        return error_set(err, STATUS_FAILED, "config table: the key '%s' is malformed", field->key);
    if (config_find(c, field->key, length))
        return error_set(err, STATUS_FAILED, "config table: the key '%s' is there twice", field->key);
    if (config_find_map(c, field->key, length))
        return error_set(err, STATUS_FAILED, "config table: the key '%s' is a map of others", field->key);
    for (const char *dot = strchr(field->key, '.'); dot; dot = strchr(dot + 1, '.'))
        if (config_find(c, field->key, (size_t)(dot - field->key)))
            return error_set(err, STATUS_FAILED, "config table: '%s' lies inside a key that holds a value", field->key);
    if (!(field->minimum <= field->maximum))
        return error_set(err, STATUS_FAILED, "config table: the range of '%s' is empty", field->key);
    if (field->type == CONFIG_CHOICE && (!field->choices || !field->choices[0]))
        return error_set(err, STATUS_FAILED, "config table: '%s' has no choices", field->key);
    return STATUS_OK;
}

static status set_default(config_entry *entry, error *err)
{
    const config_field *field = entry->field;
    switch (field->type) {
    case CONFIG_BOOL: *(bool *)entry->value = false; break;
    case CONFIG_INT: *(int64_t *)entry->value = 0; break;
    case CONFIG_FLOAT: *(double *)entry->value = 0; break;
    case CONFIG_STRING: *(char **)entry->value = NULL; break;
    case CONFIG_CHOICE: *(int *)entry->value = 0; break;
    }
    if (!field->fallback) return STATUS_OK;
    config_scalar scalar = {field->fallback, strlen(field->fallback), true};
    if (config_assign(entry, &scalar, err) == STATUS_OK) return STATUS_OK;
    if (err && err->code == STATUS_NO_MEMORY) return STATUS_NO_MEMORY;
    error_prefix(err, "config table: default");
    if (err) err->code = STATUS_FAILED;
    return STATUS_FAILED;
}

status config_create(const config_table *tables, size_t count, config **out, error *err)
{
    *out = NULL;
    size_t fields = 0;
    for (size_t i = 0; i < count; i++) fields += tables[i].count;
    config *c = calloc(1, sizeof *c);
    if (c) c->entries = calloc(fields ? fields : 1, sizeof *c->entries);
    if (!c || !c->entries) {
        free(c);
        return error_no_memory(err, "the config", fields * sizeof *c->entries);
    }
    status result = STATUS_OK;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < tables[i].count; k++) {
            const config_field *field = &tables[i].fields[k];
            TRY_OR(error, check_field(c, field, err));
            config_entry *entry = &c->entries[c->count++];
            *entry = (config_entry){.field = field, .value = (char *)tables[i].target + field->offset};
            TRY_OR(error, set_default(entry, err));
        }
    *out = c;
    return STATUS_OK;
error:
    config_destroy(c);
    return result;
}

void config_destroy(config *c)
{
    if (!c) return;
    for (size_t i = 0; i < c->count; i++) {
        config_entry *entry = &c->entries[i];
        free(entry->where);
        if (entry->field->type != CONFIG_STRING) continue;
        free(*(char **)entry->value);
        *(char **)entry->value = NULL;
    }
    free(c->entries);
    free(c->file);
    free(c);
}

void config_pass_over_unknown(config *c) { c->pass_over_unknown = true; }

status config_set(config *c, const char *assignment, error *err)
{
    char shown[160];
    text_printable(assignment, shown, sizeof shown);
    const char *equals = strchr(assignment, '=');
    if (!equals || equals == assignment)
        return error_set(err, STATUS_USAGE, "--set %s: expected KEY=VALUE", shown);
    size_t length = (size_t)(equals - assignment);
    config_scalar scalar = {equals + 1, strlen(equals + 1), true};
    config_entry *entry = config_find(c, assignment, length);
    status result = STATUS_OK;
    unsigned long code;
    for (size_t at = 0, size; at < scalar.length && result == STATUS_OK; at += size) {
        size = config_utf8(scalar.text + at, scalar.length - at, &code);
        if (!size) result = error_set(err, STATUS_USAGE, "the value is not valid UTF-8");
    }
    if (result == STATUS_OK && entry) {
        result = config_assign(entry, &scalar, err);
    } else if (result == STATUS_OK && config_find_map(c, assignment, length)) {
        text keys = {0};
        config_list_map(c, assignment, length, &keys);
        result = error_set(err, STATUS_USAGE, "'%.*s' holds no value but the keys %s", (int)length, assignment,
                           text_get(&keys));
        text_free(&keys);
    } else if (result == STATUS_OK && !c->pass_over_unknown) {
        char *key = text_printf("%.*s", (int)length, assignment);
        result = key ? config_unknown_path(c, key, err) : error_no_memory(err, "a key", length);
        free(key);
    }
    if (result != STATUS_OK) {
        error_prefix(err, "--set %s", shown);
        return result;
    }
    if (!entry) return STATUS_OK;
    char *where = text_copy("--set");
    if (!where) return error_no_memory(err, "a place", sizeof "--set");
    free(entry->where);
    entry->where = where;
    return STATUS_OK;
}

status config_finish(const config *c, error *err)
{
    text missing = {0};
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (!(c->entries[i].field->flags & CONFIG_REQUIRED) || c->entries[i].where) continue;
        text_format(&missing, "%s'%s'", count++ ? ", " : "", c->entries[i].field->key);
    }
    status result = STATUS_OK;
    if (count)
        result = error_set(err, STATUS_USAGE, "%s%srequired %s missing: %s", c->file ? c->file : "",
                           c->file ? ": " : "", count > 1 ? "keys are" : "key is", text_get(&missing));
    text_free(&missing);
    return result;
}

bool config_was_given(const config *c, const char *key)
{
    const config_entry *entry = config_find(c, key, strlen(key));
    return entry && entry->where;
}

const char *config_where(const config *c, const char *key)
{
    const config_entry *entry = config_find(c, key, strlen(key));
    return entry && entry->where ? entry->where : "default";
}

static bool equal(const config_entry *a, const config_entry *b)
{
    if (config_has_value(a) != config_has_value(b)) return false;
    if (!config_has_value(a)) return true;
    switch (a->field->type) {
    case CONFIG_BOOL: return *(bool *)a->value == *(bool *)b->value;
    case CONFIG_INT: return *(int64_t *)a->value == *(int64_t *)b->value;
    case CONFIG_FLOAT: return *(double *)a->value == *(double *)b->value;
    case CONFIG_STRING: return strcmp(*(char **)a->value, *(char **)b->value) == 0;
    case CONFIG_CHOICE: return *(int *)a->value == *(int *)b->value;
    }
    return false;
}

void config_difference(const config *old, const config *new_, text *allowed, text *forbidden)
{
    for (size_t i = 0; i < old->count; i++) {
        const config_entry *before = &old->entries[i];
        const config_entry *after = config_find(new_, before->field->key, strlen(before->field->key));
        if (!after || equal(before, after)) continue;
        text *out = before->field->flags & CONFIG_MAY_CHANGE ? allowed : forbidden;
        text_format(out, "%s: ", before->field->key);
        config_value_text(before, out);
        text_add(out, " -> ");
        config_value_text(after, out);
        text_add(out, "\n");
    }
}

#include "translate/manifest.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"

enum { VERSION = 1, LARGEST = 1 << 28 }; /* of a million pictures */

static const char file_name[] = ".cyclegan-manifest.json";

struct manifest {
    char *path;
    json_t *pictures; /* an object: name -> object */
    bool changed;
};

/* The object of pictures, as a new reference; NULL when the text is no manifest. */
static json_t *parse(const char *bytes, size_t size)
{
    json_t *root = json_loadb(bytes, size, 0, NULL), *pictures = json_object_get(root, "pictures");
    if (json_integer_value(json_object_get(root, "cyclegan_manifest")) != VERSION || !json_is_object(pictures))
        pictures = NULL;
    json_incref(pictures);
    json_decref(root);
    return pictures;
}

/* *out stays NULL when there is none that can be used. One that cannot be read is an error: writing a new one would
 * lose what it knows. */
static status read_pictures(const char *path, log_sink *log, json_t **out, error *err)
{
    char *bytes;
    size_t size;
    struct stat info;
    bool found = stat(path, &info) == 0;
    if (!found && (errno == ENOENT || errno == ENOTDIR)) return STATUS_OK;
    if (found && !S_ISREG(info.st_mode)) /* reading a pipe would wait for ever */
        return error_set(err, STATUS_FAILED, "%s: expected a file, found something else", path);
    TRY(file_read_all(path, LARGEST, &bytes, &size, err));
    *out = parse(bytes, size);
    free(bytes);
    if (!*out) log_warn(log, "%s: damaged, or of another version; going on without it", path);
    return STATUS_OK;
}

status manifest_open(const char *folder, log_sink *log, manifest **out, error *err)
{
    *out = NULL;
    manifest *m = calloc(1, sizeof *m);
    if (!m) return error_no_memory(err, "the manifest", sizeof *m);
    m->path = text_join_path(folder, file_name);
    status result = m->path ? read_pictures(m->path, log, &m->pictures, err)
                            : error_no_memory(err, "the manifest", strlen(folder));
    if (result == STATUS_OK && !m->pictures) {
        m->pictures = json_object();
        if (!m->pictures) result = error_no_memory(err, "the manifest", sizeof *m);
    }
    if (result == STATUS_OK)
        *out = m;
    else
        manifest_destroy(m);
    return result;
}

void manifest_destroy(manifest *m)
{
    if (!m) return;
    json_decref(m->pictures);
    free(m->path);
    free(m);
}

/* The key of a path; the caller frees. NULL without memory. */
static char *key_of(const char *relative)
{
    text key = {0};
    text_add(&key, "");
    for (const unsigned char *p = (const unsigned char *)relative; *p; p++) {
        if (*p >= 0x20 && *p < 0x7f && *p != '%')
            text_append(&key, (const char *)p, 1);
        else
            text_format(&key, "%%%02X", *p);
    }
    if (key.failed) text_free(&key);
    return key.data;
}

typedef struct time_text {
    char data[48];
} time_text;

static const char *print_time(struct timespec t, time_text *buffer)
{
    snprintf(buffer->data, sizeof buffer->data, "%lld.%09ld", (long long)t.tv_sec, t.tv_nsec);
    return buffer->data;
}

static bool text_is(const json_t *object, const char *key, const char *expected)
{
    const char *found = json_string_value(json_object_get(object, key));
    return found && strcmp(found, expected) == 0;
}

manifest_match manifest_compare(const manifest *m, const char *relative, const manifest_entry *entry)
{
    char *key = key_of(relative);
    const json_t *known = key ? json_object_get(m->pictures, key) : NULL;
    free(key);
    if (!json_is_object(known)) return MANIFEST_UNKNOWN;
    if (!text_is(known, "made_by", entry->made_by)) return MANIFEST_OTHER_MODEL;
    time_text modified;
    const json_t *bytes = json_object_get(known, "source_bytes");
    bool same = json_is_integer(bytes) && (uint64_t)json_integer_value(bytes) == entry->source_bytes &&
                text_is(known, "source_modified", print_time(entry->source_modified, &modified));
    return same ? MANIFEST_SAME : MANIFEST_OTHER_SOURCE;
}

status manifest_record(manifest *m, const char *relative, const manifest_entry *entry, error *err)
{
    time_text modified;
    char *key = key_of(relative);
    json_t *value = json_pack("{s:s, s:I, s:s}", "made_by", entry->made_by, "source_bytes",
                              (json_int_t)entry->source_bytes, "source_modified",
                              print_time(entry->source_modified, &modified));
    bool ok = key && value && json_object_set(m->pictures, key, value) == 0;
    json_decref(value);
    free(key);
    if (!ok) return error_no_memory(err, "the manifest", strlen(relative));
    m->changed = true;
    return STATUS_OK;
}

status manifest_forget(manifest *m, const char *relative, error *err)
{
    char *key = key_of(relative);
    if (!key) return error_no_memory(err, "the manifest", strlen(relative));
    if (json_object_del(m->pictures, key) == 0) m->changed = true;
    free(key);
    return STATUS_OK;
}

status manifest_save(manifest *m, error *err)
{
    if (!m->changed) return STATUS_OK;
    json_t *root = json_pack("{s:i, s:O}", "cyclegan_manifest", VERSION, "pictures", m->pictures);
    char *bytes = root ? json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
    json_decref(root);
    if (!bytes) return error_no_memory(err, m->path, 0);
    status result = file_write_all(m->path, bytes, strlen(bytes), err);
    free(bytes);
    if (result == STATUS_OK) m->changed = false;
    return result;
}

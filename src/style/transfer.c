#include "style/transfer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/hash.h"
#include "image/folder.h"
#include "style/gatys.h"
#include "translate/manifest.h"

static const char settings_name[] = "gatys.yaml";

typedef struct transfer {
    const style_transfer_request *request;
    log_sink *log;
    style_options o;
    config *config;
    text dump; /* the complete config */
    image_list contents;
    bool folder;  /* the output is one, for a folder of contents */
    char *output; /* that folder, or the file */
    char *parent; /* folder of the output, for the cache */
    manifest *known; /* of that folder */
    style_gatys *g;
    size_t made, present, failed;
    const image_item *item; /* whose result is being made, */
    const char *path;       /* and that result's path */
} transfer;

typedef struct made_by_text {
    char data[48];
} made_by_text;

static status read_config(transfer *t, error *err)
{
    config_table table = {style_fields, style_field_count, &t->o};
    const style_transfer_request *r = t->request;
    TRY(config_create(&table, 1, &t->config, err));
    if (r->config_path) TRY(config_read_file(t->config, r->config_path, err));
    for (size_t i = 0; i < r->setting_count; i++) TRY(config_set(t->config, r->settings[i], err));
    TRY(style_options_finish(&t->o, t->config, err));
    bool overwrite = t->o.overwrite; /* how to write does not change what is made */
    t->o.overwrite = false;
    config_dump(t->config, &t->dump);
    t->o.overwrite = overwrite;
    return t->dump.failed ? error_no_memory(err, "the config", t->dump.length) : STATUS_OK;
}

/* "out/cat.png" -> "out"; "." without a folder. NULL without memory. */
static char *folder_of(const char *path)
{
    const char *name = text_base_name(path);
    if (name == path) return text_copy(".");
    return text_printf("%.*s", (int)(name - path), path);
}

static status settle_output(transfer *t, error *err)
{
    const char *output = t->o.output;
    char shown[200];
    text_printable(output, shown, sizeof shown);
    bool is_folder = file_is_folder(output) || output[strlen(output) - 1] == '/';
    t->folder = file_is_folder(t->o.content_path);
    if (t->folder && (is_folder ? false : file_exists(output) || image_extension_known(output)))
        return error_set(err, STATUS_USAGE, "%s: the output for a folder of contents must be a folder", shown);
    if (!t->folder && !is_folder && !image_extension_known(output))
        return error_set(err, STATUS_USAGE, "%s: the output must be .png, .jpg, .jpeg or .webp, or a folder", shown);
    if (!t->folder && is_folder)
        t->output = text_printf("%s/%s", output, text_base_name(t->o.content_path));
    else
        t->output = text_copy(output);
    if (t->output) t->parent = t->folder ? text_copy(output) : folder_of(t->output);
    return t->parent ? STATUS_OK : error_no_memory(err, "a path", strlen(output));
}

/* Results of an earlier run are no contents, when the output folder lies among them. */
static status list_contents(transfer *t, error *err)
{
    TRY(image_list_add(&t->contents, t->o.content_path, err));
    char shown[200];
    text_printable(t->o.content_path, shown, sizeof shown);
    if (t->folder && file_lies_in(t->o.content_path, t->parent) && file_lies_in(t->parent, t->o.content_path))
        return error_set(err, STATUS_USAGE, "%s: the output would replace the contents: choose another folder", shown);
    size_t kept = 0;
    for (size_t i = 0; i < t->contents.count; i++) {
        image_item *item = &t->contents.items[i];
        if (!t->folder || !file_lies_in(item->path, t->parent)) {
            t->contents.items[kept++] = *item;
            continue;
        }
        free(item->path);
        free(item->relative);
    }
    t->contents.count = kept;
    return t->contents.count ? STATUS_OK : error_set(err, STATUS_FAILED, "%s: no pictures found", shown);
}

/* The path of a content's result; the caller frees. */
static char *result_path(const transfer *t, const image_item *item)
{
    if (!t->folder) return text_copy(t->output);
    char *path = text_join_path(t->output, item->relative);
    if (!path || image_extension_known(path)) return path;
    char *with = text_printf("%s.png", path);
    free(path);
    return with;
}

/* "out/cat.png", 100 -> "out/cat_000100.png". */
static char *intermediate_path(const char *path, size_t iteration)
{
    const char *dot = strrchr(text_base_name(path), '.');
    size_t stem = dot ? (size_t)(dot - path) : strlen(path);
    return text_printf("%.*s_%06zu%s", (int)stem, path, iteration, path + stem);
}

/* The number in such a path; 0: it has none. */
static size_t intermediate_number(const char *path)
{
    const char *name = text_base_name(path), *line = strrchr(name, '_'), *dot = strrchr(name, '.');
    char *end;
    if (!line || line[1] < '0' || line[1] > '9') return 0;
    unsigned long long number = strtoull(line + 1, &end, 10);
    return end == dot ? (size_t)number : 0;
}

/* Of intermediate pictures; 0 without them. Scales that are left out make fewer. */
static size_t last_iteration(const transfer *t)
{
    return t->o.every ? (size_t)t->o.iterations * (size_t)t->o.scales : 0;
}

typedef status output_check(const transfer *t, const image_item *item, const char *path, error *err);

/* Of a content's result, and of its intermediate pictures unless the result is there to stay. */
static status check_outputs_of(const transfer *t, const image_item *item, output_check *check, error *err)
{
    char *path = result_path(t, item);
    if (!path) return error_no_memory(err, "a path", 0);
    status result = check(t, item, path, err);
    size_t every = (size_t)t->o.every, last = !t->o.overwrite && file_exists(path) ? 0 : last_iteration(t);
    for (size_t i = every; result == STATUS_OK && last && i <= last; i += every) {
        char *intermediate = intermediate_path(path, i);
        result = intermediate ? check(t, item, intermediate, err) : error_no_memory(err, "a path", 0);
        free(intermediate);
    }
    free(path);
    return result;
}

static status check_outputs(const transfer *t, output_check *check, error *err)
{
    for (size_t i = 0; i < t->contents.count; i++) TRY(check_outputs_of(t, &t->contents.items[i], check, err));
    return STATUS_OK;
}

/* What the manifest says of a result made now: all settings, the network and the style's pictures, and the content. */
static status entry_of(const transfer *t, const image_item *item, made_by_text *buffer, manifest_entry *out, error *err)
{
    struct stat info;
    char shown[200];
    hash64 settings = hash64_start(0);
    if (stat(item->path, &info) != 0)
        return error_set(err, STATUS_FAILED, "%s: cannot open: %s", text_printable(item->path, shown, sizeof shown),
                         strerror(errno));
    hash64_add(&settings, text_get(&t->dump), t->dump.length);
    snprintf(buffer->data, sizeof buffer->data, "gatys %016" PRIx64 " %016" PRIx64, hash64_value(&settings),
             style_gatys_fingerprint(t->g));
    *out = (manifest_entry){buffer->data, (uint64_t)info.st_size, info.st_mtim};
    return STATUS_OK;
}

/* Why the result that exists is not what would be made now; NULL: it is. */
static const char *difference(const transfer *t, const image_item *item, const char *path)
{
    made_by_text buffer;
    manifest_entry entry;
    error ignored = {0};
    if (!t->known) return "and is left alone";
    if (entry_of(t, item, &buffer, &entry, &ignored) != STATUS_OK) return "and its content cannot be read";
    switch (manifest_compare(t->known, path + strlen(t->output) + 1, &entry)) {
    case MANIFEST_SAME: return NULL;
    case MANIFEST_OTHER_MODEL: return "and was not made with these settings, network and style";
    case MANIFEST_OTHER_SOURCE: return "and its content has changed since it was made";
    case MANIFEST_UNKNOWN: break;
    }
    return "and was not made by this program, or its manifest is gone";
}

/* An output_check: refuses, before anything is computed, to replace what would not come out the same. */
static status check_same(const transfer *t, const image_item *item, const char *path, error *err)
{
    char shown[200];
    const char *why = file_exists(path) ? difference(t, item, path) : NULL;
    if (!why) return STATUS_OK;
    return error_set(err, STATUS_FAILED, "%s exists, %s; --overwrite replaces it",
                     text_printable(path, shown, sizeof shown), why);
}

static status check_results(const transfer *t, error *err)
{
    return t->o.overwrite ? STATUS_OK : check_outputs(t, check_same, err);
}

/* The content with an intermediate picture of this path, or NULL. */
static status find_intermediate(const transfer *t, const char *path, const image_item **found, error *err)
{
    size_t number = intermediate_number(path);
    *found = NULL;
    if (!number || number > last_iteration(t) || number % (size_t)t->o.every) return STATUS_OK;
    for (size_t i = 0; i < t->contents.count && !*found; i++) {
        char *result = result_path(t, &t->contents.items[i]);
        char *other = result ? intermediate_path(result, number) : NULL;
        if (other && strcmp(other, path) == 0) *found = &t->contents.items[i];
        free(result);
        if (!other) return error_no_memory(err, "a path", 0);
        free(other);
    }
    return STATUS_OK;
}

/* No result is an intermediate picture of another content as well. */
static status check_names(const transfer *t, error *err)
{
    char shown[200], other[200];
    for (size_t i = 0; i < t->contents.count; i++) {
        const image_item *found;
        char *path = result_path(t, &t->contents.items[i]);
        if (!path) return error_no_memory(err, "a path", 0);
        status result = find_intermediate(t, path, &found, err);
        if (result == STATUS_OK && found)
            result = error_set(err, STATUS_FAILED, "%s would be a result, and an intermediate picture of %s: rename one of "
                               "the two, or leave output.every out", text_printable(path, shown, sizeof shown),
                               text_printable(found->path, other, sizeof other));
        free(path);
        TRY(result);
    }
    return STATUS_OK;
}

/* The content that is the file `path`, or NULL. */
static const char *find_content(const transfer *t, const char *path)
{
    for (size_t i = 0; i < t->contents.count; i++)
        if (file_is_same(t->contents.items[i].path, path)) return t->contents.items[i].path;
    return NULL;
}

/* An output_check: nothing that is read is overwritten, by whatever name. */
static status check_not_input(const transfer *t, const image_item *item, const char *path, error *err)
{
    char shown[200], input[200];
    (void)item;
    if (!file_exists(path)) return STATUS_OK;
    const char *found = find_content(t, path);
    if (!found) found = style_gatys_find_input(t->g, path);
    if (!found && t->request->config_path && file_is_same(t->request->config_path, path))
        found = t->request->config_path;
    if (!found) return STATUS_OK;
    return error_set(err, STATUS_FAILED, "%s would overwrite the input %s: choose another output",
                     text_printable(path, shown, sizeof shown), text_printable(found, input, sizeof input));
}

static status write_picture(const transfer *t, const char *path, const image *picture, error *err)
{
    image_write_options o = {.quality = (int)t->o.quality};
    TRY(file_make_parent(path, err));
    return image_write(path, picture, &o, err);
}

/* The picture with its record, which never outruns it: a new one, which appears whole or not at all, is recorded
 * before, so that a kill leaves none without; one that is replaced has no record meanwhile. */
static status write_recorded(const transfer *t, const char *path, const image *picture, error *err)
{
    made_by_text buffer;
    manifest_entry entry;
    if (!t->known) return write_picture(t, path, picture, err);
    const char *relative = path + strlen(t->output) + 1;
    bool replaces = file_exists(path);
    TRY(entry_of(t, t->item, &buffer, &entry, err));
    TRY(replaces ? manifest_forget(t->known, relative, err) : manifest_record(t->known, relative, &entry, err));
    TRY(manifest_save(t->known, err));
    TRY(write_picture(t, path, picture, err));
    if (replaces) TRY(manifest_record(t->known, relative, &entry, err));
    return manifest_save(t->known, err);
}

static status write_intermediate(void *context, size_t iteration, const image *picture, error *err)
{
    const transfer *t = context;
    char *path = intermediate_path(t->path, iteration);
    status result = path ? write_recorded(t, path, picture, err) : error_no_memory(err, "a path", 0);
    free(path);
    return result;
}

static void report(const transfer *t, const style_result *r)
{
    char shown[200];
    double each = r->evaluations ? r->optimising / (double)r->evaluations : 0;
    double iteration = r->iterations ? r->optimising / (double)r->iterations : 0;
    log_info(t->log, "%s: %zux%zu in %.1f s; %zu iterations of %.3g s (%zu evaluations of %.3g s); loss %.4g to %.4g: "
             "content %.4g, style %.4g, variation %.4g%s", text_printable(t->path, shown, sizeof shown), r->width,
             r->height, r->seconds, r->iterations, iteration, r->evaluations, each, r->start.total, r->end.total,
             r->end.content, r->end.style, r->end.variation,
             strcmp(t->o.features, "random") == 0 ? "; random features" : "");
}

static status make(transfer *t, error *err)
{
    const image_item *item = t->item;
    image content = {0}, picture = {0};
    style_result result;
    style_watch watch = {.stop = t->request->stop, .label = text_base_name(item->relative),
                         .every = (size_t)t->o.every, .intermediate = write_intermediate, .context = t};
    char label[60], shown[200];
    watch.label = text_printable(watch.label, label, sizeof label);
    TRY(image_read(item->path, NULL, &content, err));
    status ended = style_gatys_run(t->g, &content, &watch, &picture, &result, err);
    if (ended != STATUS_OK && ended != STATUS_INTERRUPTED)
        error_prefix(err, "%s", text_printable(item->path, shown, sizeof shown));
    if (ended == STATUS_OK) ended = write_recorded(t, t->path, &picture, err);
    if (ended == STATUS_OK) report(t, &result);
    image_free(&picture);
    image_free(&content);
    return ended;
}

static status make_all(transfer *t, error *err)
{
    for (size_t i = 0; i < t->contents.count; i++) {
        error problem = {0};
        char *path = result_path(t, &t->contents.items[i]);
        if (!path) return error_no_memory(err, "a path", 0);
        t->path = path;
        t->item = &t->contents.items[i];
        bool there = !t->o.overwrite && file_exists(path); /* what was not the same was refused */
        status result = there ? STATUS_OK : make(t, &problem);
        free(path);
        if (result == STATUS_INTERRUPTED)
            return error_set(err, result, "interrupted; %zu of %zu pictures are written", t->made + t->present,
                             t->contents.count);
        if (result != STATUS_OK && !t->folder) return error_set(err, result, "%s", problem.message);
        if (result != STATUS_OK) log_error(t->log, "%s", problem.message);
        t->made += result == STATUS_OK && !there;
        t->present += there;
        t->failed += result != STATUS_OK;
    }
    size_t broken = style_gatys_style_broken(t->g);
    if (t->folder) log_info(t->log, "%zu pictures made, %zu there already, %zu failed", t->made, t->present, t->failed);
    if (t->failed) return error_set(err, STATUS_FAILED, "%zu of %zu pictures failed", t->failed, t->contents.count);
    if (broken)
        return error_set(err, STATUS_FAILED, "%zu of %zu style pictures could not be used; the others were", broken,
                         style_gatys_style_count(t->g));
    return STATUS_OK;
}

/* The settings beside the results of a folder, not in the place of the config that they were read from. */
static status save_settings(const transfer *t, error *err)
{
    if (!t->folder) return STATUS_OK;
    char *path = text_join_path(t->output, settings_name);
    if (!path) return error_no_memory(err, "a path", 0);
    const char *from = t->request->config_path;
    status result = STATUS_OK;
    if (!from || !file_is_same(from, path)) result = file_write_all(path, text_get(&t->dump), t->dump.length, err);
    free(path);
    return result;
}

static status transfer_with(transfer *t, nn_backend *backend, error *err)
{
    TRY(read_config(t, err));
    TRY(settle_output(t, err));
    TRY(list_contents(t, err));
    if (t->folder)
        TRY(manifest_open(t->output, t->log, &t->known, err));
    else
        TRY(check_results(t, err));
    TRY(check_names(t, err));
    TRY(style_gatys_create(&t->o, backend, t->parent, t->log, &t->g, err));
    TRY(check_outputs(t, check_not_input, err));
    if (t->folder) TRY(check_results(t, err));
    bool random = strcmp(t->o.features, "random") == 0;
    log_info(t->log, "features: %s%s", style_gatys_network(t->g),
             random ? ": no file was named, and a trained network gives better results" : "");
    size_t styles = style_gatys_style_count(t->g);
    log_info(t->log, "style: %zu picture%s", styles, styles == 1 ? "" : "s");
    TRY(file_make_folders(t->parent, err));
    TRY(save_settings(t, err));
    return make_all(t, err);
}

status style_transfer(const style_transfer_request *request, log_sink *log, error *err)
{
    transfer t = {.request = request, .log = log};
    nn_backend *backend;
    TRY(nn_device_create(request->device, request->threads, log, &backend, err));
    status result = transfer_with(&t, backend, err);
    manifest_destroy(t.known);
    style_gatys_destroy(t.g);
    image_list_free(&t.contents);
    free(t.output);
    free(t.parent);
    text_free(&t.dump);
    config_destroy(t.config);
    nn_backend_destroy(backend);
    return result;
}

void style_transfer_help(bool markdown, text *out)
{
    style_options o;
    config_table table = {style_fields, style_field_count, &o};
    config_help(&table, 1, markdown, out);
}

#include "compare/comparison.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "compare/describe.h"
#include "compare/measure.h"
#include "compare/page.h"
#include "compare/result.h"
#include "image/folder.h"
#include "report/folders.h"

typedef struct comparison {
    const comparison_request *request;
    log_sink *log;
    bool replaces; /* what is in the folder */
    comparison_options options;
    config *config;
    char *folder;
    comparison_pictures pictures;
    comparison_result result;
} comparison;

static bool stopped(const comparison *c) { return c->request->stop && *c->request->stop; }

static status read_config(comparison *c, error *err)
{
    config_table table;
    const comparison_request *r = c->request;
    comparison_options_table(&c->options, COMPARISON_METHODS, &table);
    TRY(config_create(&table, 1, &c->config, err));
    TRY(config_read_file(c->config, r->config_path, err));
    for (size_t i = 0; i < r->setting_count; i++) TRY(config_set(c->config, r->settings[i], err));
    TRY(config_finish(c->config, err));
    return comparison_options_check(&c->options, c->config, err);
}

static status check_pictures(const char *folder, error *err)
{
    image_list list = {0};
    char shown[300];
    TRY(image_list_add(&list, folder, err));
    size_t count = list.count;
    image_list_free(&list);
    if (count) return STATUS_OK;
    return error_set(err, STATUS_FAILED, "%s: no pictures", text_printable(folder, shown, sizeof shown));
}

enum { CONFIG, JSON, CSV, SHEET, PAGE, FILES };
static const char *const file_names[FILES] = {"config.yaml", "metrics.json", "metrics.csv", "contact_sheet.png",
                                              "index.html"};

/* Its path as new memory, or NULL without. */
static char *path_in(const comparison *c, const char *name) { return text_join_path(c->folder, name); }

/* Whether the folder is one that a comparison left, or began. */
static status is_comparison(const comparison *c, bool *out, error *err)
{
    char *settings = path_in(c, file_names[CONFIG]), *images = path_in(c, COMPARISON_IMAGES);
    status result = settings && images ? STATUS_OK : error_no_memory(err, "a path", 0);
    *out = result == STATUS_OK && file_exists(settings) && file_is_folder(images);
    free(settings);
    free(images);
    return result;
}

/* A comparison is overwritten as a whole or not at all: its numbers belong to its pictures. */
static status check_folder(comparison *c, error *err)
{
    const char *folder = c->folder;
    char shown[300];
    DIR *dir = opendir(folder);
    text_printable(folder, shown, sizeof shown);
    if (!dir && errno == ENOENT) return STATUS_OK;
    if (!dir) return error_set(err, STATUS_FAILED, "%s: cannot be the comparison's folder: %s", shown, strerror(errno));
    bool empty = true;
    for (const struct dirent *entry; empty && (entry = readdir(dir)) != NULL;)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(dir);
    if (empty) return STATUS_OK;
    TRY(is_comparison(c, &c->replaces, err));
    if (c->replaces && c->request->overwrite) return STATUS_OK;
    return error_set(err, STATUS_FAILED, "%s holds %s already; choose another name, or --out DIR%s", shown,
                     c->replaces ? "a comparison" : "something", c->replaces ? "; --overwrite replaces it" : "");
}

/* Pictures that the comparison would delete are not what it may read. */
static status check_apart(const comparison *c, const char *pictures, error *err)
{
    char *images = path_in(c, COMPARISON_IMAGES), shown[300];
    if (!images) return error_no_memory(err, "a path", 0);
    bool inside = pictures && (file_lies_in(pictures, images) || file_lies_in(images, pictures));
    free(images);
    if (!inside) return STATUS_OK;
    return error_set(err, STATUS_FAILED, "%s: among the pictures of the comparison that would be replaced",
                     text_printable(pictures, shown, sizeof shown));
}

static status remove_file(const char *path, error *err)
{
    char shown[300];
    if (unlink(path) == 0 || errno == ENOENT) return STATUS_OK;
    return error_set(err, STATUS_FAILED, "%s: cannot remove: %s", text_printable(path, shown, sizeof shown),
                     strerror(errno));
}

/* The page and the numbers first: they are not left beside pictures of another comparison. */
static status remove_former(const comparison *c, error *err)
{
    image_list list = {0};
    status result = STATUS_OK;
    for (size_t i = FILES; i-- > 0 && result == STATUS_OK;) {
        char *path = i == CONFIG ? NULL : path_in(c, file_names[i]);
        if (i != CONFIG) result = path ? remove_file(path, err) : error_no_memory(err, "a path", 0);
        free(path);
    }
    char *images = path_in(c, COMPARISON_IMAGES);
    if (result == STATUS_OK) result = images ? image_list_add(&list, images, err) : error_no_memory(err, "a path", 0);
    for (size_t i = 0; i < list.count && result == STATUS_OK; i++)
        if (file_lies_in(list.items[i].path, images)) result = remove_file(list.items[i].path, err);
    image_list_free(&list);
    free(images);
    return result;
}

static void note_failure(comparison *c, comparison_method_result *m, const char *message)
{
    char shown[300];
    snprintf(m->failure, sizeof m->failure, "%s", message);
    log_warn(c->log, "%s: %s", text_printable(m->options->name, shown, sizeof shown), message);
}

/* All that can be known to be wrong before the first picture. */
static status check_all(comparison *c, error *err)
{
    char shown[300];
    TRY(check_folder(c, err));
    if (c->replaces) TRY(check_apart(c, c->options.inputs, err));
    if (c->replaces) TRY(check_apart(c, c->options.targets, err));
    if (c->replaces) TRY(check_apart(c, c->options.train, err));
    TRY(check_pictures(c->options.inputs, err));
    TRY(check_pictures(c->options.targets, err));
    if (c->options.train) TRY(check_pictures(c->options.train, err));
    TRY(comparison_network_check(&c->options, err));
    TRY(comparison_result_create(&c->options, c->folder, &c->result, err));
    for (size_t i = 0; i < c->result.count; i++) {
        error problem = {0};
        status result = comparison_describe(&c->result.methods[i], &c->options, &problem);
        if (result == STATUS_FAILED)
            note_failure(c, &c->result.methods[i], problem.message);
        else if (result != STATUS_OK)
            return error_set(err, result, "method %s: %s", text_printable(c->result.methods[i].options->name, shown,
                             sizeof shown), problem.message);
    }
    return STATUS_OK;
}

/* What a running method tells. */
typedef struct method_hearing {
    comparison *c;
    comparison_method_result *m;
    progress bar;
} method_hearing;

static status hear(void *context, const comparison_event *event, error *err)
{
    method_hearing *h = context;
    comparison_method_result *m = h->m;
    (void)err;
    if (event->kind == COMPARISON_READY) {
        m->start_seconds = event->seconds;
        return STATUS_OK;
    }
    if (event->index >= h->c->pictures.count) return STATUS_OK;
    comparison_output *o = &m->outputs[event->index];
    if (event->kind == COMPARISON_PICTURE) {
        o->made = true;
        o->seconds = event->seconds;
        m->made++;
    } else {
        m->missing++;
        note_failure(h->c, m, event->message);
    }
    progress_update(&h->bar, m->made + m->missing, NULL);
    return STATUS_OK;
}

static status run_method(comparison *c, comparison_method_result *m, error *err)
{
    const comparison_request *r = c->request;
    method_hearing h = {c, m, progress_start(c->log, m->options->name, 0, c->pictures.count)};
    comparison_listener listener = {&h, hear};
    comparison_job job = {&c->options, (size_t)(m->options - c->options.methods), &c->pictures, c->folder, r->device,
                          r->threads, c->log, r->stop};
    error problem = {0};
    char shown[300];
    status result = r->launch(r->launch_context, &job, &listener, &m->peak_bytes, &problem);
    progress_finish(&h.bar);
    if (result == STATUS_INTERRUPTED || stopped(c))
        return error_set(err, STATUS_INTERRUPTED, "interrupted; pictures made so far are in %s",
                         text_printable(c->folder, shown, sizeof shown));
    if (result != STATUS_OK) note_failure(c, m, problem.message);
    return STATUS_OK;
}

static status run_methods(comparison *c, error *err)
{
    char shown[300];
    for (size_t i = 0; i < c->result.count; i++) {
        comparison_method_result *m = &c->result.methods[i];
        if (m->failure[0]) continue; /* its files cannot be used */
        TRY(run_method(c, m, err));
        log_info(c->log, "%s: %zu of %zu pictures", text_printable(m->options->name, shown, sizeof shown), m->made,
                 c->pictures.count);
    }
    return STATUS_OK;
}

static status write_sheet(const comparison *c, const char *path, error *err)
{
    report_folder rows[COMPARISON_METHODS + 1] = {{COMPARISON_INPUT, c->result.inputs}};
    size_t count = 1;
    for (size_t i = 0; i < c->result.count; i++)
        if (c->result.methods[i].made)
            rows[count++] = (report_folder){c->result.methods[i].options->name, c->result.methods[i].folder};
    return report_folders_write(path, rows, count, NULL, err);
}

static status save_config(const comparison *c, const char *path, error *err)
{
    text dump = {0};
    config_dump(c->config, &dump);
    status result = dump.failed ? error_no_memory(err, "the config", 0)
                                : file_write_all(path, text_get(&dump), dump.length, err);
    text_free(&dump);
    return result;
}

static status write_file(const comparison *c, size_t which, error *err)
{
    char *path = path_in(c, file_names[which]);
    if (!path) return error_no_memory(err, "a path", 0);
    status result;
    switch (which) {
    case CONFIG: result = save_config(c, path, err); break;
    case JSON: result = comparison_write_json(&c->result, path, err); break;
    case CSV: result = comparison_write_csv(&c->result, path, err); break;
    case SHEET: result = write_sheet(c, path, err); break;
    default: result = comparison_write_page(&c->result, path, err); break;
    }
    free(path);
    return result;
}

static status summarise(const comparison *c, error *err)
{
    size_t failed = 0, unread = 0;
    char shown[300];
    text_printable(c->folder, shown, sizeof shown);
    for (size_t i = 0; i < c->result.count; i++) {
        const compare_folder *folders = c->result.methods[i].evaluation.folders;
        size_t now = folders[COMPARE_REAL].left_out_count + folders[COMPARE_TRAIN].left_out_count;
        failed += c->result.methods[i].failure[0] != '\0';
        if (now > unread) unread = now;
    }
    log_info(c->log, "comparison: %s/index.html", shown);
    if (failed)
        return error_set(err, STATUS_FAILED, "%zu of %zu methods failed, or did for some pictures; see %s/index.html",
                         failed, c->result.count, shown);
    if (c->pictures.left_out)
        return error_set(err, STATUS_FAILED, "%zu inputs could not be read", c->pictures.left_out);
    if (unread)
        return error_set(err, STATUS_FAILED, "%zu target or training pictures could not be read; the numbers are "
                         "over the others", unread);
    return STATUS_OK;
}

static status run(comparison *c, error *err)
{
    TRY(read_config(c, err));
    c->folder = c->request->out ? text_copy(c->request->out) : text_join_path(c->options.folder, c->options.name);
    if (!c->folder) return error_no_memory(err, "the comparison's path", 0);
    TRY(check_all(c, err));
    TRY(file_make_folders(c->folder, err));
    if (c->replaces) TRY(remove_former(c, err));
    TRY(write_file(c, CONFIG, err));
    TRY(comparison_pictures_prepare(c->folder, c->options.inputs, (size_t)c->options.size, c->log, &c->pictures, err));
    TRY(comparison_result_set_pictures(&c->result, &c->pictures, err));
    TRY(run_methods(c, err));
    TRY(comparison_measure_all(&c->result, c->request->threads, c->request->stop, c->log, err));
    for (size_t i = CONFIG + 1; i < FILES; i++) TRY(write_file(c, i, err));
    return summarise(c, err);
}

status comparison_run(const comparison_request *request, log_sink *log, error *err)
{
    comparison c = {.request = request, .log = log};
    status result = run(&c, err);
    comparison_result_free(&c.result);
    comparison_pictures_free(&c.pictures);
    free(c.folder);
    config_destroy(c.config);
    return result;
}

void comparison_help(bool markdown, text *out)
{
    comparison_options o;
    config_table table;
    comparison_options_table(&o, 1, &table);
    config_help(&table, 1, markdown, out);
}

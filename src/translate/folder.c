#define _XOPEN_SOURCE 700 /* realpath */
#include "translate/folder.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "image/prefetch.h"
#include "translate/manifest.h"
#include "translate/sheet.h"
#include "translate/writer.h"

enum { DECODED = 2, DEFAULT_QUALITY = 95 };

static const double seconds_between_saves = 5;

typedef struct folder_run {
    translator *t;
    const translate_request *request;
    log_sink *log;
    image_list inputs;
    output_list outputs;
    const translate_output **todo; /* those to be made */
    size_t todo_count;
    image decoded[DECODED]; /* of todo[i]: number i % DECODED */
    manifest *known;
    picture_writer *writer;
    const translate_output *writing; /* what the writer has; NULL: nothing */
    double saved;          /* when the manifest was */
    translate_summary summary;
} folder_run;

typedef struct made_by_text {
    char data[48];
} made_by_text;

/* What the manifest says of a picture made now. */
static manifest_entry entry_of(const folder_run *r, const translate_output *o, made_by_text *buffer)
{
    int quality = r->request->quality ? r->request->quality : DEFAULT_QUALITY;
    uint64_t model = translator_fingerprint(r->t);
    if (o->png)
        snprintf(buffer->data, sizeof buffer->data, "%016" PRIx64 " png", model);
    else
        snprintf(buffer->data, sizeof buffer->data, "%016" PRIx64 " jpeg %d", model, quality);
    return (manifest_entry){buffer->data, o->source_bytes, o->source_modified};
}

/* Takes away what lies in the output folder from item `first` on, when that folder lies in `input`. */
static void pass_over_outputs(folder_run *r, const char *input, size_t first)
{
    char *outer = realpath(input, NULL), *inner = realpath(r->request->output, NULL);
    size_t length = outer ? strlen(outer) : 0;
    if (outer && length && outer[length - 1] == '/') length--; /* the root */
    if (outer && inner && strncmp(inner, outer, length) == 0 && inner[length] == '/') {
        const char *below = inner + length + 1;
        size_t kept = first, size = strlen(below);
        for (size_t i = first; i < r->inputs.count; i++) {
            image_item *item = &r->inputs.items[i];
            if (strncmp(item->relative, below, size) != 0 || item->relative[size] != '/') {
                r->inputs.items[kept++] = *item;
                continue;
            }
            free(item->path);
            free(item->relative);
        }
        if (kept < r->inputs.count)
            log_info(r->log, "%s: not translating the %zu pictures in the output folder", input,
                     r->inputs.count - kept);
        r->inputs.count = kept;
    }
    free(outer);
    free(inner);
}

static status list_inputs(folder_run *r, error *err)
{
    for (size_t i = 0; i < r->request->input_count; i++) {
        const char *input = r->request->inputs[i];
        size_t first = r->inputs.count;
        TRY(image_list_add(&r->inputs, input, err));
        pass_over_outputs(r, input, first);
        if (r->inputs.count == first) log_warn(r->log, "%s: no pictures found (.png, .jpg, .jpeg)", input);
    }
    return r->inputs.count ? STATUS_OK : error_set(err, STATUS_FAILED, "no pictures to translate");
}

/* Whether a picture is to be made, or is there. */
static bool wanted(folder_run *r, const translate_output *o)
{
    if (r->request->overwrite || !file_exists(o->path)) return true;
    made_by_text buffer;
    manifest_entry entry = entry_of(r, o, &buffer);
    const char *why = "it was not made by this program, or its manifest is gone";
    switch (manifest_compare(r->known, o->relative, &entry)) {
    case MANIFEST_SAME: r->summary.present++; return false;
    case MANIFEST_OTHER_MODEL: why = "it was made by another model or with other options"; break;
    case MANIFEST_OTHER_SOURCE: why = "its input has changed since it was made"; break;
    case MANIFEST_UNKNOWN: break;
    }
    log_warn(r->log, "%s: left alone: %s; --overwrite replaces it", o->path, why);
    r->summary.left++;
    return false;
}

static status plan(folder_run *r, error *err)
{
    const char *folder = r->request->output;
    /* Someone who asks for "-o cat.png" does not want a folder of that name. */
    if (file_exists(folder) ? !file_is_folder(folder) : image_extension_known(folder))
        return error_set(err, STATUS_USAGE, "%s: the output must be a folder", folder);
    TRY(list_inputs(r, err));
    TRY(output_list_create(&r->inputs, folder, r->request->format, &r->outputs, err));
    if (r->request->sheet) TRY(translate_sheet_check(r->request->sheet, &r->outputs, err));
    TRY(manifest_open(folder, r->log, &r->known, err));
    r->todo = malloc((r->outputs.count + 1) * sizeof *r->todo);
    if (!r->todo) return error_no_memory(err, "the list of pictures", r->outputs.count * sizeof *r->todo);
    for (size_t i = 0; i < r->outputs.count; i++)
        if (wanted(r, &r->outputs.items[i])) r->todo[r->todo_count++] = &r->outputs.items[i];
    return STATUS_OK;
}

/* A prefetch_produce. The pixels stay with the run, which frees them however it ends; `slot` is not used. */
static status decode(void *context, uint64_t number, void *slot, error *err)
{
    folder_run *r = context;
    image *picture = &r->decoded[number % DECODED];
    (void)slot;
    image_free(picture);
    return image_read(r->todo[number]->source->path, NULL, picture, err);
}

static void report(folder_run *r, const error *problem)
{
    log_error(r->log, "%s", problem->message);
    r->summary.failed++;
}

/* Waits for the picture that is being written and records it. */
static status finish_writing(folder_run *r, error *err)
{
    const translate_output *o = r->writing;
    error problem = {0};
    if (!o) return STATUS_OK;
    r->writing = NULL;
    if (picture_writer_wait(r->writer, &problem) != STATUS_OK) {
        report(r, &problem);
        return STATUS_OK;
    }
    r->summary.made++;
    made_by_text buffer;
    manifest_entry entry = entry_of(r, o, &buffer);
    TRY(manifest_record(r->known, o->relative, &entry, err));
    if (log_clock() - r->saved < seconds_between_saves) return STATUS_OK;
    r->saved = log_clock();
    return manifest_save(r->known, err);
}

static status translate_one(folder_run *r, prefetch *decoder, size_t i, error *err)
{
    const translate_output *o = r->todo[i];
    const void *slot;
    image result = {0};
    error problem = {0};
    if (prefetch_take(decoder, &slot, &problem) != STATUS_OK) {
        report(r, &problem);
        return STATUS_OK;
    }
    status computed = translate_image(r->t, &r->decoded[i % DECODED], &result, &problem);
    prefetch_release(decoder);
    if (computed != STATUS_OK) {
        error_prefix(&problem, "%s", o->source->path);
        report(r, &problem);
        return STATUS_OK;
    }
    status finished = finish_writing(r, err);
    if (finished == STATUS_OK) finished = picture_writer_put(r->writer, &result, o->path, r->request->quality, err);
    if (finished == STATUS_OK) r->writing = o;
    image_free(&result);
    return finished;
}

/* What is made anew must not keep its record: a kill between the two would leave it with the old one. */
static status forget_records(folder_run *r, error *err)
{
    for (size_t i = 0; i < r->todo_count; i++) TRY(manifest_forget(r->known, r->todo[i]->relative, err));
    return manifest_save(r->known, err);
}

static bool stopped(const folder_run *r) { return r->request->stop && *r->request->stop; }

static status translate_all(folder_run *r, error *err)
{
    prefetch *decoder = NULL;
    status result = STATUS_OK;
    char name[100];
    TRY(file_make_folders(r->request->output, err));
    TRY(picture_writer_create(&r->writer, err));
    TRY(forget_records(r, err));
    TRY(prefetch_create(&(prefetch_options){.produce = decode, .context = r, .slot_bytes = 1, .depth = DECODED,
                                            .threads = 1, .end = r->todo_count}, &decoder, err));
    r->saved = log_clock();
    progress bar = progress_start(r->log, "translate", 0, r->todo_count);
    for (size_t i = 0; i < r->todo_count && !stopped(r) && result == STATUS_OK; i++) {
        result = translate_one(r, decoder, i, err);
        progress_update(&bar, i + 1, text_printable(text_base_name(r->todo[i]->relative), name, sizeof name));
    }
    prefetch_destroy(decoder);
    /* What is written is recorded after a failure too; the first failure is the one to tell. */
    error later = {0};
    status written = finish_writing(r, &later), saved = manifest_save(r->known, written == STATUS_OK ? &later : NULL);
    if (!stopped(r)) progress_finish(&bar);
    if (result != STATUS_OK || (written == STATUS_OK && saved == STATUS_OK)) return result;
    return error_set(err, later.code, "%s", later.message);
}

/* Of the pictures that the manifest knows to be this model's. */
static status write_sheet(folder_run *r, error *err)
{
    const char *path = r->request->sheet;
    const translate_output **shown = malloc((r->outputs.count + 1) * sizeof *shown);
    if (!shown) return error_no_memory(err, path, r->outputs.count * sizeof *shown);
    size_t count = 0;
    for (size_t i = 0; i < r->outputs.count; i++) {
        const translate_output *o = &r->outputs.items[i];
        made_by_text buffer;
        manifest_entry entry = entry_of(r, o, &buffer);
        if (manifest_compare(r->known, o->relative, &entry) == MANIFEST_SAME) shown[count++] = o;
    }
    status result = STATUS_OK;
    if (count) result = translate_sheet_write(path, shown, count, translator_from(r->t), translator_to(r->t), err);
    free(shown);
    if (!count)
        log_warn(r->log, "%s: not written: no pictures for a contact sheet", path);
    else if (result == STATUS_OK)
        log_info(r->log, "contact sheet: %s", path);
    return result;
}

static void clean(folder_run *r)
{
    picture_writer_destroy(r->writer);
    manifest_destroy(r->known);
    for (size_t i = 0; i < DECODED; i++) image_free(&r->decoded[i]);
    free(r->todo);
    output_list_free(&r->outputs);
    image_list_free(&r->inputs);
}

static void log_summary(const folder_run *r, double seconds)
{
    const translate_summary *s = &r->summary;
    text line = {0};
    text_format(&line, "%zu picture%s in %.1f s", s->made, s->made == 1 ? "" : "s", seconds);
    if (s->present) text_format(&line, ", %zu there already", s->present);
    if (s->left) text_format(&line, ", %zu left alone", s->left);
    if (s->failed) text_format(&line, ", %zu failed", s->failed);
    log_info(r->log, "%s", text_get(&line));
    text_free(&line);
}

status translate_folder(translator *t, const translate_request *request, log_sink *log, translate_summary *summary,
                        error *err)
{
    folder_run r = {.t = t, .request = request, .log = log};
    double begin = log_clock();
    status result = plan(&r, err);
    size_t count = r.outputs.count;
    if (result == STATUS_OK && r.todo_count) result = translate_all(&r, err);
    if (result == STATUS_OK && request->sheet && !stopped(&r)) result = write_sheet(&r, err);
    clean(&r);
    if (summary) *summary = r.summary;
    if (result != STATUS_OK) return result;
    log_summary(&r, log_clock() - begin);
    if (stopped(&r)) return error_set(err, STATUS_INTERRUPTED, "interrupted; %zu of %zu pictures are written",
                                      r.summary.made + r.summary.present, count);
    if (r.summary.failed)
        return error_set(err, STATUS_FAILED, "%zu of %zu pictures failed", r.summary.failed, count);
    return STATUS_OK;
}

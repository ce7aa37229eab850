#include "translate/folder.h"

#include <inttypes.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "image/prefetch.h"
#include "translate/gate.h"
#include "translate/inputs.h"
#include "translate/internal.h"
#include "translate/manifest.h"
#include "translate/sheet.h"
#include "translate/writer.h"

enum { DEFAULT_QUALITY = 95 };
/* Threads beside a device. */
enum { LEAST_DECODERS = 3, MOST_DECODERS = 8, LEAST_WRITERS = 6, MOST_WRITERS = 12, MOST_DECODED = MOST_DECODERS + 5 };

static const double seconds_between_saves = 5;
/* Of so many times the lanes: fewer pictures are done sooner by all threads together, since lanes end apart. */
static const size_t least_in_lanes = 4;

/* How many things are done beside the translating. */
typedef struct pace {
    size_t decoders, decoded, writers;
    double bytes_beside; /* for each pixel of pictures of one size, beside the one that is translated and its writing */
} pace;

/* 12 while a picture is decoded and 3 then, 4 of a result that is encoded. */
static const pace one_by_one = {1, 2, 1, 12 + 3 + 4};
/* Threads that translate a picture each: two batches of at most eight, and their results. */
static const pace in_lanes = {2, 4, 2, 2 * 12 + 4 * 3 + 2 * TRANSLATE_MOST * (3 + 4) + 2 * 4};

/* Beside a GPU the processor has nothing else to do, and a picture of 256x256 takes the GPU far less time than it takes a
 * thread to decode or encode it. There are two batches, of small pictures, or two pictures, padded, and
 * room for four on their way to the device and for two on the way back. */
static pace beside_device(size_t processors)
{
    size_t decoders = processors / 2, writers = processors;
    decoders = decoders < LEAST_DECODERS ? LEAST_DECODERS : decoders < MOST_DECODERS ? decoders : MOST_DECODERS;
    writers = writers < LEAST_WRITERS ? LEAST_WRITERS : writers < MOST_WRITERS ? writers : MOST_WRITERS;
    size_t decoded = decoders + MOST_DECODED - MOST_DECODERS;
    return (pace){decoders, decoded, writers, (double)(decoders * 12 + (decoded + 2) * 3 + writers * 4 + (2 + 4 + 2) * 3)};
}

/* Pictures that are translated together. */
typedef struct batch {
    size_t count;
    image pictures[TRANSLATE_MOST];
    const translate_output *outputs[TRANSLATE_MOST];
} batch;

typedef struct writing {
    picture_writer *writer;
    const translate_output *output; /* what the writer has; NULL: nothing */
    bool flattens;                  /* and its transparency gets lost */
} writing;

typedef struct folder_run {
    translator *t;
    const translate_request *request;
    log_sink *log;
    image_limits limits;
    image_list inputs;
    output_list outputs;
    const translate_output **todo; /* those to be made */
    size_t todo_count;
    memory_gate *gate;      /* the limits ask it */
    bool batched; /* several pictures at a time are faster */
    pace pace;
    image decoded[MOST_DECODED]; /* of todo[i]: number i % pace->decoded */
    batch batches[2]; /* one is filled, the other has begun when it has pictures */
    size_t filling;
    manifest *known;
    writing writings[MOST_WRITERS]; /* pace->writers of them, in turn */
    size_t next_writing;
    double saved;                    /* when the manifest was */
    progress bar;
    size_t done; /* of todo */
    const translate_output *computed; /* what is, of a batch the first: a batch may be computed when all are done */
    translate_summary summary;
} folder_run;

typedef struct made_by_text {
    char data[80];
} made_by_text;

/* What the manifest says of a picture made now. */
static manifest_entry entry_of(const folder_run *r, const translate_output *o, made_by_text *buffer)
{
    static const char *const names[] = {[IMAGE_PNG] = "png", [IMAGE_JPEG] = "jpeg", [IMAGE_WEBP] = "webp"};
    char *to = buffer->data, *end = to + sizeof buffer->data;
    to += snprintf(to, (size_t)(end - to), "%016" PRIx64 " %s", translator_fingerprint(r->t), names[o->format]);
    int quality = r->request->quality ? r->request->quality : DEFAULT_QUALITY;
    if (o->format != IMAGE_PNG) to += snprintf(to, (size_t)(end - to), " %d", quality);
    if (r->request->size) to += snprintf(to, (size_t)(end - to), " size %zu", r->request->size);
    nn_precision precision = translator_precision(r->t);
    if (precision != NN_FP32) snprintf(to, (size_t)(end - to), " %s", nn_precision_names[precision]);
    return (manifest_entry){buffer->data, o->source_bytes, o->source_modified};
}

static bool is_known(const folder_run *r, const translate_output *o)
{
    made_by_text buffer;
    manifest_entry entry = entry_of(r, o, &buffer);
    return manifest_compare(r->known, o->relative, &entry) == MANIFEST_SAME;
}

static status record(folder_run *r, const translate_output *o, error *err)
{
    made_by_text buffer;
    manifest_entry entry = entry_of(r, o, &buffer);
    return manifest_record(r->known, o->relative, &entry, err);
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
    TRY(translate_inputs_list(r->request->inputs, r->request->input_count, folder, r->log, &r->inputs,
                              &r->summary.unread, err));
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
    image *picture = &r->decoded[number % r->pace.decoded];
    (void)slot;
    image_free(picture);
    memory_gate_reading reading = memory_gate_next(r->gate, number);
    image_limits limits = r->limits;
    limits.admit = memory_gate_admit;
    limits.context = &reading;
    return translate_input_read(r->todo[number]->source->path, r->request->size, &limits, picture, err);
}

static status report(folder_run *r, const translate_output *o, const error *problem, error *err)
{
    log_error(r->log, "%s", problem->message);
    r->summary.failed++;
    return manifest_forget(r->known, o->relative, err);
}

/* Waits for the picture that this one is writing and records it. */
static status finish_one(folder_run *r, writing *w, error *err)
{
    const translate_output *o = w->output;
    error problem = {0};
    if (!o) return STATUS_OK;
    w->output = NULL;
    status written = picture_writer_wait(w->writer, &problem);
    if (written == STATUS_INTERRUPTED) return manifest_forget(r->known, o->relative, err);
    if (written != STATUS_OK) return report(r, o, &problem, err);
    r->summary.made++;
    r->summary.flattened += w->flattens;
    if (!is_known(r, o)) TRY(record(r, o, err));
    if (log_clock() - r->saved < seconds_between_saves) return STATUS_OK;
    r->saved = log_clock();
    return manifest_save(r->known, err);
}

/* The oldest first. After a failure the others are recorded too; the first failure is the one to tell. */
static status finish_writing(folder_run *r, error *err)
{
    status result = STATUS_OK;
    for (size_t i = 0; i < r->pace.writers; i++) {
        writing *w = &r->writings[(r->next_writing + i) % r->pace.writers];
        status one = finish_one(r, w, result == STATUS_OK ? err : NULL);
        if (result == STATUS_OK) result = one;
    }
    return result;
}

/* A picture whose result there is no memory to write is refused before it is computed. */
static status compute(folder_run *r, const translate_output *o, const image *picture, bool big, image *result,
                      error *err)
{
    double bytes = image_write_bytes(o->format, r->request->quality, picture->width * picture->height);
    if (big) translator_leave_lanes(r->t); /* whose memory counts as taken */
    if (big && translator_check_writing(r->t, picture, bytes, err) != STATUS_OK)
        return error_prefix(err, "to be written as %s", image_format_names[o->format]);
    r->computed = o;
    return translate_image(r->t, picture, result, err);
}

/* Gives the result to a writer, and waits for it if the picture is big. */
static status begin_writing(folder_run *r, const translate_output *o, image *result, bool big, error *err)
{
    bool flattens = o->format == IMAGE_JPEG && result->alpha;
    writing *w = &r->writings[r->next_writing];
    TRY(finish_one(r, w, err));
    const image_write_options options = {.quality = r->request->quality, .stop = r->request->stop};
    TRY(picture_writer_put(w->writer, result, o->path, &options, err));
    r->next_writing = (r->next_writing + 1) % r->pace.writers;
    w->output = o;
    w->flattens = flattens;
    return big ? finish_writing(r, err) : STATUS_OK;
}

/* Of a picture in strips, which may take minutes. */
static void tell_share(void *context, double share)
{
    folder_run *r = context;
    char name[100], note[120];
    text_printable(text_base_name(r->computed->relative), name, sizeof name);
    snprintf(note, sizeof note, "%s: %.0f %%", name, 100 * share);
    progress_update(&r->bar, r->done, note);
}

static void let_go(folder_run *r, prefetch *decoder)
{
    prefetch_release(decoder);
    memory_gate_release(r->gate);
}

/* A big picture has the memory to itself: it is let go, so that the next may be read, when it has been written. */
static status translate_taken(folder_run *r, prefetch *decoder, const translate_output *o, image *picture, error *err)
{
    image result = {0};
    error problem = {0};
    bool big = memory_gate_is_big(r->gate, picture->width, picture->height);
    status done = STATUS_OK;
    if (big) done = finish_writing(r, err);
    status computed = done == STATUS_OK ? compute(r, o, picture, big, &result, &problem) : done;
    if (big)
        image_free(picture);
    else
        let_go(r, decoder);
    if (done == STATUS_OK && computed == STATUS_OK) done = begin_writing(r, o, &result, big, err);
    if (computed == STATUS_INTERRUPTED) done = computed;
    if (done == STATUS_OK && computed != STATUS_OK) {
        error_prefix(&problem, "%s", o->source->path);
        done = report(r, o, &problem, err);
    }
    image_free(&result);
    if (big) let_go(r, decoder);
    return done;
}

static void empty(batch *b)
{
    for (size_t i = 0; i < b->count; i++) image_free(&b->pictures[i]);
    b->count = 0;
}

/* Gives the results of a batch that has begun to the writers. Pictures that a stop has kept from being done, and all after
 * a failure (of the manifest), are no longer recorded. */
static status finish_batch(folder_run *r, batch *b, error *err)
{
    translate_result results[TRANSLATE_MOST];
    status result = STATUS_OK;
    bool interrupted = false;
    if (!b->count) return STATUS_OK;
    translate_finish(r->t, results);
    for (size_t i = 0; i < b->count; i++) {
        const translate_output *o = b->outputs[i];
        interrupted = interrupted || results[i].result == STATUS_INTERRUPTED;
        if (result != STATUS_OK || results[i].result == STATUS_INTERRUPTED) {
            manifest_forget(r->known, o->relative, NULL);
        } else if (results[i].result == STATUS_OK) {
            result = begin_writing(r, o, &results[i].picture, false, err);
        } else {
            error_prefix(&results[i].problem, "%s", o->source->path);
            result = report(r, o, &results[i].problem, err);
        }
        image_free(&results[i].picture);
    }
    empty(b);
    return result == STATUS_OK && interrupted ? STATUS_INTERRUPTED : result;
}

/* Begins with the batch that is filled, and then finishes the one before it. */
static status run_batch(folder_run *r, error *err)
{
    batch *b = &r->batches[r->filling];
    if (b->count) {
        r->computed = b->outputs[0];
        translate_begin(r->t, b->pictures, b->count);
    }
    r->filling ^= 1;
    return finish_batch(r, &r->batches[r->filling], err);
}

/* Both, whatever becomes of the first: neither stays begun. */
static status finish_batches(folder_run *r, error *err)
{
    status first = run_batch(r, err), second = run_batch(r, first == STATUS_OK ? err : NULL);
    return first == STATUS_OK ? second : first;
}

/* Takes the picture over. */
static status add_to_batch(folder_run *r, const translate_output *o, image *picture, error *err)
{
    batch *b = &r->batches[r->filling];
    status result = STATUS_OK;
    if (b->count && !translate_alike(r->t, &b->pictures[0], picture)) {
        result = run_batch(r, err);
        b = &r->batches[r->filling];
    }
    b->outputs[b->count] = o;
    b->pictures[b->count++] = *picture;
    *picture = (image){0};
    if (result == STATUS_OK && b->count >= translate_batch(r->t, b->pictures[0].width, b->pictures[0].height))
        result = run_batch(r, err);
    return result;
}

/* Small pictures of a batch count as done when they are taken: a big one that waits for them to be would keep the batch from
 * being filled. */
static status translate_one(folder_run *r, prefetch *decoder, size_t i, error *err)
{
    const void *slot;
    error problem = {0};
    image *picture = &r->decoded[i % r->pace.decoded];
    status decoded = prefetch_take(decoder, &slot, &problem);
    if (decoded == STATUS_INTERRUPTED) return decoded;
    if (decoded != STATUS_OK) {
        memory_gate_release(r->gate);
        return report(r, r->todo[i], &problem, err);
    }
    if (r->batched && !memory_gate_is_big(r->gate, picture->width, picture->height)) {
        image taken = *picture;
        *picture = (image){0};
        let_go(r, decoder);
        return add_to_batch(r, r->todo[i], &taken, err);
    }
    TRY(finish_batches(r, err));
    return translate_taken(r, decoder, r->todo[i], picture, err);
}

/* A picture that is not there yet is recorded before it is made, so that a kill leaves none without its record: it
 * appears whole or not at all. One that is to be replaced loses its record until that is done. */
static status announce(folder_run *r, error *err)
{
    for (size_t i = 0; i < r->todo_count; i++) {
        const translate_output *o = r->todo[i];
        TRY(file_exists(o->path) ? manifest_forget(r->known, o->relative, err) : record(r, o, err));
    }
    return manifest_save(r->known, err);
}

/* Takes the records back of what was not made after all, from todo[first] on. */
static status retract(folder_run *r, size_t first, error *err)
{
    for (size_t i = first; i < r->todo_count; i++) TRY(manifest_forget(r->known, r->todo[i]->relative, err));
    return manifest_save(r->known, err);
}

/* The most that a result takes to be written; big ones are looked at by themselves. */
static double write_bytes(const folder_run *r)
{
    double most = 0;
    for (size_t i = 0; i < r->todo_count; i++) {
        double bytes = image_write_bytes(r->todo[i]->format, r->request->quality, 1);
        if (bytes > most) most = bytes;
    }
    return most;
}

static bool stopped(const folder_run *r) { return r->request->stop && *r->request->stop; }

static int compare_paths(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* In each folder that is written to, once. Without memory they stay: they do no harm. */
static void remove_leftovers(const folder_run *r)
{
    char **folders = malloc((r->todo_count + 1) * sizeof *folders);
    size_t count = 0;
    for (size_t i = 0; folders && i < r->todo_count; i++) {
        const char *path = r->todo[i]->path;
        folders[count] = text_printf("%.*s", (int)(text_base_name(path) - path), path);
        if (folders[count]) count++;
    }
    if (count) qsort(folders, count, sizeof *folders, compare_paths);
    file_remove_leftovers(r->request->output); /* of the manifest */
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(folders[i], folders[i - 1]) != 0) file_remove_leftovers(folders[i]);
    for (size_t i = 0; i < count; i++) free(folders[i]);
    free(folders);
}

static status translate_all(folder_run *r, error *err)
{
    prefetch *decoder = NULL;
    status result = STATUS_OK;
    char name[100];
    TRY(file_make_folders(r->request->output, err));
    TRY(file_check_writable(r->request->output, err));
    remove_leftovers(r);
    for (size_t i = 0; i < r->pace.writers; i++) TRY(picture_writer_create(&r->writings[i].writer, err));
    double beside = r->pace.bytes_beside + (double)r->pace.writers * write_bytes(r);
    TRY(memory_gate_create(r->request->max_memory, beside, &r->gate, err));
    TRY(announce(r, err));
    TRY(prefetch_create(&(prefetch_options){.produce = decode, .context = r, .slot_bytes = 1, .depth = r->pace.decoded,
                                            .threads = r->pace.decoders, .end = r->todo_count}, &decoder, err));
    r->saved = log_clock();
    r->bar = progress_start(r->log, "translate", 0, r->todo_count);
    while (r->done < r->todo_count && !stopped(r) && (result = translate_one(r, decoder, r->done, err)) == STATUS_OK) {
        text_printable(text_base_name(r->todo[r->done]->relative), name, sizeof name);
        progress_update(&r->bar, ++r->done, name);
    }
    memory_gate_open(r->gate);
    prefetch_destroy(decoder);
    /* What is computed is written, and what is written is recorded, after a failure too; the first one is the one to tell. */
    error later = {0};
    status written = finish_batches(r, &later);
    if (written == STATUS_INTERRUPTED) written = STATUS_OK;
    if (result == STATUS_INTERRUPTED) result = STATUS_OK; /* amid a picture: the summary tells */
    status last = finish_writing(r, written == STATUS_OK ? &later : NULL);
    if (written == STATUS_OK) written = last;
    status saved = retract(r, r->done, written == STATUS_OK ? &later : NULL);
    if (!stopped(r)) progress_finish(&r->bar);
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
        if (is_known(r, o)) shown[count++] = o;
    }
    status result = STATUS_OK;
    if (count)
        result = translate_sheet_write(path, shown, count, translator_from(r->t), translator_to(r->t), &r->limits, err);
    free(shown);
    if (!count)
        log_warn(r->log, "%s: not written: no pictures for a contact sheet", path);
    else if (result == STATUS_OK)
        log_info(r->log, "contact sheet: %s", path);
    return result;
}

static void clean(folder_run *r)
{
    for (size_t i = 0; i < MOST_WRITERS; i++) picture_writer_destroy(r->writings[i].writer);
    memory_gate_destroy(r->gate);
    manifest_destroy(r->known);
    for (size_t i = 0; i < MOST_DECODED; i++) image_free(&r->decoded[i]);
    free(r->todo);
    output_list_free(&r->outputs);
    image_list_free(&r->inputs);
}

/* How pictures are best taken, once it is known how many there are. */
static void choose_pace(folder_run *r)
{
    size_t most = translate_most(r->t);
    bool device = !translator_shares_memory(r->t);
    r->batched = most > 1 && (device || r->todo_count >= least_in_lanes * most);
    r->pace = !r->batched ? one_by_one : device ? beside_device((size_t)omp_get_num_procs()) : in_lanes;
}

/* Small pictures are read beside the one that is translated, by the eighth of the memory that is left to them: they are for
 * the translator to refuse, who knows what they need. */
static image_limits reading_limits(const translator *t, const translate_request *request)
{
    double most = request->max_memory, idle = translator_idle_bytes(t);
    size_t pixels = request->max_pixels ? request->max_pixels : (size_t)TRANSLATE_MAX_MEGAPIXELS * 1000000;
    return (image_limits){.max_pixels = pixels, .max_bytes = most, .stop = request->stop,
                          .taken_bytes = idle < most * 7 / 8 ? idle : most * 7 / 8};
}

status translate_folder(translator *t, const translate_request *request, log_sink *log, translate_summary *summary,
                        error *err)
{
    folder_run r = {.t = t, .request = request, .log = log, .limits = reading_limits(t, request)};
    translator_limit(t, &(translator_limits){.max_memory = request->max_memory, .stop = request->stop,
                                             .progressed = tell_share, .context = &r});
    double begin = log_clock();
    status result = plan(&r, err);
    choose_pace(&r);
    size_t count = r.outputs.count;
    if (result == STATUS_OK && r.todo_count) result = translate_all(&r, err);
    if (result == STATUS_OK && request->sheet && !stopped(&r)) result = write_sheet(&r, err);
    clean(&r);
    translator_limit(t, &(translator_limits){0}); /* this run's are gone */
    if (summary) *summary = r.summary;
    if (result != STATUS_OK) return result;
    translate_summary_log(&r.summary, log_clock() - begin, log);
    return translate_summary_result(&r.summary, count, stopped(&r), err);
}

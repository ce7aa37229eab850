#include "image/survey.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/text.h"

static const double flat_deviation = 2;

const char *const image_finding_names[IMAGE_FINDING_KINDS] = {"unreadable", "duplicate", "tiny", "sideways", "flat"};

/* What is kept of a picture. */
typedef struct record {
    size_t item, width, height; /* width 0: unreadable */
    size_t same_as;             /* item of the first such picture; SIZE_MAX when it is the first */
    uint64_t hash;
    double deviation;
    image_format format;
    int orientation;
    bool alpha, profile;
    char *reason;
} record;

typedef struct work {
    const image_list *list;
    const image_survey_options *options;
    record *records;
    size_t count;
    pthread_mutex_t mutex; /* of what follows */
    size_t next;
    status result;
    error problem;
} work;

static bool stopped(const image_survey_options *options) { return options->stop && *options->stop; }

static uint64_t hash_picture(const image *picture)
{
    uint64_t sizes[2] = {picture->width, picture->height};
    size_t count = picture->width * picture->height;
    hash64 h = hash64_start(0);
    hash64_add(&h, sizes, sizeof sizes);
    hash64_add(&h, picture->pixels, count * 3);
    if (picture->alpha) hash64_add(&h, picture->alpha, count);
    return hash64_value(&h);
}

static bool same_picture(const image *a, const image *b)
{
    size_t count = a->width * a->height;
    if (a->width != b->width || a->height != b->height || !a->alpha != !b->alpha) return false;
    return memcmp(a->pixels, b->pixels, count * 3) == 0 && (!a->alpha || memcmp(a->alpha, b->alpha, count) == 0);
}

/* Standard deviation of the luminance of ITU-R BT.601, from whole sums: they fit, a luminance in 1/256 being below
 * 2^16 and a picture having fewer than 2^32 pixels. */
static double luminance_deviation(const image *picture)
{
    size_t count = picture->width * picture->height;
    uint64_t sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *p = picture->pixels + i * 3;
        uint32_t y = 77u * p[0] + 150u * p[1] + 29u * p[2];
        sum += y;
        squares += (uint64_t)y * y;
    }
    double mean = (double)sum / (double)count, variance = (double)squares / (double)count - mean * mean;
    return variance > 0 ? sqrt(variance) / 256 : 0;
}

/* Why a picture cannot be read, without the path that the message begins with, for names stand before it already. */
static char *reason_of(const char *path, const char *message)
{
    size_t length = strlen(path);
    if (strncmp(message, path, length) == 0 && strncmp(message + length, ": ", 2) == 0) message += length + 2;
    char shown[2048];
    return text_copy(text_printable(message, shown, sizeof shown));
}

static status look(const work *w, record *r, error *err)
{
    const char *path = w->list->items[r->item].path;
    image picture;
    error problem = {0};
    if (image_read(path, &w->options->limits, &picture, &problem) != STATUS_OK) {
        r->reason = reason_of(path, problem.message);
        return r->reason ? STATUS_OK : error_no_memory(err, "a list of pictures", sizeof problem.message);
    }
    r->width = picture.width;
    r->height = picture.height;
    r->hash = hash_picture(&picture);
    r->deviation = luminance_deviation(&picture);
    r->format = picture.format;
    r->orientation = picture.orientation;
    r->alpha = picture.alpha != NULL;
    r->profile = picture.profile != NULL;
    image_free(&picture);
    return STATUS_OK;
}

static void *look_at_some(void *argument)
{
    work *w = argument;
    pthread_mutex_lock(&w->mutex);
    while (w->next < w->count && w->result == STATUS_OK && !stopped(w->options)) {
        record *r = &w->records[w->next++];
        pthread_mutex_unlock(&w->mutex);
        error problem = {0};
        status result = look(w, r, &problem);
        pthread_mutex_lock(&w->mutex);
        if (result != STATUS_OK) {
            w->result = result;
            w->problem = problem;
        }
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

static status look_at_all(work *w, error *err)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t wanted = w->options->threads ? w->options->threads : processors > 0 ? (size_t)processors : 1, started = 0;
    if (wanted > w->count) wanted = w->count;
    pthread_t *threads = calloc(wanted + 1, sizeof *threads);
    if (!threads) return error_no_memory(err, "threads", wanted * sizeof *threads);
    pthread_mutex_init(&w->mutex, NULL);
    int number = 0;
    while (started < wanted && number == 0) {
        number = pthread_create(&threads[started], NULL, look_at_some, w);
        if (number == 0) started++;
    }
    /* Fewer threads than wanted do the same work. */
    for (size_t i = 0; i < started; i++) pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&w->mutex);
    free(threads);
    if (w->count && started == 0) return error_set(err, STATUS_FAILED, "cannot start a thread: %s", strerror(number));
    if (w->result != STATUS_OK && err) *err = w->problem;
    return w->result;
}

static int compare_hashes(const void *a, const void *b)
{
    const record *first = *(record *const *)a, *second = *(record *const *)b;
    if (first->hash != second->hash) return first->hash < second->hash ? -1 : 1;
    return first->item < second->item ? -1 : first->item > second->item;
}

static int compare_areas(const void *a, const void *b)
{
    const record *first = *(record *const *)a, *second = *(record *const *)b;
    size_t areas[2] = {first->width * first->height, second->width * second->height};
    if (areas[0] != areas[1]) return areas[0] < areas[1] ? -1 : 1;
    return first->width < second->width ? -1 : first->width > second->width;
}

/* Pictures of one hash: those that are the same as an earlier one, which is read again, are marked. */
static void confirm(const work *w, record **group, size_t count)
{
    for (size_t i = 0; i + 1 < count; i++) {
        image first, other;
        if (group[i]->same_as != SIZE_MAX || stopped(w->options)) continue;
        if (image_read(w->list->items[group[i]->item].path, &w->options->limits, &first, NULL) != STATUS_OK) continue;
        for (size_t k = i + 1; k < count && !stopped(w->options); k++) {
            if (group[k]->same_as != SIZE_MAX) continue;
            if (image_read(w->list->items[group[k]->item].path, &w->options->limits, &other, NULL) != STATUS_OK)
                continue;
            if (same_picture(&first, &other)) group[k]->same_as = group[i]->item;
            image_free(&other);
        }
        image_free(&first);
    }
}

static void find_duplicates(const work *w, record **order, size_t count)
{
    if (count) qsort(order, count, sizeof *order, compare_hashes);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && order[end]->hash == order[i]->hash;) end++;
        confirm(w, order + i, end - i);
    }
}

static void summarise(const work *w, record **order, image_survey *out)
{
    for (size_t i = 0; i < w->count; i++) {
        record *r = &w->records[i];
        if (r->reason) continue;
        order[out->readable++] = r;
        out->formats[r->format]++;
        out->with_alpha += r->alpha;
        out->with_profile += r->profile;
    }
    find_duplicates(w, order, out->readable);
    if (out->readable == 0) return;
    qsort(order, out->readable, sizeof *order, compare_areas);
    const record *chosen[] = {order[0], order[(out->readable - 1) / 2], order[out->readable - 1]};
    out->smallest = (image_survey_size){chosen[0]->width, chosen[0]->height};
    out->median = (image_survey_size){chosen[1]->width, chosen[1]->height};
    out->largest = (image_survey_size){chosen[2]->width, chosen[2]->height};
}

static bool is_found(const record *r, image_finding_kind kind, size_t minimum)
{
    if (r->reason) return kind == IMAGE_UNREADABLE;
    switch (kind) {
    case IMAGE_DUPLICATE: return r->same_as != SIZE_MAX;
    case IMAGE_TINY: return r->width < minimum || r->height < minimum;
    case IMAGE_SIDEWAYS: return r->orientation > 1;
    case IMAGE_FLAT: return r->deviation < flat_deviation;
    case IMAGE_UNREADABLE:
    case IMAGE_FINDING_KINDS: break;
    }
    return false;
}

static char *describe(const record *r, image_finding_kind kind, const image_list *list)
{
    char shown[1024];
    switch (kind) {
    case IMAGE_UNREADABLE: return text_copy(r->reason);
    case IMAGE_DUPLICATE:
        return text_printf("same as %s", text_printable(list->items[r->same_as].relative, shown, sizeof shown));
    case IMAGE_TINY: return text_printf("%zux%zu", r->width, r->height);
    case IMAGE_SIDEWAYS: return text_printf("orientation %d", r->orientation);
    case IMAGE_FLAT: return text_printf("deviation %.1f", r->deviation);
    case IMAGE_FINDING_KINDS: break;
    }
    return NULL;
}

static status list_findings(const work *w, image_survey *out, error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < w->count; i++)
        for (int kind = 0; kind < IMAGE_FINDING_KINDS; kind++) total += is_found(&w->records[i], kind, out->minimum);
    out->findings = calloc(total + 1, sizeof *out->findings);
    if (!out->findings) return error_no_memory(err, "a list of findings", total * sizeof *out->findings);
    for (int kind = 0; kind < IMAGE_FINDING_KINDS; kind++) {
        for (size_t i = 0; i < w->count; i++) {
            const record *r = &w->records[i];
            if (!is_found(r, kind, out->minimum)) continue;
            image_finding *f = &out->findings[out->finding_count++];
            *f = (image_finding){kind, r->item, kind == IMAGE_DUPLICATE ? r->same_as : r->item, NULL};
            f->detail = describe(r, kind, w->list);
            if (!f->detail) return error_no_memory(err, "a list of findings", total * sizeof *out->findings);
            out->counts[kind]++;
        }
    }
    return STATUS_OK;
}

status image_survey_take(const image_list *list, const image_survey_options *options, image_survey *out, error *err)
{
    size_t count = options->most && options->most < list->count ? options->most : list->count;
    *out = (image_survey){.listed = list->count, .looked_at = count, .minimum = options->minimum};
    work w = {.list = list, .options = options, .count = count, .records = calloc(count + 1, sizeof *w.records)};
    record **order = calloc(count + 1, sizeof *order);
    status result = w.records && order ? STATUS_OK : error_no_memory(err, "a list of pictures", count * sizeof(record));
    for (size_t i = 0; result == STATUS_OK && i < count; i++) {
        size_t item = list->count / count * i + list->count % count * i / count; /* i * listed / count, not wrapping */
        w.records[i] = (record){.item = item, .same_as = SIZE_MAX};
    }
    if (result == STATUS_OK) result = look_at_all(&w, err);
    if (result == STATUS_OK && !stopped(options)) summarise(&w, order, out);
    if (result == STATUS_OK && !stopped(options)) result = list_findings(&w, out, err);
    if (result == STATUS_OK && stopped(options))
        result = error_set(err, STATUS_INTERRUPTED, "interrupted while looking at pictures");
    for (size_t i = 0; w.records && i < count; i++) free(w.records[i].reason);
    free(w.records);
    free(order);
    if (result != STATUS_OK) image_survey_free(out);
    return result;
}

void image_survey_free(image_survey *survey)
{
    for (size_t i = 0; i < survey->finding_count; i++) free(survey->findings[i].detail);
    free(survey->findings);
    *survey = (image_survey){0};
}

bool image_survey_line(const image_survey *survey, const image_list *list, image_finding_kind kind, text *line)
{
    enum { NAMES_SHOWN = 3 };
    static const char *const what[IMAGE_FINDING_KINDS][2] = {
        [IMAGE_UNREADABLE] = {"picture cannot be read", "pictures cannot be read"},
        [IMAGE_DUPLICATE] = {"picture is there twice", "pictures are there more than once"},
        [IMAGE_TINY] = {"picture is smaller", "pictures are smaller"},
        [IMAGE_SIDEWAYS] = {"picture is turned as its EXIF data say", "pictures are turned as their EXIF data say"},
        [IMAGE_FLAT] = {"picture is nearly one grey", "pictures are nearly one grey"},
    };
    text_clear(line);
    size_t count = survey->counts[kind], shown = 0;
    if (count == 0) return false;
    text_format(line, "%zu %s", count, what[kind][count != 1]);
    if (kind == IMAGE_TINY) text_format(line, " than %zu pixels", survey->minimum);
    for (size_t i = 0; i < survey->finding_count && shown < NAMES_SHOWN; i++) {
        const image_finding *f = &survey->findings[i];
        char name[1024];
        if (f->kind != kind) continue;
        text_format(line, "%s%s (%s)", shown++ ? ", " : ": ",
                    text_printable(list->items[f->item].relative, name, sizeof name), f->detail);
    }
    if (count > shown) text_format(line, " and %zu more", count - shown);
    return true;
}

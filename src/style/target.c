#include "style/target.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"
#include "image/folder.h"
#include "nn/safetensors.h"
#include "style/features.h"
#include "style/list.h"
#include "style/picture.h"

/* A picture or a folder of them. */
typedef struct source {
    bool folder;
    double weight; /* those of all sources add up to 1 */
    image_list pictures;
    bool *broken; /* those that were reported */
} source;

enum { KEPT = 8 };

/* Gram matrices that were computed: for a network, size and colours, as `key` has them. */
typedef struct kept_grams {
    uint64_t key;
    float *grams[STYLE_MOST_LAYERS];
} kept_grams;

struct style_target {
    style_target_settings s;
    log_sink *log;
    source *sources;
    size_t source_count;
    style_extractor extractor;
    kept_grams kept[KEPT];
    size_t next; /* place for the next */
};

static void free_grams(float **grams)
{
    for (size_t i = 0; i < STYLE_MOST_LAYERS; i++) {
        free(grams[i]);
        grams[i] = NULL;
    }
}

void style_target_destroy(style_target *t)
{
    if (!t) return;
    for (size_t i = 0; t->sources && i < t->source_count; i++) {
        image_list_free(&t->sources[i].pictures);
        free(t->sources[i].broken);
    }
    for (size_t i = 0; i < KEPT; i++) free_grams(t->kept[i].grams);
    style_extractor_free(&t->extractor);
    free(t->sources);
    free(t);
}

/* A style of one picture is needed for every content: whether it can be read is found out before the first. */
static status check_picture(const char *path, error *err)
{
    image picture = {0};
    status result = image_read(path, NULL, &picture, err);
    image_free(&picture);
    return result;
}

static status open_source(source *s, const char *path, error *err)
{
    s->folder = file_is_folder(path);
    TRY(image_list_add(&s->pictures, path, err));
    char shown[200];
    if (!s->pictures.count)
        return error_set(err, STATUS_FAILED, "%s: no pictures found", text_printable(path, shown, sizeof shown));
    if (!s->folder) TRY(check_picture(path, err));
    s->broken = calloc(s->pictures.count, sizeof *s->broken);
    return s->broken ? STATUS_OK : error_no_memory(err, path, s->pictures.count);
}

static status open_sources(style_target *t, const style_list *paths, error *err)
{
    double *weights = malloc((paths->count + 1) * sizeof *weights), sum = 0;
    t->sources = calloc(paths->count + 1, sizeof *t->sources);
    t->source_count = paths->count;
    status result = weights && t->sources ? STATUS_OK : error_no_memory(err, "the styles", paths->count);
    if (result == STATUS_OK && !paths->count)
        result = error_set(err, STATUS_USAGE, "style.path: expected a picture or a folder, found none");
    if (result == STATUS_OK) result = style_weights_read("style.blend", t->s.blend, 1, weights, paths->count, err);
    for (size_t i = 0; result == STATUS_OK && i < paths->count; i++) sum += weights[i];
    for (size_t i = 0; result == STATUS_OK && i < paths->count; i++) {
        t->sources[i].weight = weights[i] / sum;
        result = open_source(&t->sources[i], paths->items[i], err);
    }
    free(weights);
    return result;
}

status style_target_create(const style_target_settings *settings, log_sink *log, style_target **out, error *err)
{
    *out = NULL;
    style_list paths;
    style_target *t = calloc(1, sizeof *t);
    if (!t) return error_no_memory(err, "the style", sizeof *t);
    t->s = *settings;
    t->log = log;
    t->extractor = (style_extractor){.vgg = settings->vgg, .backend = settings->backend, .layers = settings->layers,
                                     .grams = true};
    status result = style_list_read_paths(&paths, settings->paths, err);
    if (result == STATUS_OK) result = open_sources(t, &paths, err);
    style_list_free(&paths);
    t->s.paths = t->s.blend = NULL;
    if (result == STATUS_OK)
        *out = t;
    else
        style_target_destroy(t);
    return result;
}

size_t style_target_count(const style_target *t)
{
    size_t count = 0;
    for (size_t i = 0; i < t->source_count; i++) count += t->sources[i].pictures.count;
    return count;
}

const char *style_target_find(const style_target *t, const char *path)
{
    for (size_t i = 0; i < t->source_count; i++)
        for (size_t k = 0; k < t->sources[i].pictures.count; k++)
            if (file_is_same(t->sources[i].pictures.items[k].path, path)) return t->sources[i].pictures.items[k].path;
    return NULL;
}

static size_t broken_in(const source *s)
{
    size_t count = 0;
    for (size_t i = 0; i < s->pictures.count; i++) count += s->broken[i];
    return count;
}

size_t style_target_broken(const style_target *t)
{
    size_t count = 0;
    for (size_t i = 0; i < t->source_count; i++) count += broken_in(&t->sources[i]);
    return count;
}

static void add_pictures(hash64 *key, const source *s)
{
    for (size_t i = 0; i < s->pictures.count; i++) {
        const image_item *item = &s->pictures.items[i];
        struct stat info;
        hash64_add(key, item->relative, strlen(item->relative) + 1);
        if (stat(item->path, &info) != 0) continue;
        const int64_t file[] = {info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
        hash64_add(key, file, sizeof file);
    }
}

/* Everything that a source's Gram matrices follow from. */
static uint64_t key_of(const style_target *t, const source *s, size_t side, const style_statistics *content)
{
    const uint64_t about[] = {model_vgg_fingerprint(t->s.vgg), side, (uint64_t)t->s.colour, t->s.layers->count};
    hash64 key = hash64_start(0);
    hash64_add(&key, about, sizeof about);
    hash64_add(&key, t->s.layers->at, t->s.layers->count * sizeof *t->s.layers->at);
    if (content) hash64_add(&key, content, sizeof *content);
    if (s) add_pictures(&key, s);
    return hash64_value(&key);
}

uint64_t style_target_fingerprint(const style_target *t)
{
    hash64 key = hash64_start(0);
    for (size_t i = 0; i < t->source_count; i++) add_pictures(&key, &t->sources[i]);
    return hash64_value(&key);
}

static size_t gram_count(const style_target *t, size_t layer)
{
    size_t channels = model_vgg_channels(t->s.vgg, t->s.layers->at[layer]);
    return channels * channels;
}

/* NULL without memory; the caller frees. */
static char *cache_path(const style_target *t, uint64_t key)
{
    return text_printf("%s/.cyclegan-style-%016" PRIx64 ".safetensors", t->s.cache, key);
}

/* Whether the cache has them. A file that does not fit is as good as none. */
static bool read_cache(const style_target *t, const char *path, float **grams)
{
    safetensors_file *file;
    error problem = {0};
    char name[32];
    if (!file_exists(path) || safetensors_open(path, &file, &problem) != STATUS_OK) return false;
    bool good = true;
    for (size_t i = 0; good && i < t->s.layers->count; i++) {
        snprintf(name, sizeof name, "gram.%zu", i);
        const safetensors_entry *entry = safetensors_find(file, name);
        good = entry && entry->count == gram_count(t, i) &&
               safetensors_read_f32(file, entry, grams[i], &problem) == STATUS_OK;
    }
    safetensors_close(file);
    return good;
}

/* A cache that cannot be written costs time alone. */
static void write_cache(const style_target *t, const char *path, float *const *grams)
{
    safetensors_writer *w;
    error problem = {0};
    char name[32];
    if (safetensors_writer_create(&w, &problem) != STATUS_OK) return;
    for (size_t i = 0; i < t->s.layers->count; i++) {
        size_t channels = model_vgg_channels(t->s.vgg, t->s.layers->at[i]);
        snprintf(name, sizeof name, "gram.%zu", i);
        safetensors_declare(w, name, SAFETENSORS_F32, 2, (size_t[]){channels, channels});
    }
    status result = safetensors_begin(w, path, &problem);
    for (size_t i = 0; result == STATUS_OK && i < t->s.layers->count; i++)
        result = safetensors_put_f32(w, grams[i], gram_count(t, i), &problem);
    if (result == STATUS_OK)
        result = safetensors_commit(w, &problem);
    else
        safetensors_writer_abort(w);
    if (result != STATUS_OK) log_warn(t->log, "%s; the style will be computed again next time", problem.message);
}

static status allocate_grams(const style_target *t, float **grams, error *err)
{
    for (size_t i = 0; i < t->s.layers->count; i++) {
        grams[i] = calloc(gram_count(t, i), sizeof **grams);
        if (!grams[i]) return error_no_memory(err, "Gram matrices", gram_count(t, i) * sizeof **grams);
    }
    return STATUS_OK;
}

static status extract(style_target *t, const char *path, size_t side, const style_statistics *content, float **grams,
                      error *err)
{
    image picture = {0}, small = {0};
    float *pixels = NULL;
    status result = image_read(path, NULL, &picture, err);
    if (result == STATUS_OK) result = style_resize(&picture, side, &small, err);
    if (result == STATUS_OK) result = style_to_floats(&small, &pixels, err);
    if (result == STATUS_OK) {
        size_t count = small.width * small.height;
        if (t->s.colour == STYLE_COLOUR_LUMINANCE) style_make_grey(pixels, count);
        if (content) style_match_colours(pixels, count, content);
        result = style_extract(&t->extractor, pixels, small.height, small.width, grams, err);
        char shown[200];
        if (result != STATUS_OK) error_prefix(err, "%s", text_printable(path, shown, sizeof shown));
    }
    free(pixels);
    image_free(&small);
    image_free(&picture);
    return result;
}

/* The mean over a source's pictures. */
static status compute(style_target *t, source *s, size_t side, const style_statistics *content, float **grams,
                      error *err)
{
    size_t good = 0;
    progress bar = progress_start(t->log, "style", 0, s->pictures.count);
    for (size_t i = 0; i < s->pictures.count; i++) {
        float *of_one[STYLE_MOST_LAYERS] = {NULL};
        error problem = {0};
        status result = s->broken[i] ? STATUS_FAILED
                                     : extract(t, s->pictures.items[i].path, side, content, of_one, &problem);
        if (result == STATUS_NO_MEMORY || (result != STATUS_OK && !s->folder))
            return error_set(err, result, "%s", problem.message);
        if (result != STATUS_OK && !s->broken[i]) log_warn(t->log, "%s; left out of the style", problem.message);
        s->broken[i] = result != STATUS_OK;
        if (s->broken[i]) continue;
        double share = 1 / (double)++good;
        for (size_t k = 0; k < t->s.layers->count; k++)
            for (size_t j = 0; j < gram_count(t, k); j++)
                grams[k][j] = (float)(grams[k][j] + share * (of_one[k][j] - (double)grams[k][j]));
        free_grams(of_one);
        if (s->folder) progress_update(&bar, i + 1, NULL);
    }
    if (s->folder) progress_finish(&bar);
    return good ? STATUS_OK : error_set(err, STATUS_FAILED, "style: none of the folder's pictures can be used");
}

static status source_grams(style_target *t, source *s, size_t side, const style_statistics *content, float **grams,
                           error *err)
{
    TRY(allocate_grams(t, grams, err));
    if (!s->folder || !t->s.cache) return compute(t, s, side, content, grams, err);
    char *path = cache_path(t, key_of(t, s, side, content));
    if (!path) return error_no_memory(err, "a path", 0);
    status result = STATUS_OK;
    if (read_cache(t, path, grams)) {
        log_info(t->log, "style: the mean of %zu pictures at %zu, computed before", s->pictures.count, side);
    } else {
        for (size_t i = 0; i < t->s.layers->count; i++) memset(grams[i], 0, gram_count(t, i) * sizeof **grams);
        result = compute(t, s, side, content, grams, err);
        if (result == STATUS_OK && !broken_in(s)) write_cache(t, path, grams);
    }
    free(path);
    return result;
}

static status blend(style_target *t, size_t side, const style_statistics *content, float **grams, error *err)
{
    TRY(allocate_grams(t, grams, err));
    for (size_t i = 0; i < t->source_count; i++) {
        float *of_one[STYLE_MOST_LAYERS] = {NULL};
        if (t->sources[i].weight == 0) continue;
        status result = source_grams(t, &t->sources[i], side, content, of_one, err);
        for (size_t k = 0; result == STATUS_OK && k < t->s.layers->count; k++)
            for (size_t j = 0; j < gram_count(t, k); j++)
                grams[k][j] = (float)(grams[k][j] + t->sources[i].weight * of_one[k][j]);
        free_grams(of_one);
        if (result != STATUS_OK) return result;
    }
    return STATUS_OK;
}

status style_target_grams(style_target *t, size_t side, const style_statistics *content, const float **grams,
                          error *err)
{
    uint64_t key = key_of(t, NULL, side, content);
    kept_grams *found = NULL;
    for (size_t i = 0; i < KEPT; i++)
        if (t->kept[i].grams[0] && t->kept[i].key == key) found = &t->kept[i];
    if (!found && t->s.layers->count) {
        found = &t->kept[t->next];
        t->next = (t->next + 1) % KEPT;
        free_grams(found->grams);
        status result = blend(t, side, content, found->grams, err);
        if (result != STATUS_OK) free_grams(found->grams);
        if (result != STATUS_OK) return result;
        found->key = key;
    }
    for (size_t i = 0; i < t->s.layers->count; i++) grams[i] = found->grams[i];
    return STATUS_OK;
}

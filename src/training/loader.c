#include "training/loader.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "base/text.h"
#include "image/image.h"

/* Pictures of one folder, decoded and resized; kept while the cache has room. */
typedef struct collection {
    image_list list;
    image *kept; /* {0} where not kept */
    bool *bad;   /* cannot be used */
} collection;

/* A shuffled order, made once an epoch. */
typedef struct order {
    uint64_t epoch; /* UINT64_MAX: none yet */
    uint32_t *index;
} order;

struct training_loader {
    const training_options *options;
    collection train[2], test[2];
    order orders[2];
    size_t cache_left; /* bytes */
    text complaints; /* lines, for the next report */
    pthread_mutex_t lock; /* of kept, bad, cache_left, complaints, orders */
};

static status list_folder(collection *c, const char *folder, const char *domain, error *err)
{
    if (image_list_add(&c->list, folder, err) != STATUS_OK) return error_prefix(err, "domain %s", domain);
    if (c->list.count == 0)
        return error_set(err, STATUS_FAILED, "domain %s: no pictures (.png, .jpg, .webp) in %s", domain, folder);
    if (c->list.count > UINT32_MAX) return error_set(err, STATUS_FAILED, "domain %s: too many pictures", domain);
    c->kept = calloc(c->list.count, sizeof *c->kept);
    c->bad = calloc(c->list.count, sizeof *c->bad);
    return c->kept && c->bad ? STATUS_OK : error_no_memory(err, "the list of pictures", c->list.count * sizeof *c->kept);
}

status training_loader_create(const training_options *options, training_loader **out, error *err)
{
    *out = NULL;
    training_loader *l = calloc(1, sizeof *l);
    if (!l) return error_no_memory(err, "the loader", sizeof *l);
    l->options = options;
    l->cache_left = (size_t)options->cache_mb << 20;
    pthread_mutex_init(&l->lock, NULL);
    status result = STATUS_OK;
    for (int d = 0; d < 2; d++) {
        const training_domain *domain = &options->domains[d];
        l->orders[d].epoch = UINT64_MAX;
        TRY_OR(error, list_folder(&l->train[d], domain->train, domain->name, err));
        if (domain->test) TRY_OR(error, list_folder(&l->test[d], domain->test, domain->name, err));
        size_t bytes = l->train[d].list.count * sizeof *l->orders[d].index;
        l->orders[d].index = malloc(bytes);
        if (!l->orders[d].index) {
            result = error_no_memory(err, "the order of the pictures", bytes);
            goto error;
        }
    }
    *out = l;
    return STATUS_OK;
error:
    training_loader_destroy(l);
    return result;
}

static void free_collection(collection *c)
{
    for (size_t i = 0; c->kept && i < c->list.count; i++) image_free(&c->kept[i]);
    free(c->kept);
    free(c->bad);
    image_list_free(&c->list);
}

void training_loader_destroy(training_loader *l)
{
    if (!l) return;
    for (int d = 0; d < 2; d++) {
        free_collection(&l->train[d]);
        free_collection(&l->test[d]);
        free(l->orders[d].index);
    }
    text_free(&l->complaints);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

void training_loader_report(training_loader *l, log_sink *log)
{
    pthread_mutex_lock(&l->lock);
    text lines = l->complaints;
    l->complaints = (text){0};
    pthread_mutex_unlock(&l->lock);
    for (char *line = lines.data, *end; line && (end = strchr(line, '\n')); line = end + 1)
        log_warn(log, "%.*s; the picture is left out", (int)(end - line), line);
    text_free(&lines);
}

size_t training_loader_count(const training_loader *l, int domain) { return l->train[domain].list.count; }

const image_list *training_loader_pictures(const training_loader *l, int domain) { return &l->train[domain].list; }

uint64_t training_loader_steps_per_epoch(const training_loader *l)
{
    size_t a = l->train[0].list.count, b = l->options->one_way ? 0 : l->train[1].list.count, larger = a > b ? a : b;
    uint64_t steps = larger / (uint64_t)l->options->batch_size;
    return steps ? steps : 1;
}

const char *training_loader_fingerprint(const training_loader *l, int domain, char *buffer, size_t size)
{
    const image_list *list = &l->train[domain].list;
    hash64 names = hash64_start(0);
    for (size_t i = 0; i < list->count; i++)
        hash64_add(&names, list->items[i].relative, strlen(list->items[i].relative) + 1);
    snprintf(buffer, size, "%zu %016llx", list->count, (unsigned long long)hash64_value(&names));
    return buffer;
}

void training_loader_compare(const training_loader *l, int domain, const char *before, log_sink *log)
{
    char now[64], changed[64];
    if (!before || strcmp(training_loader_fingerprint(l, domain, now, sizeof now), before) == 0) return;
    unsigned long long count = strtoull(before, NULL, 10);
    if (domain && l->options->one_way) {
        log_warn(log, "domain %s: the pictures have changed, and the style from here on is theirs",
                 l->options->domains[domain].name);
        return;
    }
    if (count == l->train[domain].list.count)
        snprintf(changed, sizeof changed, "as many, but with other names");
    else
        snprintf(changed, sizeof changed, "were %llu", count);
    log_warn(log, "domain %s: %zu pictures, %s: the order of pictures from here on differs from an uninterrupted run",
             l->options->domains[domain].name, l->train[domain].list.count, changed);
}

static size_t batch_bytes(const training_loader *l)
{
    size_t crop = (size_t)l->options->crop_size;
    return (size_t)l->options->batch_size * crop * crop * 3;
}

/* Domains of which there are batches. */
static int domains(const training_loader *l) { return l->options->one_way ? 1 : 2; }

size_t training_loader_slot_bytes(const training_loader *l)
{
    return (size_t)domains(l) * batch_bytes(l);
}

double training_loader_bytes(const training_loader *l, double largest)
{
    const training_options *o = l->options;
    double pictures = (double)(l->train[0].list.count + (o->one_way ? 0 : l->train[1].list.count));
    double side = (double)o->load_size, resized = side * side * 3;
    if (o->fit == TRAINING_COVER) resized *= 1.5; /* of common shapes */
    if (o->fit == TRAINING_AS_IS) resized = largest * 3;
    double cache = (double)((size_t)o->cache_mb << 20), all = pictures * resized;
    const double decoding = 12; /* bytes a pixel: see image_read */
    return (all < cache ? all : cache) + (double)o->workers * (decoding * largest + resized);
}

static status fit(const training_options *o, image *picture, const char *path, error *err)
{
    size_t width = (size_t)o->load_size, height = width, crop = (size_t)o->crop_size;
    if (o->fit == TRAINING_AS_IS) {
        if (picture->width >= crop && picture->height >= crop) return STATUS_OK;
        return error_set(err, STATUS_FAILED, "%s: %zux%zu is smaller than the crop of %zu; lower data.crop_size or set "
                         "data.fit to cover", path, picture->width, picture->height, crop);
    }
    if (o->fit == TRAINING_COVER) {
        size_t shorter = picture->width < picture->height ? picture->width : picture->height;
        width = (picture->width * width + shorter / 2) / shorter;
        height = (picture->height * height + shorter / 2) / shorter;
    }
    if (picture->width == width && picture->height == height) return STATUS_OK;
    image resized = {0};
    TRY(image_resize(picture, width, height, &resized, err));
    image_free(picture);
    *picture = resized;
    return STATUS_OK;
}

/* Networks see colours alone, as the reference's: also those under alpha 0. */
static void drop_extras(image *picture)
{
    free(picture->alpha);
    free(picture->profile);
    picture->alpha = picture->profile = NULL;
    picture->profile_bytes = 0;
}

/* The picture, resized: a view of the kept one, or one of the caller's own in *owned. */
static status fetch(training_loader *l, collection *c, size_t index, image *owned, const image **out, error *err)
{
    pthread_mutex_lock(&l->lock);
    bool kept = c->kept[index].pixels != NULL;
    pthread_mutex_unlock(&l->lock);
    *out = &c->kept[index];
    if (kept) return STATUS_OK;
    image_limits limits = {.max_pixels = (size_t)l->options->max_megapixels * 1000000};
    TRY(image_read(c->list.items[index].path, &limits, owned, err));
    drop_extras(owned);
    status result = fit(l->options, owned, c->list.items[index].path, err);
    *out = owned;
    if (result != STATUS_OK) {
        image_free(owned);
        return result;
    }
    size_t bytes = owned->width * owned->height * 3;
    pthread_mutex_lock(&l->lock);
    if (!c->kept[index].pixels && l->cache_left >= bytes) { /* another thread may have been faster */
        l->cache_left -= bytes;
        c->kept[index] = *owned;
        *owned = (image){0};
        *out = &c->kept[index];
    }
    pthread_mutex_unlock(&l->lock);
    return STATUS_OK;
}

/* The picture, or the next in the folder's order that can be used: which one depends on the files alone. */
static status fetch_usable(training_loader *l, collection *c, size_t index, image *owned, const image **out,
                           error *err)
{
    status result = STATUS_FAILED;
    for (size_t tried = 0; tried < c->list.count; tried++, index = (index + 1) % c->list.count) {
        pthread_mutex_lock(&l->lock);
        bool bad = c->bad[index];
        pthread_mutex_unlock(&l->lock);
        if (bad) continue;
        result = fetch(l, c, index, owned, out, err);
        if (result != STATUS_FAILED) return result; /* without memory, another picture is no help */
        pthread_mutex_lock(&l->lock);
        if (!c->bad[index]) text_format(&l->complaints, "%s\n", err->message);
        c->bad[index] = true;
        pthread_mutex_unlock(&l->lock);
    }
    return error_set(err, result, "none of the %zu pictures beside %s can be used", c->list.count,
                     c->list.items[0].path);
}

/* Which picture is number `item` of the training (step * batch + place). */
static size_t picture_of(training_loader *l, int domain, uint64_t step, uint32_t place)
{
    const training_options *o = l->options;
    uint32_t count = (uint32_t)l->train[domain].list.count;
    uint64_t epoch = step / training_loader_steps_per_epoch(l), batch = (uint64_t)o->batch_size;
    uint64_t item = step % training_loader_steps_per_epoch(l) * batch + place;
    rng_stream stream = domain ? RNG_ORDER_B : RNG_ORDER_A;
    bool larger = l->options->one_way || (domain ? count > l->train[0].list.count : count >= l->train[1].list.count);
    if (!larger) /* a domain either shuffles or draws, so its stream serves one of the two */
        return rng_below((uint64_t)o->seed, stream, step, place, count);
    order *shuffled = &l->orders[domain];
    pthread_mutex_lock(&l->lock);
    if (shuffled->epoch != epoch) {
        rng_permutation((uint64_t)o->seed, stream, epoch, count, shuffled->index);
        shuffled->epoch = epoch;
    }
    size_t picture = shuffled->index[item % count]; /* a batch larger than the set repeats it */
    pthread_mutex_unlock(&l->lock);
    return picture;
}

/* A square of `crop` from (left, top), mirrored or not. */
static void take_crop(const image *picture, size_t left, size_t top, size_t crop, bool flip, uint8_t *out)
{
    for (size_t y = 0; y < crop; y++, out += crop * 3) {
        const uint8_t *row = picture->pixels + ((top + y) * picture->width + left) * 3;
        if (!flip)
            memcpy(out, row, crop * 3);
        else
            for (size_t x = 0; x < crop; x++) memcpy(out + x * 3, row + (crop - 1 - x) * 3, 3);
    }
}

static status produce_one(training_loader *l, int domain, uint64_t step, uint32_t place, uint8_t *out, error *err)
{
    const training_options *o = l->options;
    image owned = {0};
    const image *picture;
    status result = fetch_usable(l, &l->train[domain], picture_of(l, domain, step, place), &owned, &picture, err);
    if (result == STATUS_OK) {
        rng_stream stream = domain ? RNG_AUGMENT_B : RNG_AUGMENT_A;
        size_t crop = (size_t)o->crop_size;
        uint32_t words[4];
        rng_block((uint64_t)o->seed, stream, step, place, words);
        size_t left = (size_t)((uint64_t)words[0] * (picture->width - crop + 1) >> 32);
        size_t top = (size_t)((uint64_t)words[1] * (picture->height - crop + 1) >> 32);
        take_crop(picture, left, top, crop, o->flip && (words[2] & 1), out);
    }
    image_free(&owned);
    return result;
}

status training_loader_produce(void *loader, uint64_t step, void *slot, error *err)
{
    training_loader *l = loader;
    uint8_t *out = slot;
    size_t crop = (size_t)l->options->crop_size;
    for (int domain = 0; domain < domains(l); domain++)
        for (uint32_t place = 0; place < (uint32_t)l->options->batch_size; place++) {
            TRY(produce_one(l, domain, step, place, out, err));
            out += crop * crop * 3;
        }
    return STATUS_OK;
}

status training_loader_sample(training_loader *l, int domain, size_t index, size_t of, uint8_t *pixels, error *err)
{
    collection *c = l->test[domain].list.count ? &l->test[domain] : &l->train[domain];
    image owned = {0};
    const image *picture;
    status result = fetch_usable(l, c, index * c->list.count / of % c->list.count, &owned, &picture, err);
    if (result == STATUS_OK) {
        size_t crop = (size_t)l->options->crop_size;
        take_crop(picture, (picture->width - crop) / 2, (picture->height - crop) / 2, crop, false, pixels);
    }
    image_free(&owned);
    return result;
}

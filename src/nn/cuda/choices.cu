#include "nn/cuda/choices.h"

#include <stdlib.h>
#include <string.h>

extern "C" {
#include "base/hash.h"
#include "base/text.h"
}

enum { MOST_CHOICES = 1 << 12 }; /* that are taken; a training has some hundred */

struct entry {
    cuda_choice choice;
    bool wish;
};

struct cuda_choices {
    entry *item;
    size_t count, capacity;
};

void cuda_choices_destroy(cuda_choices *choices)
{
    if (!choices) return;
    free(choices->item);
    free(choices);
}

static entry *find(const cuda_choices *choices, const cuda_choice_key *key)
{
    for (size_t i = 0; choices && i < choices->count; i++)
        if (memcmp(&choices->item[i].choice.key, key, sizeof *key) == 0) return &choices->item[i];
    return NULL;
}

const cuda_choice *cuda_choices_find(const cuda_choices *choices, const cuda_choice_key *key, bool *wish)
{
    const entry *e = find(choices, key);
    *wish = e && e->wish;
    return e ? &e->choice : NULL;
}

/* False without memory. */
static bool reserve(cuda_backend *cuda, size_t more)
{
    if (!cuda->choices) cuda->choices = (cuda_choices *)calloc(1, sizeof *cuda->choices);
    cuda_choices *c = cuda->choices;
    if (!c) return false;
    if (c->capacity - c->count >= more) return true;
    size_t capacity = 2 * c->capacity + 64 + more;
    entry *item = (entry *)realloc(c->item, capacity * sizeof *item);
    if (!item) return false;
    c->item = item;
    c->capacity = capacity;
    return true;
}

void cuda_choices_keep(cuda_backend *cuda, const cuda_choice *chosen)
{
    entry *known = find(cuda->choices, &chosen->key), fresh = {*chosen, false};
    if (known)
        *known = fresh;
    else if (reserve(cuda, 1))
        cuda->choices->item[cuda->choices->count++] = fresh;
}

/* What the bytes begin with; behind it are `count` of cuda_choice. */
struct header {
    char magic[8];
    uint64_t checksum; /* xxHash64 of all behind it */
    uint64_t library;  /* cuBLASLt's version */
    uint32_t major, minor, count, reserved;
    char device[256];
};
static_assert(sizeof(header) == 296 && sizeof(cuda_choice) == 160, "both are written as they are, so without holes");

static const char magic[] = "cublasL1"; /* its last character is the format's number */
enum { CHECKED = offsetof(header, library) };

static uint64_t checksum_of(const void *bytes, size_t count)
{
    hash64 h = hash64_start(0);
    hash64_add(&h, (const char *)bytes + CHECKED, count - CHECKED);
    return hash64_value(&h);
}

/* Of what is measured here, with nothing behind it. */
static header header_of(const cuda_backend *cuda)
{
    header h = {};
    memcpy(h.magic, magic, sizeof h.magic);
    h.library = cublasLtGetVersion();
    h.major = (uint32_t)cuda->major, h.minor = (uint32_t)cuda->minor;
    memcpy(h.device, cuda->name, strlen(cuda->name)); /* what is behind its end is anything */
    return h;
}

status cuda_give_choices(nn_backend *backend, void **out, size_t *bytes, error *err)
{
    const cuda_backend *cuda = (const cuda_backend *)(const void *)backend;
    const cuda_choices *c = cuda->choices;
    header h = header_of(cuda);
    h.count = c && c->count < MOST_CHOICES ? (uint32_t)c->count : c ? MOST_CHOICES : 0;
    *out = NULL;
    *bytes = 0;
    if (h.count == 0) return STATUS_OK;
    size_t size = sizeof h + h.count * sizeof(cuda_choice);
    char *all = (char *)malloc(size);
    if (!all) return error_no_memory(err, "the algorithms that were measured", size);
    for (size_t i = 0; i < h.count; i++)
        memcpy(all + sizeof h + i * sizeof(cuda_choice), &c->item[i].choice, sizeof(cuda_choice));
    memcpy(all, &h, sizeof h);
    h.checksum = checksum_of(all, size);
    memcpy(all, &h, sizeof h);
    *out = all;
    *bytes = size;
    return STATUS_OK;
}

static status check(const cuda_backend *cuda, const void *bytes, size_t count, header *h, error *err)
{
    char found[300], here[300];
    if (count < sizeof *h) return error_set(err, STATUS_FAILED, "damaged: %zu bytes, expected %zu at least", count, sizeof *h);
    memcpy(h, bytes, sizeof *h);
    if (memcmp(h->magic, magic, sizeof h->magic) != 0)
        return error_set(err, STATUS_FAILED, "damaged, or written by another version of this program");
    if (h->checksum != checksum_of(bytes, count))
        return error_set(err, STATUS_FAILED, "damaged: they do not have the checksum that they were written with");
    if (h->count > MOST_CHOICES || count - sizeof *h != h->count * sizeof(cuda_choice) ||
        !memchr(h->device, '\0', sizeof h->device))
        return error_set(err, STATUS_FAILED, "damaged: %u of them in %zu bytes", h->count, count);
    header own = header_of(cuda);
    if (h->library == own.library && h->major == own.major && h->minor == own.minor && strcmp(h->device, own.device) == 0)
        return STATUS_OK;
    return error_set(err, STATUS_FAILED, "measured on %s (%u.%u) with cuBLASLt %llu, not on %s (%u.%u) with %llu",
                     text_printable(h->device, found, sizeof found), h->major, h->minor, (unsigned long long)h->library,
                     text_printable(own.device, here, sizeof here), own.major, own.minor, (unsigned long long)own.library);
}

status cuda_take_choices(nn_backend *backend, const void *bytes, size_t count, error *err)
{
    cuda_backend *cuda = (cuda_backend *)(void *)backend;
    header h;
    TRY(check(cuda, bytes, count, &h, err));
    if (!reserve(cuda, h.count)) return error_no_memory(err, "the algorithms that were measured", count);
    for (size_t i = 0; i < h.count; i++) {
        entry e = {{}, true};
        memcpy(&e.choice, (const char *)bytes + sizeof h + i * sizeof e.choice, sizeof e.choice);
        if (!find(cuda->choices, &e.choice.key)) cuda->choices->item[cuda->choices->count++] = e;
    }
    return STATUS_OK;
}

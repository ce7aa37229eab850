#include "base/hash.h"

#include <string.h>

static const uint64_t prime1 = 0x9E3779B185EBCA87u, prime2 = 0xC2B2AE3D27D4EB4Fu, prime3 = 0x165667B19E3779F9u,
                      prime4 = 0x85EBCA77C2B2AE63u, prime5 = 0x27D4EB2F165667C5u;

enum { STRIPE = 32 };

static uint64_t rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }

/* Little-endian, whatever the machine's order. Written out, because gcc makes one load of it. */
static uint64_t load64(const unsigned char *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 |
           (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

static uint64_t load32(const unsigned char *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
}

static uint64_t round_lane(uint64_t lane, uint64_t word) { return rotate(lane + word * prime2, 31) * prime1; }

hash64 hash64_start(uint64_t seed)
{
    return (hash64){.lanes = {seed + prime1 + prime2, seed + prime2, seed, seed - prime1}, .seed = seed};
}

static void add_stripe(hash64 *h, const unsigned char *p)
{
    for (int i = 0; i < 4; i++) h->lanes[i] = round_lane(h->lanes[i], load64(p + 8 * i));
}

void hash64_add(hash64 *h, const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    h->total += size;
    if (h->rest_count) {
        size_t room = STRIPE - h->rest_count, part = size < room ? size : room;
        memcpy(h->rest + h->rest_count, p, part);
        h->rest_count += part;
        p += part;
        size -= part;
        if (h->rest_count < STRIPE) return;
        add_stripe(h, h->rest);
        h->rest_count = 0;
    }
    for (; size >= STRIPE; p += STRIPE, size -= STRIPE) add_stripe(h, p);
    if (size) memcpy(h->rest, p, size);
    h->rest_count = size;
}

static uint64_t merge_lanes(const hash64 *h)
{
    if (h->total < STRIPE) return h->seed + prime5;
    static const int by[4] = {1, 7, 12, 18};
    uint64_t value = 0;
    for (int i = 0; i < 4; i++) value += rotate(h->lanes[i], by[i]);
    for (int i = 0; i < 4; i++) value = (value ^ round_lane(0, h->lanes[i])) * prime1 + prime4;
    return value;
}

uint64_t hash64_value(const hash64 *h)
{
    uint64_t value = merge_lanes(h) + h->total;
    const unsigned char *p = h->rest, *end = p + h->rest_count;
    for (; end - p >= 8; p += 8) value = rotate(value ^ round_lane(0, load64(p)), 27) * prime1 + prime4;
    if (end - p >= 4) {
        value = rotate(value ^ load32(p) * prime1, 23) * prime2 + prime3;
        p += 4;
    }
    for (; p < end; p++) value = rotate(value ^ *p * prime5, 11) * prime1;
    value = (value ^ value >> 33) * prime2;
    value = (value ^ value >> 29) * prime3;
    return value ^ value >> 32;
}

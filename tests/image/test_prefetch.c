#include "image/prefetch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "test.h"

typedef struct item {
    uint64_t number, square;
    unsigned char fill[37]; /* an odd size: slots must not overlap */
} item;

typedef struct counters {
    atomic_ullong made, largest; /* how many, and the highest number asked for */
    uint64_t failing;            /* every multiple of it fails; 0: none */
} counters;

static void wait_nanoseconds(long nanoseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = nanoseconds}, NULL);
}

static status produce(void *context, uint64_t number, void *slot, error *err)
{
    counters *c = context;
    unsigned long long seen = atomic_load(&c->largest);
    while (seen < number && !atomic_compare_exchange_weak(&c->largest, &seen, number)) continue;
    if (number % 3 == 0) wait_nanoseconds(200000); /* so that later numbers are done first */
    if (c->failing && number % c->failing == 0)
        return error_set(err, STATUS_NOT_FINITE, "number %llu", (unsigned long long)number);
    item *out = slot;
    out->number = number;
    out->square = number * number;
    memset(out->fill, (int)(number & 255), sizeof out->fill);
    atomic_fetch_add(&c->made, 1);
    return STATUS_OK;
}

static prefetch_options options_of(counters *c, size_t depth, size_t threads, uint64_t first, uint64_t end)
{
    return (prefetch_options){.produce = produce, .context = c, .slot_bytes = sizeof(item), .depth = depth,
                              .threads = threads, .first = first, .end = end};
}

static bool is_whole(const item *x, uint64_t number)
{
    bool whole = x->number == number && x->square == number * number && (uintptr_t)x % 64 == 0;
    for (size_t i = 0; i < sizeof x->fill; i++) whole = whole && x->fill[i] == (number & 255);
    return whole;
}

static void takes_in_order(test *t)
{
    const size_t shapes[][2] = {{1, 1}, {1, 3}, {4, 1}, {4, 2}, {3, 8}, {64, 4}}; /* depth, threads */
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        counters c = {0};
        error err = {0};
        prefetch *p;
        prefetch_options options = options_of(&c, shapes[s][0], shapes[s][1], 5, 105);
        REQUIRE_OK(t, prefetch_create(&options, &p, &err), err);
        for (uint64_t i = 5; i < 105; i++) {
            const void *slot;
            REQUIRE_OK(t, prefetch_take(p, &slot, &err), err);
            CHECK(t, is_whole(slot, i));
            /* While number i is held, the ring has room up to i + depth - 1. */
            CHECK(t, atomic_load(&c.largest) < i + shapes[s][0]);
            CHECK(t, is_whole(slot, i));
            prefetch_release(p);
        }
        CHECK(t, atomic_load(&c.made) == 100);
        const void *slot;
        CHECK(t, prefetch_take(p, &slot, &err) == STATUS_FAILED);
        CHECK_TEXT(t, err.message, "all numbers up to 105 are taken");
        prefetch_destroy(p);
    }
}

static void returns_errors_at_their_number(test *t)
{
    counters c = {.failing = 7};
    error err = {0};
    prefetch *p;
    prefetch_options options = options_of(&c, 3, 2, 1, 50);
    REQUIRE_OK(t, prefetch_create(&options, &p, &err), err);
    for (uint64_t i = 1; i < 50; i++) {
        const void *slot;
        err = (error){0};
        status result = prefetch_take(p, &slot, &err);
        if (i % 7 == 0) {
            char expected[32];
            snprintf(expected, sizeof expected, "number %d", (int)i);
            CHECK(t, result == STATUS_NOT_FINITE && err.code == STATUS_NOT_FINITE && !slot);
            CHECK_TEXT(t, err.message, expected);
            if (i % 14 == 0) prefetch_release(p); /* nothing is held: no effect */
        } else {
            CHECK(t, result == STATUS_OK && is_whole(slot, i));
            prefetch_release(p);
        }
    }
    prefetch_destroy(p);
}

static void stops_at_any_time(test *t)
{
    for (int round = 0; round < 60; round++) {
        counters c = {.failing = round % 5 == 0 ? 2 : 0};
        error err = {0};
        prefetch *p;
        prefetch_options options = options_of(&c, 1 + (size_t)round % 4, 1 + (size_t)round % 3, 0, UINT64_MAX);
        REQUIRE_OK(t, prefetch_create(&options, &p, &err), err);
        if (round % 2) wait_nanoseconds(round * 10000);
        for (int i = 0; i < round % 6; i++) {
            const void *slot;
            bool last = i + 1 == round % 6; /* destroyed while a slot is held */
            if (prefetch_take(p, &slot, &err) == STATUS_OK && !last) prefetch_release(p);
        }
        prefetch_destroy(p);
    }
    prefetch_destroy(NULL);
}

static void refuses_misuse(test *t)
{
    counters c = {0};
    error err = {0};
    prefetch *p;
    const void *slot;
    prefetch_options options = options_of(&c, 0, 1, 0, 1);
    CHECK(t, prefetch_create(&options, &p, &err) == STATUS_FAILED && !p);
    CHECK_CONTAINS(t, err.message, "at least 1 slot and 1 thread");
    options = options_of(&c, 2, 1, 0, 0);
    options.slot_bytes = SIZE_MAX / 2;
    CHECK(t, prefetch_create(&options, &p, &err) == STATUS_NO_MEMORY && !p);

    options = options_of(&c, 2, 1, 3, 9);
    REQUIRE_OK(t, prefetch_create(&options, &p, &err), err);
    REQUIRE_OK(t, prefetch_take(p, &slot, &err), err);
    CHECK(t, prefetch_take(p, &slot, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "number 3 was not released");
    prefetch_release(p);
    REQUIRE_OK(t, prefetch_take(p, &slot, &err), err);
    CHECK(t, is_whole(slot, 4));
    prefetch_destroy(p);

    options = options_of(&c, 2, 2, 7, 7); /* nothing to make */
    REQUIRE_OK(t, prefetch_create(&options, &p, &err), err);
    CHECK(t, prefetch_take(p, &slot, &err) == STATUS_FAILED);
    prefetch_destroy(p);
}

TEST_MAIN(TEST(takes_in_order), TEST(returns_errors_at_their_number), TEST(stops_at_any_time), TEST(refuses_misuse))

/* The gate: what waits for what. A thread reads, this one says what is done. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "test.h"
#include "translate/gate.h"

/* An eighth of this at 23 bytes a pixel: up to 2279 pixels are small. */
enum { MEMORY = 8 * 23 * 2279, NUMBERS = 6 };

typedef struct reading {
    memory_gate *gate;
    const size_t *pixels;    /* (NUMBERS) */
    atomic_size_t done;      /* numbers that this side was told are done */
    size_t admitted[NUMBERS]; /* `done` when the number's pixels were admitted */
} reading;

static void *read_all(void *context)
{
    reading *r = context;
    for (size_t i = 0; i < NUMBERS; i++) {
        memory_gate_reading number = memory_gate_next(r->gate, i);
        memory_gate_admit(&number, r->pixels[i], 1);
        r->admitted[i] = atomic_load(&r->done);
    }
    return NULL;
}

/* A pause gives a thread that does not wait the time to show it; one that waits is right however long it is. */
static void release_all(reading *r)
{
    for (size_t i = 0; i < NUMBERS; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        atomic_fetch_add(&r->done, 1);
        memory_gate_release(r->gate);
    }
}

static void keeps_big_ones_apart(test *t)
{
    static const size_t pixels[NUMBERS] = {100, 100, 2280, 100, 2279, 9000};
    reading r = {.pixels = pixels};
    error err = {0};
    pthread_t thread;
    REQUIRE_OK(t, memory_gate_create(MEMORY, 23, &r.gate, &err), err);
    CHECK(t, memory_gate_is_big(r.gate, 2280, 1) && !memory_gate_is_big(r.gate, 2279, 1));
    CHECK(t, memory_gate_is_big(r.gate, SIZE_MAX, SIZE_MAX));
    REQUIRE(t, pthread_create(&thread, NULL, read_all, &r) == 0);
    release_all(&r);
    pthread_join(thread, NULL);
    CHECK(t, r.admitted[2] >= 2); /* big: after all before it */
    CHECK(t, r.admitted[3] >= 3); /* after a big one */
    CHECK(t, r.admitted[5] >= 5);
    memory_gate_destroy(r.gate);
}

static void lets_small_ones_pass(test *t)
{
    static const size_t pixels[NUMBERS] = {1, 2279, 100, 2279, 5, 1000};
    reading r = {.pixels = pixels};
    error err = {0};
    REQUIRE_OK(t, memory_gate_create(MEMORY, 23, &r.gate, &err), err);
    read_all(&r); /* or it would wait for ever */
    memory_gate_destroy(r.gate);
}

/* Two threads: one that has begun with a number before a big one lets it pass when that has come first. */
static void does_not_turn_in_circles(test *t)
{
    memory_gate *gate;
    error err = {0};
    REQUIRE_OK(t, memory_gate_create(MEMORY, 23, &gate, &err), err);
    memory_gate_next(gate, 0);
    memory_gate_release(gate);
    memory_gate_reading big = memory_gate_next(gate, 1);
    memory_gate_admit(&big, 9000, 1); /* 0 is done */
    memory_gate_reading before = memory_gate_next(gate, 0);
    memory_gate_admit(&before, 100, 1); /* or it would wait for ever */
    memory_gate_destroy(gate);
}

static void opens(test *t)
{
    static const size_t pixels[NUMBERS] = {9000, 9000, 9000, 9000, 9000, 9000};
    reading r = {.pixels = pixels};
    error err = {0};
    pthread_t thread;
    REQUIRE_OK(t, memory_gate_create(MEMORY, 23, &r.gate, &err), err);
    REQUIRE(t, pthread_create(&thread, NULL, read_all, &r) == 0);
    memory_gate_open(r.gate);
    pthread_join(thread, NULL);
    memory_gate_destroy(r.gate);
}

TEST_MAIN(TEST(keeps_big_ones_apart), TEST(lets_small_ones_pass), TEST(does_not_turn_in_circles), TEST(opens))

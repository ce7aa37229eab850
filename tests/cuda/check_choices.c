/* The algorithms that one backend measured, used by the next: the same ones and the same bits, and nothing of it where
 * they are damaged, of another device, or forged. */
#include "cuda/check.h"

#include "base/hash.h"

enum { M = 24, K = 20, SIDE = 12, IMAGES = 2, X = IMAGES * SIDE * SIDE * K, W1 = M * K * 9, W2 = 3 * M * 25,
       Y = IMAGES * SIDE * SIDE * 3 };

/* Where the bytes have what (src/nn/cuda/choices.cu). */
enum { CHECKSUM = 8, LIBRARY = 16, MAJOR = 24, COUNT = 32, DEVICE = 40, HEADER = 296, CHOICE = 160, ALGORITHM = 96 };

typedef struct bytes {
    unsigned char *data;
    size_t count;
} bytes;

static bytes give(test *t, nn_backend *backend)
{
    bytes b = {0};
    error err = {0};
    void *data;
    if (backend->interface->give_choices(backend, &data, &b.count, &err) != STATUS_OK)
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
    b.data = data;
    return b;
}

/* Two convolutions and their weights' gradients, twice: launched, then recorded. */
static void compute(test *t, nn_backend *backend, float *results)
{
    error err = {0};
    static float x[X], w1[W1], w2[W2];
    nn_graph *g = nn_graph_create();
    nn_value in[3] = {nn_input(g, "x", nn_shape_of(IMAGES, SIDE, SIDE, K)), nn_input(g, "w", nn_shape_of(M, K, 3, 3)),
                      nn_input(g, "w", nn_shape_of(3, M, 5, 5))};
    nn_value y = nn_conv2d(g, nn_conv2d(g, in[0], in[1], 1, 1), in[2], 1, 2), gradients[2];
    nn_grad(g, nn_mean_square(g, y, NN_NONE, 0), in + 1, 2, gradients);
    const nn_value outputs[3] = {y, gradients[0], gradients[1]};
    static const size_t counts[3] = {Y, W1, W2};
    for (int i = 0; i < 3; i++) nn_output(g, outputs[i]);
    nn_program *p;
    nn_arena arena = {0};
    REQUIRE_OK(t, nn_program_create(g, backend, NULL, &p, &err), err);
    REQUIRE_OK(t, nn_arena_bind(&arena, backend, &p, 1, &err), err);
    check_noise(x, X, 1, 0);
    check_noise(w1, W1, 2, 0);
    check_noise(w2, W2, 3, 0);
    for (int run = 0; run < 2; run++) {
        nn_program_write(p, in[0], x);
        nn_program_write(p, in[1], w1);
        nn_program_write(p, in[2], w2);
        nn_program_run(p);
        float *to = results;
        for (int i = 0; i < 3; to += counts[i++]) nn_program_read(p, outputs[i], to);
    }
    REQUIRE_OK(t, nn_backend_check(backend, &err), err);
    nn_program_destroy(p);
    nn_arena_free(&arena);
    nn_graph_destroy(g);
}

enum { RESULTS = Y + W1 + W2 };

static nn_backend *create(test *t)
{
    error err = {0};
    nn_backend *backend;
    if (check_create_device(&check_precisions[1], &backend, &err) == STATUS_OK) return backend;
    test_failed(t, __FILE__, __LINE__, "%s", err.message);
    exit(1);
}

static status take(nn_backend *backend, const bytes *b, error *err)
{
    *err = (error){0};
    return backend->interface->take_choices(backend, b->data, b->count, err);
}

/* A backend's choices and results after it has measured by itself. */
static bytes measured(test *t, float *results)
{
    nn_backend *backend = create(t);
    bytes none = give(t, backend);
    CHECK(t, !none.data && none.count == 0);
    compute(t, backend, results);
    bytes b = give(t, backend);
    CHECK(t, b.count > HEADER && (b.count - HEADER) % CHOICE == 0);
    nn_backend_destroy(backend);
    return b;
}

static void the_next_repeats_the_bits(test *t)
{
    static float first[RESULTS], second[RESULTS];
    error err;
    setenv("EMULATED_CLOCK", "dice", 1);
    bytes before = measured(t, first);
    nn_backend *backend = create(t);
    REQUIRE_OK(t, take(backend, &before, &err), err);
    REQUIRE_OK(t, take(backend, &before, &err), err); /* twice is no more than once */
    compute(t, backend, second);
    bytes after = give(t, backend);
    CHECK(t, after.count == before.count && memcmp(after.data, before.data, before.count) == 0);
    CHECK(t, memcmp(first, second, sizeof first) == 0);
    if (check_is_emulated(backend)) { /* measuring anew chooses others */
        bytes others = measured(t, second);
        CHECK(t, others.count == before.count && memcmp(others.data, before.data, before.count) != 0);
        CHECK(t, memcmp(first, second, sizeof first) != 0);
        free(others.data);
    }
    unsetenv("EMULATED_CLOCK");
    nn_backend_destroy(backend);
    free(before.data);
    free(after.data);
}

static void what_is_not_used_is_kept(test *t)
{
    static float results[RESULTS];
    error err;
    bytes before = measured(t, results);
    nn_backend *backend = create(t);
    REQUIRE_OK(t, take(backend, &before, &err), err);
    bytes after = give(t, backend); /* a checkpoint before the first step has those of the one before */
    CHECK(t, after.count == before.count && memcmp(after.data, before.data, before.count) == 0);
    nn_backend_destroy(backend);
    free(before.data);
    free(after.data);
}

static void refuses(test *t, nn_backend *backend, const bytes *b, const char *part)
{
    error err;
    CHECK(t, take(backend, b, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, part);
    CHECK(t, !strpbrk(err.message, "\n\r\033"));
    bytes none = give(t, backend);
    CHECK(t, none.count == 0);
    free(none.data);
}

static void sign(bytes *b)
{
    hash64 h = hash64_start(0);
    hash64_add(&h, b->data + LIBRARY, b->count - LIBRARY);
    uint64_t value = hash64_value(&h);
    memcpy(b->data + CHECKSUM, &value, sizeof value);
}

static void refuses_damage(test *t)
{
    static float results[RESULTS];
    bytes b = measured(t, results);
    nn_backend *backend = create(t);
    for (size_t i = 0; i < b.count; i++) {
        b.data[i] ^= (unsigned char)(1 << i % 8);
        refuses(t, backend, &b, "damaged");
        b.data[i] ^= (unsigned char)(1 << i % 8);
    }
    for (size_t count = 0; count < b.count; count += 1 + count / 16) {
        bytes cut = {malloc(count + 1), count}; /* of that size, for the address sanitizer */
        memcpy(cut.data, b.data, count);
        refuses(t, backend, &cut, "damaged");
        free(cut.data);
    }
    nn_backend_destroy(backend);
    free(b.data);
}

/* With a checksum that fits. */
static void refuses_what_is_not_of_here(test *t)
{
    static float results[RESULTS];
    bytes b = measured(t, results);
    nn_backend *backend = create(t);
    static const struct {
        size_t at;
        const char *part;
    } fields[] = {{LIBRARY, "with cuBLASLt"}, {MAJOR, "measured on"}, {MAJOR + 4, "measured on"}, {DEVICE, "measured on"},
                  {COUNT, "damaged"}, {COUNT + 3, "damaged"}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        b.data[fields[i].at] ^= 0x10; /* in a name a character that is shown as \x.. */
        sign(&b);
        refuses(t, backend, &b, fields[i].part);
        b.data[fields[i].at] ^= 0x10;
    }
    memset(b.data + DEVICE, 'x', HEADER - DEVICE); /* a name without an end */
    sign(&b);
    refuses(t, backend, &b, "damaged");
    nn_backend_destroy(backend);
    free(b.data);
}

/* Algorithms that nobody proposes, and shapes that are none: measured as if they were not there. */
static void forged_algorithms_are_never_run(test *t)
{
    static float results[RESULTS], forged[RESULTS];
    error err;
    bytes b = measured(t, results);
    size_t count = (b.count - HEADER) / CHOICE;
    REQUIRE(t, count > 2);
    for (size_t i = 0; i < count; i++) {
        unsigned char *choice = b.data + HEADER + i * CHOICE;
        memset(choice + (i == 0 ? 0 : ALGORITHM), 0xA5, i == 0 ? ALGORITHM : CHOICE - ALGORITHM);
    }
    sign(&b);
    nn_backend *backend = create(t);
    REQUIRE_OK(t, take(backend, &b, &err), err);
    compute(t, backend, forged);
    CHECK(t, test_relative(forged, results, RESULTS) < 1e-5);
    bytes after = give(t, backend);
    CHECK(t, after.count == b.count + CHOICE); /* the shape that is none stands beside that which it was */
    for (size_t i = 1; i < count; i++)
        CHECK(t, memcmp(after.data + HEADER + i * CHOICE, b.data + HEADER + i * CHOICE, CHOICE) != 0);
    nn_backend_destroy(backend);
    free(b.data);
    free(after.data);
}

TEST_MAIN(TEST(the_next_repeats_the_bits), TEST(what_is_not_used_is_kept), TEST(refuses_damage),
          TEST(refuses_what_is_not_of_here), TEST(forged_algorithms_are_never_run))

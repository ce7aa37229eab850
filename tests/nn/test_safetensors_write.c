/* Writing safetensors: what is written is read back, whole or not at all. */
#include <signal.h>
#include <sys/resource.h>

#include "nn/safetensors.h"
#include "safetensors_test.h"
#include "test.h"

static status write_simple(const char *path, float value)
{
    safetensors_writer *w;
    if (safetensors_writer_create(&w, NULL) != STATUS_OK) return STATUS_FAILED;
    safetensors_declare(w, "x", SAFETENSORS_F32, 1, (size_t[]){1});
    if (safetensors_begin(w, path, NULL) != STATUS_OK || safetensors_put_f32(w, &value, 1, NULL) != STATUS_OK) {
        safetensors_writer_abort(w);
        return STATUS_FAILED;
    }
    return safetensors_commit(w, NULL);
}

static float read_simple(const char *path)
{
    safetensors_file *file;
    float value = NAN;
    if (safetensors_open(path, &file, NULL) != STATUS_OK) return NAN;
    safetensors_read_f32(file, safetensors_find(file, "x"), &value, NULL);
    safetensors_close(file);
    return value;
}

static void round_trip(test *t)
{
    place p = make_place();
    enum { BIG = 3000 };
    static float big[BIG], back[BIG];
    for (int i = 0; i < BIG; i++) big[i] = (float)i * -0.37f;
    error err = {0};
    safetensors_writer *w;
    REQUIRE_OK(t, safetensors_writer_create(&w, &err), err);
    safetensors_declare(w, "zebra.weight", SAFETENSORS_F32, 4, (size_t[]){5, 10, 6, 10});
    safetensors_declare(w, "scalar", SAFETENSORS_F32, 0, NULL);
    safetensors_declare(w, "empty", SAFETENSORS_F32, 3, (size_t[]){2, 0, 7});
    safetensors_declare(w, "a \"quoted\" \xc3\xa9", SAFETENSORS_BF16, 1, (size_t[]){3});
    safetensors_declare(w, "bytes", SAFETENSORS_U8, 1, (size_t[]){5});
    safetensors_set_metadata(w, "cyclegan_format", "1");
    safetensors_set_metadata(w, "config", "name: x\n  \"y\"\t\xe2\x82\xac");
    REQUIRE_OK(t, safetensors_begin(w, p.path, &err), err);
    REQUIRE_OK(t, safetensors_put_f32(w, big, 1000, &err), err);
    REQUIRE_OK(t, safetensors_put_f32(w, big + 1000, BIG - 1000, &err), err);
    REQUIRE_OK(t, safetensors_put_f32(w, (float[]){2.5f}, 1, &err), err);
    REQUIRE_OK(t, safetensors_put_f32(w, NULL, 0, &err), err);
    REQUIRE_OK(t, safetensors_put_f32(w, (float[]){1, -2, 0.15625f}, 3, &err), err);
    REQUIRE_OK(t, safetensors_put_u8(w, "\0\xff", 2, &err), err);
    REQUIRE_OK(t, safetensors_put_u8(w, "", 0, &err), err);
    REQUIRE_OK(t, safetensors_put_u8(w, "\1\n\x80", 3, &err), err);
    REQUIRE_OK(t, safetensors_commit(w, &err), err);

    safetensors_file *file;
    REQUIRE_OK(t, safetensors_open(p.path, &file, &err), err);
    CHECK(t, safetensors_count(file) == 5);
    REQUIRE_OK(t, safetensors_verify(file, &err), err);
    const safetensors_entry *e = safetensors_find(file, "zebra.weight");
    REQUIRE(t, e && e == safetensors_at(file, 0));
    CHECK(t, e->type == SAFETENSORS_F32 && e->rank == 4 && e->count == BIG && e->begin == 0 && e->bytes == 4 * BIG);
    CHECK(t, e->shape[0] == 5 && e->shape[1] == 10 && e->shape[2] == 6 && e->shape[3] == 10);
    REQUIRE_OK(t, safetensors_read_f32(file, e, back, &err), err);
    CHECK(t, memcmp(big, back, sizeof big) == 0);
    e = safetensors_find(file, "scalar");
    REQUIRE(t, e && e->rank == 0 && e->count == 1);
    REQUIRE_OK(t, safetensors_read_f32(file, e, back, &err), err);
    CHECK(t, back[0] == 2.5f);
    e = safetensors_find(file, "empty");
    REQUIRE(t, e && e->rank == 3 && e->count == 0 && e->bytes == 0);
    REQUIRE_OK(t, safetensors_read_f32(file, e, back, &err), err);
    e = safetensors_find(file, "a \"quoted\" \xc3\xa9");
    REQUIRE(t, e && e->type == SAFETENSORS_BF16 && e->bytes == 6);
    REQUIRE_OK(t, safetensors_read_f32(file, e, back, &err), err);
    CHECK(t, back[0] == 1 && back[1] == -2 && back[2] == 0.15625f);
    CHECK(t, safetensors_read_u8(file, e, back, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "expected bytes (U8)");
    e = safetensors_find(file, "bytes");
    REQUIRE(t, e && e->type == SAFETENSORS_U8 && e->rank == 1 && e->bytes == 5);
    REQUIRE_OK(t, safetensors_read_u8(file, e, back, &err), err);
    CHECK(t, memcmp(back, "\0\xff\1\n\x80", 5) == 0);
    CHECK(t, safetensors_read_f32(file, e, back, &err) == STATUS_FAILED);
    CHECK(t, !safetensors_find(file, "zebra") && !safetensors_find(file, "__metadata__"));
    CHECK(t, safetensors_metadata_count(file) == 3);
    CHECK_TEXT(t, safetensors_metadata_get(file, "cyclegan_format"), "1");
    CHECK_TEXT(t, safetensors_metadata_get(file, "config"), "name: x\n  \"y\"\t\xe2\x82\xac");
    CHECK(t, !safetensors_metadata_get(file, "Config"));
    CHECK_TEXT(t, safetensors_metadata_at(file, 0).key, "cyclegan_format");
    safetensors_close(file);

    /* The data begins at a multiple of 8. */
    FILE *raw = fopen(p.path, "rb");
    int low = raw ? fgetc(raw) : -1;
    if (raw) fclose(raw);
    CHECK(t, low >= 0 && low % 8 == 0);
    remove_place(&p);
}

/* BF16 rounds to nearest, ties to even; NaN and infinity survive. */
static void rounds_to_bfloat(test *t)
{
    enum { COUNT = 8 };
    float in[COUNT] = {0x1.01p0f,  0x1.03p0f,       0x1.010002p0f, /* two ties, one just above */
                       -0x1.01p0f, 0x1.fffffep127f, -INFINITY,     0, 0};
    memcpy(&in[6], &(uint32_t){0x7fffffff}, sizeof in[6]); /* the NaN that rounding would carry into -0 */
    static const float out[COUNT] = {0x1p0f, 0x1.04p0f, 0x1.02p0f, -0x1p0f, INFINITY, -INFINITY, NAN, 0};
    place p = make_place();
    error err = {0};
    safetensors_writer *w;
    REQUIRE_OK(t, safetensors_writer_create(&w, &err), err);
    safetensors_declare(w, "x", SAFETENSORS_BF16, 1, (size_t[]){COUNT});
    REQUIRE_OK(t, safetensors_begin(w, p.path, &err), err);
    REQUIRE_OK(t, safetensors_put_f32(w, in, COUNT, &err), err);
    REQUIRE_OK(t, safetensors_commit(w, &err), err);
    safetensors_file *file;
    REQUIRE_OK(t, safetensors_open(p.path, &file, &err), err);
    float back[COUNT];
    REQUIRE_OK(t, safetensors_read_f32(file, safetensors_at(file, 0), back, &err), err);
    for (int i = 0; i < COUNT; i++)
        if (!(back[i] == out[i] || (isnan(back[i]) && isnan(out[i]))))
            test_failed(t, __FILE__, __LINE__, "%a became %a, expected %a", in[i], back[i], out[i]);
    safetensors_close(file);
    remove_place(&p);
}

/* What declare and set_metadata refuse is said by begin, and no file appears. */
static void refuses_bad_declarations(test *t)
{
    place p = make_place();
    for (int i = 0; i < 8; i++) {
        safetensors_writer *w;
        error err = {0};
        REQUIRE_OK(t, safetensors_writer_create(&w, &err), err);
        size_t one[SAFETENSORS_MAX_RANK + 1] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
        const char *part = "";
        safetensors_declare(w, "x", SAFETENSORS_F32, 1, one);
        switch (i) {
        case 0: safetensors_declare(w, "x", SAFETENSORS_F32, 1, one), part = "tensor 'x': the name is taken"; break;
        case 1: safetensors_declare(w, "__metadata__", SAFETENSORS_F32, 1, one), part = "the name is taken"; break;
        case 2: safetensors_declare(w, "y", SAFETENSORS_F16, 1, one), part = "only F32, BF16 and U8"; break;
        case 3: safetensors_declare(w, "y", SAFETENSORS_F32, 9, one), part = "too many dimensions"; break;
        case 4:
            safetensors_declare(w, "y", SAFETENSORS_F32, 2, (size_t[]){(size_t)1 << 32, (size_t)1 << 30});
            part = "too large";
            break;
        case 5: safetensors_declare(w, "\xff", SAFETENSORS_F32, 1, one), part = "UTF-8"; break;
        case 6: safetensors_set_metadata(w, "k", "\xc3"), part = "metadata 'k': is not valid UTF-8"; break;
        case 7:
            safetensors_set_metadata(w, "k", "1");
            safetensors_set_metadata(w, "k", "2");
            part = "set twice";
            break;
        }
        CHECK(t, safetensors_begin(w, p.path, &err) == STATUS_FAILED);
        CHECK_CONTAINS(t, err.message, part);
        CHECK_CONTAINS(t, err.message, p.path);
        safetensors_writer_abort(w);
    }
    CHECK(t, count_files(p.folder) == 0);
    remove_place(&p);
}

static safetensors_writer *begin_two(const char *path, error *err)
{
    safetensors_writer *w;
    if (safetensors_writer_create(&w, err) != STATUS_OK) return NULL;
    safetensors_declare(w, "x", SAFETENSORS_F32, 1, (size_t[]){2});
    safetensors_declare(w, "y", SAFETENSORS_F32, 1, (size_t[]){1});
    if (safetensors_begin(w, path, err) == STATUS_OK) return w;
    safetensors_writer_abort(w);
    return NULL;
}

static void refuses_wrong_counts(test *t)
{
    place p = make_place();
    error err = {0};
    static const float three[3] = {1, 2, 3};
    safetensors_writer *w = begin_two(p.path, &err);
    REQUIRE(t, w);
    CHECK(t, safetensors_put_f32(w, three, 3, &err) == STATUS_FAILED); /* x has two */
    CHECK_CONTAINS(t, err.message, "'x': 3 values given, expected at most 2");
    CHECK(t, safetensors_put_u8(w, three, 1, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "'x': bytes given, expected numbers");
    REQUIRE_OK(t, safetensors_put_f32(w, three, 1, &err), err);
    CHECK(t, safetensors_commit(w, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "'x': 1 values given, expected 2");

    w = begin_two(p.path, &err);
    REQUIRE(t, w);
    REQUIRE_OK(t, safetensors_put_f32(w, three, 2, &err), err);
    CHECK(t, safetensors_commit(w, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "'y': 0 values given, expected 1");

    w = begin_two(p.path, &err);
    REQUIRE(t, w);
    REQUIRE_OK(t, safetensors_put_f32(w, three, 2, &err), err);
    REQUIRE_OK(t, safetensors_put_f32(w, three, 1, &err), err);
    CHECK(t, safetensors_put_f32(w, three, 1, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "after the last tensor");
    safetensors_writer_abort(w);

    REQUIRE_OK(t, safetensors_writer_create(&w, &err), err);
    CHECK(t, safetensors_put_f32(w, three, 1, &err) == STATUS_FAILED);
    CHECK(t, safetensors_commit(w, &err) == STATUS_FAILED);
    CHECK(t, count_files(p.folder) == 0);
    remove_place(&p);
}

/* Whatever goes wrong, the file that was there stays, and nothing is left beside it. */
static void is_atomic(test *t)
{
    place p = make_place();
    error err = {0};
    REQUIRE(t, write_simple(p.path, 1) == STATUS_OK);
    CHECK(t, read_simple(p.path) == 1);

    safetensors_writer *w = begin_two(p.path, &err);
    REQUIRE(t, w);
    REQUIRE_OK(t, safetensors_put_f32(w, (float[]){5, 6}, 2, &err), err);
    CHECK(t, read_simple(p.path) == 1); /* half-way */
    safetensors_writer_abort(w);
    CHECK(t, read_simple(p.path) == 1 && count_files(p.folder) == 1);

    w = begin_two(p.path, &err);
    REQUIRE(t, w);
    CHECK(t, safetensors_commit(w, &err) == STATUS_FAILED); /* values are missing */
    CHECK(t, read_simple(p.path) == 1 && count_files(p.folder) == 1);

    /* A full disk, played by a limit on the size of files. */
    enum { LARGE = 1 << 18 };
    float *zeros = calloc(LARGE, sizeof *zeros);
    REQUIRE(t, zeros);
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 100000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    REQUIRE_OK(t, safetensors_writer_create(&w, &err), err);
    safetensors_declare(w, "x", SAFETENSORS_F32, 1, (size_t[]){LARGE});
    CHECK(t, safetensors_begin(w, p.path, &err) == STATUS_OK);
    CHECK(t, safetensors_put_f32(w, zeros, LARGE, &err) == STATUS_OK);
    CHECK(t, safetensors_commit(w, &err) == STATUS_FAILED);
    setrlimit(RLIMIT_FSIZE, &before);
    CHECK_CONTAINS(t, err.message, p.path);
    CHECK(t, read_simple(p.path) == 1 && count_files(p.folder) == 1);
    free(zeros);

    CHECK(t, write_simple(p.path, 2) == STATUS_OK);
    CHECK(t, read_simple(p.path) == 2 && count_files(p.folder) == 1);
    remove_place(&p);
    CHECK(t, write_simple(p.path, 3) == STATUS_FAILED); /* the folder is gone */
}

/* Each byte of the data is covered, and so is the file that is cut short after it was opened. */
static void finds_damage(test *t)
{
    place p = make_place();
    error err = {0};
    safetensors_file *file;
    REQUIRE(t, write_simple(p.path, 1.5f) == STATUS_OK);
    REQUIRE_OK(t, safetensors_open(p.path, &file, &err), err);
    CHECK(t, strlen(safetensors_metadata_get(file, "data_xxh64")) == 16);
    CHECK(t, strcmp(safetensors_metadata_get(file, "data_xxh64"), "0000000000000000") != 0);
    CHECK(t, safetensors_verify(file, &err) == STATUS_OK);
    safetensors_close(file);
    for (long back = 1; back <= 4; back++) {
        FILE *f = fopen(p.path, "r+b");
        REQUIRE(t, f && fseek(f, -back, SEEK_END) == 0);
        int byte = fgetc(f);
        fseek(f, -back, SEEK_END);
        fputc(byte ^ 1, f);
        fclose(f);
        REQUIRE_OK(t, safetensors_open(p.path, &file, &err), err);
        CHECK(t, safetensors_verify(file, &err) == STATUS_FAILED);
        CHECK_CONTAINS(t, err.message, "damaged");
        safetensors_close(file);
        REQUIRE(t, write_simple(p.path, 1.5f) == STATUS_OK);
    }
    REQUIRE_OK(t, safetensors_open(p.path, &file, &err), err);
    REQUIRE(t, truncate(p.path, 100) == 0);
    float value;
    CHECK(t, safetensors_read_f32(file, safetensors_find(file, "x"), &value, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "cut short while it was read");
    CHECK(t, safetensors_verify(file, &err) == STATUS_FAILED);
    safetensors_close(file);
    remove_place(&p);
}

TEST_MAIN(TEST(round_trip), TEST(finds_damage), TEST(rounds_to_bfloat), TEST(refuses_bad_declarations),
          TEST(refuses_wrong_counts), TEST(is_atomic))

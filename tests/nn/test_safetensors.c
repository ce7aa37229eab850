#include "nn/safetensors.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "test.h"

/* A file in memory: header length, header, `data_bytes` bytes 0, 1, 2, ... The caller frees. Of the exact size, so
 * that the address sanitizer sees a read past the end. */
static unsigned char *make(const char *header, uint64_t length, size_t data_bytes, size_t *size)
{
    size_t header_bytes = strlen(header);
    *size = 8 + header_bytes + data_bytes;
    unsigned char *bytes = malloc(*size);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(length >> (8 * i));
    memcpy(bytes + 8, header, header_bytes);
    for (size_t i = 0; i < data_bytes; i++) bytes[8 + header_bytes + i] = (unsigned char)i;
    return bytes;
}

static void refuses(test *t, const char *header, size_t data_bytes, const char *part)
{
    size_t size;
    unsigned char *bytes = make(header, strlen(header), data_bytes, &size);
    safetensors_file *file;
    error err = {0};
    status result = safetensors_open_memory("f", bytes, size, &file, &err);
    if (result == STATUS_OK) test_failed(t, __FILE__, __LINE__, "accepted: %.200s", header);
    CHECK(t, file == NULL);
    CHECK_CONTAINS(t, err.message, part);
    CHECK(t, !strchr(err.message, '\n'));
    safetensors_close(file);
    free(bytes);
}

static void accepts(test *t, const char *header, size_t data_bytes)
{
    size_t size;
    unsigned char *bytes = make(header, strlen(header), data_bytes, &size);
    safetensors_file *file;
    error err = {0};
    if (safetensors_open_memory("f", bytes, size, &file, &err) != STATUS_OK)
        test_failed(t, __FILE__, __LINE__, "refused: %s: %s", header, err.message);
    safetensors_close(file);
    free(bytes);
}

/* A folder of the test's own. */
typedef struct place {
    char folder[64], path[96];
} place;

static place make_place(void)
{
    place p = {.folder = "/tmp/test_safetensors.XXXXXX"};
    if (!mkdtemp(p.folder)) p.folder[0] = '\0';
    snprintf(p.path, sizeof p.path, "%s/model.safetensors", p.folder);
    return p;
}

static int count_files(const char *folder)
{
    int count = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (d) closedir(d);
    return count;
}

static void remove_place(const place *p)
{
    unlink(p->path);
    rmdir(p->folder);
}

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

/* Bit patterns and what they mean, from the formats' definitions. */
static void converts(test *t)
{
    static const unsigned char data[] = {
        0x00, 0x3c, 0x00, 0xc0, 0xff, 0x7b, 0x01, 0x00, 0xff, 0x83, 0x00, 0x04, 0x00, 0x7c, 0x00, 0xfc, 0x01, 0x7e,
        0x00, 0x80, 0x55, 0x35,                                                                     /* h: 11 F16 */
        0x80, 0x3f, 0x20, 0xc1, 0x80, 0x7f, 0xc0, 0x7f, 0x01, 0x00,                                 /* b: 5 BF16 */
        0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0x3f, 0, 0, 0, 0, 0, 0, 0xe0, 0xc3,               /* d: 2 F64 */
        7, 0, 0, 0, 0, 0, 0, 0,                                                                     /* i: 1 I64 */
    };
    const char *header = "{\"h\":{\"dtype\":\"F16\",\"shape\":[11],\"data_offsets\":[0,22]},"
                         "\"b\":{\"dtype\":\"BF16\",\"shape\":[5],\"data_offsets\":[22,32]},"
                         "\"d\":{\"dtype\":\"F64\",\"shape\":[2,1],\"data_offsets\":[32,48]},"
                         "\"i\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[48,56]}}";
    size_t size;
    unsigned char *bytes = make(header, strlen(header), sizeof data, &size);
    memcpy(bytes + size - sizeof data, data, sizeof data);
    safetensors_file *file;
    error err = {0};
    REQUIRE_OK(t, safetensors_open_memory("f", bytes, size, &file, &err), err);
    float v[11];
    REQUIRE_OK(t, safetensors_read_f32(file, safetensors_find(file, "h"), v, &err), err);
    CHECK(t, v[0] == 1 && v[1] == -2 && v[2] == 65504 && v[3] == 0x1p-24f && v[4] == -1023 * 0x1p-24f);
    CHECK(t, v[5] == 0x1p-14f && v[6] == INFINITY && v[7] == -INFINITY && isnan(v[8]));
    CHECK(t, v[9] == 0 && signbit(v[9]) && v[10] == 0.333251953125f);
    REQUIRE_OK(t, safetensors_read_f32(file, safetensors_find(file, "b"), v, &err), err);
    CHECK(t, v[0] == 1 && v[1] == -10 && v[2] == INFINITY && isnan(v[3]) && v[4] == 0x1p-133f);
    REQUIRE_OK(t, safetensors_read_f32(file, safetensors_find(file, "d"), v, &err), err);
    CHECK(t, v[0] == 0.1f && v[1] == -0x1p63f);
    CHECK(t, safetensors_read_f32(file, safetensors_find(file, "i"), v, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "'i'");
    safetensors_close(file);
    free(bytes);
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

#define GOOD                                                                                                          \
    "{\"__metadata__\":{\"k\":\"v\"},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]},"                 \
    "\"a\":{\"shape\":[1,1],\"data_offsets\":[0,4],\"dtype\":\"F32\"}}  "

static void refuses_truncation(test *t)
{
    accepts(t, GOOD, 12);
    size_t size;
    unsigned char *bytes = make(GOOD, strlen(GOOD), 12, &size);
    for (size_t cut = 0; cut < size; cut++) {
        unsigned char *part = malloc(cut + !cut);
        memcpy(part, bytes, cut);
        safetensors_file *file;
        error err = {0};
        if (safetensors_open_memory("f", part, cut, &file, &err) == STATUS_OK || !err.message[0])
            test_failed(t, __FILE__, __LINE__, "accepted when cut at byte %zu of %zu", cut, size);
        safetensors_close(file);
        free(part);
    }
    free(bytes);
    refuses(t, GOOD, 13, "has 13 bytes of data, its tensors take 12");
}

/* Any byte changed to any value: refused, or every tensor can be read; the sanitizer watches. */
static void survives_any_byte(test *t)
{
    size_t size;
    unsigned char *bytes = make(GOOD, strlen(GOOD), 12, &size);
    int opened = 0, refused = 0;
    for (size_t i = 0; i < size; i++)
        for (int value = 0; value < 256; value++) {
            unsigned char old = bytes[i];
            bytes[i] = (unsigned char)value;
            safetensors_file *file;
            error err = {0};
            if (safetensors_open_memory("f", bytes, size, &file, &err) == STATUS_OK) {
                opened++;
                float out[12];
                for (size_t k = 0; k < safetensors_count(file); k++) {
                    const safetensors_entry *e = safetensors_at(file, k);
                    if (e->bytes > 12 || e->begin > 12 - e->bytes || e->count > 12)
                        test_failed(t, __FILE__, __LINE__, "byte %zu as %d: tensor outside the file", i, value);
                    else
                        safetensors_read_f32(file, e, out, NULL);
                }
            } else {
                refused++;
                CHECK(t, err.message[0]);
            }
            safetensors_close(file);
            bytes[i] = old;
        }
    CHECK(t, opened > 12 * 256 && refused > 1000);
    free(bytes);
}

static void refuses_lying_length(test *t)
{
    static const struct {
        uint64_t length;
        const char *part;
    } cases[] = {{0, "not valid JSON"},       {1, "not valid JSON"},          {sizeof GOOD - 1 + 13, "cut short"},
                 {8 << 20, "cut short"},      {(8 << 20) + 1, "are read"},    {UINT64_MAX, "are read"},
                 {UINT64_MAX - 7, "are read"}, {(uint64_t)1 << 63, "are read"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size;
        unsigned char *bytes = make(GOOD, cases[i].length, 12, &size);
        safetensors_file *file;
        error err = {0};
        CHECK(t, safetensors_open_memory("f", bytes, size, &file, &err) == STATUS_FAILED);
        CHECK_CONTAINS(t, err.message, cases[i].part);
        free(bytes);
    }
}

/* A file of one tensor "x". */
static void refuses_tensor(test *t, const char *fields, size_t data_bytes, const char *part)
{
    char header[1024];
    snprintf(header, sizeof header, "{\"x\":{%s}}", fields);
    refuses(t, header, data_bytes, part);
}

static void refuses_bad_entries(test *t)
{
    accepts(t, "{}", 0);
    accepts(t, "{\"x\":{\"dtype\":\"I8\",\"shape\":[3],\"data_offsets\":[0,3]}}", 3);
    refuses(t, "[]", 0, "not a JSON object");
    refuses(t, "{\"x\":3}", 0, "'dtype'");
    refuses(t, "{\"x\":null}", 0, "'dtype'");
    refuses(t, "{} x", 0, "not valid JSON");
    refuses(t, "{\"x\":{}, \"x\":{}}", 0, "not valid JSON");
    refuses(t, "{\"\\u0000\":{}}", 0, "not valid JSON");
    refuses(t, "{\"\xff\":{}}", 0, "not valid JSON");
    refuses_tensor(t, "\"shape\":[1],\"data_offsets\":[0,4]", 4, "'dtype'");
    refuses_tensor(t, "\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,4]", 4, "'dtype'");
    refuses_tensor(t, "\"dtype\":\"F31\\n\",\"shape\":[1],\"data_offsets\":[0,4]", 4, "unknown dtype 'F31\\x0a'");
    refuses_tensor(t, "\"dtype\":\"F32\",\"data_offsets\":[0,4]", 4, "'shape'");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]", 4, "'shape'");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]", 4, "whole numbers");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[\"1\"],\"data_offsets\":[0,4]", 4, "whole numbers");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[[1]],\"data_offsets\":[0,4]", 4, "whole numbers");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[true],\"data_offsets\":[0,4]", 4, "whole numbers");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]", 4, "at most 8");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[1]", 4, "'data_offsets'");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4]", 4, "has 1 numbers, expected 2");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]", 4, "has 3 numbers, expected 2");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]", 4, "begins at 4, after its end at 0");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]", 4, "ends at 8 of 4 bytes");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]", 4, "has 4 bytes, its shape and dtype");
    refuses_tensor(t, "\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,4]", 4, "need 2");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,4]", 4, "need 0");
}

static void refuses_bad_numbers(test *t)
{
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]", 4, "whole numbers");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[-1,-1],\"data_offsets\":[0,4]", 4, "whole numbers");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]", 4, "whole numbers");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,-4]", 4, "whole numbers");
    /* 2^64 + 1 is one in 64 bits; JSON's reader refuses it, as 1e400. */
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[18446744073709551617],\"data_offsets\":[0,4]", 4, "not valid JSON");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,1e400]", 4, "not valid JSON");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[9223372036854775807],\"data_offsets\":[0,4]", 4, "memory can hold");
    /* Products that are 1 or 0 modulo 2^64, in elements or in bytes. */
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]", 0, "can hold");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]", 4, "memory can hold");
    refuses_tensor(t, "\"dtype\":\"U8\",\"shape\":[6700417,641,4294967297],\"data_offsets\":[0,1]", 1, "can hold");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[0,4294967296,4294967296],\"data_offsets\":[0,0]", 0, "can hold");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,0],\"data_offsets\":[0,0]", 0, "can hold");
    refuses_tensor(t, "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[9223372036854775803,9223372036854775807]", 4,
                   "of 4 bytes of data");
}

#define TENSOR(name, shape, offsets) "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void refuses_bad_layout(test *t)
{
    accepts(t, "{" TENSOR("z", "[0]", "[0,0]") "," TENSOR("y", "[1]", "[4,8]") "," TENSOR("x", "[1]", "[0,4]") ","
               TENSOR("w", "[0]", "[4,4]") "}", 8);
    refuses(t, "{" TENSOR("x", "[2]", "[0,8]") "," TENSOR("y", "[2]", "[4,12]") "}", 12, "overlap");
    refuses(t, "{" TENSOR("x", "[1]", "[0,4]") "," TENSOR("y", "[1]", "[0,4]") "}", 4, "overlap");
    refuses(t, "{" TENSOR("x", "[3]", "[0,12]") "," TENSOR("y", "[1]", "[4,8]") "}", 12, "overlap");
    refuses(t, "{" TENSOR("x", "[3]", "[0,12]") "," TENSOR("y", "[0]", "[4,4]") "}", 12, "overlap");
    refuses(t, "{" TENSOR("x", "[1]", "[0,4]") "," TENSOR("y", "[1]", "[8,12]") "}", 12, "hole");
    refuses(t, "{" TENSOR("x", "[1]", "[4,8]") "}", 8, "hole");
    refuses(t, "{" TENSOR("x", "[1]", "[0,4]") "}", 8, "has 8 bytes of data, its tensors take 4");
}

static void refuses_bad_metadata(test *t)
{
    accepts(t, "{\"__metadata__\":{}}", 0);
    refuses(t, "{\"__metadata__\":[]}", 0, "object of strings");
    refuses(t, "{\"__metadata__\":null}", 0, "object of strings");
    refuses(t, "{\"__metadata__\":{\"a\":\"b\",\"step\":1}}", 0, "'step': expected a string");
    refuses(t, "{\"__metadata__\":{\"a\":{\"b\":\"c\"}}}", 0, "'a': expected a string");
    refuses(t, "{\"__metadata__\":{\"a\":null}}", 0, "'a': expected a string");
    refuses(t, "{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}", 0, "not valid JSON");
}

/* Nesting must not overflow the stack. */
static void refuses_deep_json(test *t)
{
    enum { DEPTH = 1000000 };
    char *header = malloc(2 * DEPTH + 1);
    REQUIRE(t, header);
    memset(header, '[', DEPTH);
    memset(header + DEPTH, ']', DEPTH);
    header[2 * DEPTH] = '\0';
    refuses(t, header, 0, "not valid JSON");
    for (int i = 0; i + 5 < 2 * DEPTH; i += 5) memcpy(header + i, "{\"x\":", 5);
    refuses(t, header, 0, "not valid JSON");
    free(header);
}

static void refuses_what_is_no_file(test *t)
{
    place p = make_place();
    safetensors_file *file;
    error err = {0};
    CHECK(t, safetensors_open(p.path, &file, &err) == STATUS_FAILED && !file);
    CHECK_CONTAINS(t, err.message, p.path);
    CHECK(t, safetensors_open(p.folder, &file, &err) == STATUS_FAILED && !file);
    CHECK_CONTAINS(t, err.message, "not a file");
    FILE *empty = fopen(p.path, "wb");
    REQUIRE(t, empty);
    fclose(empty);
    CHECK(t, safetensors_open(p.path, &file, &err) == STATUS_FAILED && !file);
    CHECK_CONTAINS(t, err.message, "0 bytes long");
    safetensors_close(NULL);
    safetensors_writer_abort(NULL);
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

TEST_MAIN(TEST(round_trip), TEST(finds_damage), TEST(converts), TEST(rounds_to_bfloat), TEST(refuses_truncation), TEST(survives_any_byte),
          TEST(refuses_lying_length), TEST(refuses_bad_entries), TEST(refuses_bad_numbers), TEST(refuses_bad_layout),
          TEST(refuses_bad_metadata), TEST(refuses_deep_json), TEST(refuses_what_is_no_file),
          TEST(refuses_bad_declarations), TEST(refuses_wrong_counts), TEST(is_atomic))

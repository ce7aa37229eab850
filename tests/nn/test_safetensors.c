/* Reading safetensors: what is in a file, and every refusal. */
#include "nn/safetensors.h"
#include "safetensors_test.h"
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

TEST_MAIN(TEST(converts), TEST(refuses_truncation), TEST(survives_any_byte), TEST(refuses_lying_length),
          TEST(refuses_bad_entries), TEST(refuses_bad_numbers), TEST(refuses_bad_layout), TEST(refuses_bad_metadata),
          TEST(refuses_deep_json), TEST(refuses_what_is_no_file))

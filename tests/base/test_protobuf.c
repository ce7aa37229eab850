/* Bytes of Protocol Buffers' wire format: its documentation's examples, and ends of ranges. */
#include "base/protobuf.h"
#include "test.h"

static void check_bytes(test *t, text *message, const char *expected, size_t length)
{
    CHECK(t, !message->failed && message->length == length && memcmp(text_get(message), expected, length) == 0);
    text_free(message);
}
#define BYTES(t, message, literal) check_bytes(t, message, literal, sizeof(literal) - 1)

static void numbers(test *t)
{
    text m = {0};
    protobuf_integer(&m, 1, 150);
    BYTES(t, &m, "\x08\x96\x01");
    protobuf_integer(&m, 1, 0);
    protobuf_integer(&m, 15, 127);
    protobuf_integer(&m, 16, 128);
    BYTES(t, &m, "\x08\x00\x78\x7f\x80\x01\x80\x01");
    protobuf_integer(&m, 1, -2);
    BYTES(t, &m, "\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    protobuf_integer(&m, 20, INT64_MAX);
    BYTES(t, &m, "\xa0\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f");
    protobuf_float(&m, 2, -0.2f);
    BYTES(t, &m, "\x15\xcd\xcc\x4c\xbe");
}

static void lengths(test *t)
{
    text m = {0}, inner = {0};
    protobuf_string(&m, 2, "testing");
    BYTES(t, &m, "\x12\x07testing");
    protobuf_string(&m, 2, "");
    BYTES(t, &m, "\x12\x00");
    protobuf_integer(&inner, 1, 150);
    protobuf_message(&m, 3, &inner);
    BYTES(t, &m, "\x1a\x03\x08\x96\x01");
    CHECK(t, !inner.data);
    protobuf_message(&m, 3, &inner); /* an empty one */
    BYTES(t, &m, "\x1a\x00");
    protobuf_begin(&m, 7, 300);
    BYTES(t, &m, "\x3a\xac\x02");
}

/* Memory that lacked is not forgotten. */
static void failures(test *t)
{
    text m = {0}, inner = {.failed = true};
    protobuf_message(&m, 3, &inner);
    CHECK(t, m.failed && !inner.failed);
    text_free(&m);
}

TEST_MAIN(TEST(numbers), TEST(lengths), TEST(failures))

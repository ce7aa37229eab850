#include "base/protobuf.h"

#include <string.h>

/* How a field's value is written: the lower three bits in front of it. */
enum { VARINT = 0, LENGTH = 2, FOUR_BYTES = 5 };

/* Seven bits a byte, the lowest first; the highest bit says that more follow. */
static void varint(text *message, uint64_t value)
{
    char bytes[10];
    size_t count = 0;
    for (; value > 127; value >>= 7) bytes[count++] = (char)(unsigned char)(value | 128);
    bytes[count++] = (char)value;
    text_append(message, bytes, count);
}

static void tag(text *message, unsigned field, unsigned kind) { varint(message, (uint64_t)field << 3 | kind); }

void protobuf_integer(text *message, unsigned field, int64_t value)
{
    tag(message, field, VARINT);
    varint(message, (uint64_t)value);
}

void protobuf_fixed(text *message, uint64_t bits, size_t count)
{
    char bytes[sizeof bits];
    for (size_t i = 0; i < count; i++) bytes[i] = (char)(unsigned char)(bits >> 8 * i);
    text_append(message, bytes, count);
}

void protobuf_float(text *message, unsigned field, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    tag(message, field, FOUR_BYTES);
    protobuf_fixed(message, bits, sizeof bits);
}

void protobuf_begin(text *message, unsigned field, size_t length)
{
    tag(message, field, LENGTH);
    varint(message, length);
}

void protobuf_string(text *message, unsigned field, const char *string)
{
    size_t length = strlen(string);
    protobuf_begin(message, field, length);
    text_append(message, string, length);
}

void protobuf_message(text *message, unsigned field, text *inner)
{
    protobuf_begin(message, field, inner->length);
    text_append(message, text_get(inner), inner->length);
    message->failed |= inner->failed;
    text_free(inner);
}

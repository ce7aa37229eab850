/* Writing in the wire format of Protocol Buffers (https://protobuf.dev/programming-guides/encoding/). A message is a text
 * to which its fields are appended, in any order but that of a repeated field's elements:
 *
 *     text version = {0}, model = {0};
 *     protobuf_integer(&version, 2, 11);
 *     protobuf_message(&model, 8, &version);      frees version
 *     if (model.failed) return error_no_memory(err, "a model", 0);
 */
#ifndef BASE_PROTOBUF_H
#define BASE_PROTOBUF_H

#include <stdint.h>

#include "base/text.h"

/* Bytes of the largest message that readers take. */
#define PROTOBUF_LIMIT INT32_MAX

void protobuf_integer(text *message, unsigned field, int64_t value); /* int32, int64, enumerations */
void protobuf_float(text *message, unsigned field, float value);
void protobuf_string(text *message, unsigned field, const char *string);
/* The `count` lowest bytes of `bits`, the lowest first, without a field: what a string of numbers is made of. */
void protobuf_fixed(text *message, uint64_t bits, size_t count);
/* Appends a message as a field of another, and frees it; memory that lacked for the inner one fails the outer one. */
void protobuf_message(text *message, unsigned field, text *inner);
/* What stands in front of `length` bytes, or of a message as long, that follow. */
void protobuf_begin(text *message, unsigned field, size_t length);

#endif

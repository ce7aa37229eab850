/* Comparing what two runs left, bit for bit. */
#ifndef TESTS_TRAINING_COMPARE_H
#define TESTS_TRAINING_COMPARE_H

#include <string.h>

#include "base/file.h"
#include "nn/safetensors.h"
#include "test.h"

/* All tensors of two files are equal, and so are their steps. */
static inline void compare_tensors(test *t, const char *one, const char *two)
{
    const char *paths[2] = {one, two};
    safetensors_file *files[2] = {NULL, NULL};
    error err = {0};
    for (int i = 0; i < 2; i++) REQUIRE_OK(t, safetensors_open(paths[i], &files[i], &err), err);
    CHECK(t, safetensors_count(files[0]) == safetensors_count(files[1]) && safetensors_count(files[0]) > 0);
    CHECK_TEXT(t, safetensors_metadata_get(files[0], "step"), safetensors_metadata_get(files[1], "step"));
    for (size_t i = 0; i < safetensors_count(files[0]); i++) {
        const safetensors_entry *e = safetensors_at(files[0], i), *f = safetensors_find(files[1], e->name);
        REQUIRE(t, f && f->count == e->count);
        float *x = calloc(2 * e->count, sizeof *x), *y = x + e->count;
        bool bytes = e->type == SAFETENSORS_U8;
        for (int k = 0; k < 2; k++)
            REQUIRE_OK(t, (bytes ? safetensors_read_u8(files[k], k ? f : e, k ? y : x, &err)
                                 : safetensors_read_f32(files[k], k ? f : e, k ? y : x, &err)), err);
        if (memcmp(x, y, e->count * sizeof *x) != 0)
            test_failed(t, __FILE__, __LINE__, "%s of %s differs", e->name, two);
        free(x);
    }
    for (int i = 0; i < 2; i++) safetensors_close(files[i]);
}

/* Two logs are the same but for the seconds. */
static inline void compare_logs(test *t, const char *one, const char *two)
{
    const char *paths[2] = {one, two};
    char *bytes[2];
    size_t size;
    error err = {0};
    for (int i = 0; i < 2; i++) {
        REQUIRE_OK(t, file_read_all(paths[i], 1 << 24, &bytes[i], &size, &err), err);
        for (char *p = bytes[i]; (p = strstr(p, "\"seconds\": ")) != NULL;) {
            char *end = strstr(p, "\"lr\"");
            REQUIRE(t, end);
            memmove(p, end, strlen(end) + 1);
        }
    }
    if (!bytes[0][0] || strcmp(bytes[0], bytes[1]) != 0)
        test_failed(t, __FILE__, __LINE__, "%s is not that of the other run:\n%s\nexpected\n%s", two, bytes[1], bytes[0]);
    for (int i = 0; i < 2; i++) free(bytes[i]);
}

#endif

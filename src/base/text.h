/* Growing text, path joining, the nearest word for "did you mean", sizes and times for people. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* A growing, always NUL-terminated byte string. `{0}` is empty; free with text_free. An append that finds
 * no memory sets `failed` and drops what follows, so that a caller checks once at the end. */
typedef struct text {
    char *data; /* NULL until the first append; use text_get */
    size_t length, capacity;
    bool failed;
} text;

void text_append(text *t, const char *bytes, size_t length);
void text_add(text *t, const char *string);
void text_format(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *text_get(const text *t); /* never NULL */
void text_clear(text *t);            /* keeps the memory */
void text_free(text *t);

/* "dir/name", or `name` alone when dir is "" or name is absolute. The caller frees; NULL without memory. */
char *text_join_path(const char *dir, const char *name);
/* strdup and printf into new memory; the caller frees; NULL without memory. */
char *text_copy(const char *string);
char *text_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

bool text_starts_with(const char *string, const char *prefix);
/* Case-insensitive for ASCII, for file extensions. */
bool text_ends_with_ignoring_case(const char *string, const char *suffix);
/* The part after the last '/'. Points into `path`. */
const char *text_base_name(const char *path);

/* Levenshtein distance with transpositions (Damerau's restricted form). */
size_t text_distance(const char *a, const char *b);
/* The word closest to `word`, or NULL when none is near enough to be meant (more than a third away, at least 2). */
const char *text_nearest(const char *word, const char *const *words, size_t count);

/* What of `string` is printable UTF-8; other bytes as \xNN, so that a hostile name cannot write escape codes to a
 * terminal. Returns `buffer`. */
const char *text_printable(const char *string, char *buffer, size_t size);
/* "1:02:03" or "2:03". Returns `buffer`. */
const char *text_duration(double seconds, char *buffer, size_t size);
/* "1.5 GiB". Returns `buffer`. */
const char *text_bytes(double bytes, char *buffer, size_t size);

#endif

#include "base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool reserve(text *t, size_t more)
{
    if (t->failed) return false;
    if (more > SIZE_MAX / 4 || t->length > SIZE_MAX / 4) {
        t->failed = true;
        return false;
    }
    size_t need = t->length + more + 1;
    if (need <= t->capacity) return true;
    size_t capacity = t->capacity ? t->capacity : 64;
    while (capacity < need) capacity *= 2;
    char *data = realloc(t->data, capacity);
    if (!data) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->capacity = capacity;
    return true;
}

void text_append(text *t, const char *bytes, size_t length)
{
    if (!reserve(t, length)) return;
    if (length) memcpy(t->data + t->length, bytes, length);
    t->length += length;
    t->data[t->length] = '\0';
}

void text_add(text *t, const char *string) { text_append(t, string, strlen(string)); }

void text_format(text *t, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) t->failed = true;
    if (length >= 0 && reserve(t, (size_t)length)) {
        vsnprintf(t->data + t->length, (size_t)length + 1, format, again);
        t->length += (size_t)length;
    }
    va_end(again);
}

const char *text_get(const text *t) { return t->data ? t->data : ""; }

void text_clear(text *t)
{
    t->length = 0;
    t->failed = false;
    if (t->data) t->data[0] = '\0';
}

void text_free(text *t)
{
    free(t->data);
    *t = (text){0};
}

char *text_join_path(const char *dir, const char *name)
{
    if (!dir[0] || name[0] == '/') return text_copy(name);
    bool slash = dir[strlen(dir) - 1] == '/';
    return text_printf("%s%s%s", dir, slash ? "" : "/", name);
}

char *text_copy(const char *string)
{
    size_t size = strlen(string) + 1;
    char *copy = malloc(size);
    if (copy) memcpy(copy, string, size);
    return copy;
}

char *text_printf(const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *string = length >= 0 ? malloc((size_t)length + 1) : NULL;
    if (string) vsnprintf(string, (size_t)length + 1, format, again);
    va_end(again);
    return string;
}

bool text_starts_with(const char *string, const char *prefix) { return strncmp(string, prefix, strlen(prefix)) == 0; }

bool text_ends_with_ignoring_case(const char *string, const char *suffix)
{
    size_t a = strlen(string), b = strlen(suffix);
    return a >= b && strcasecmp(string + a - b, suffix) == 0;
}

const char *text_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

size_t text_distance(const char *a, const char *b)
{
    enum { LONGEST = 64 }; /* keys are short; longer words are compared by their beginnings */
    size_t m = strlen(a), n = strlen(b), d[LONGEST + 1][LONGEST + 1];
    size_t beyond_a = m > LONGEST ? m - LONGEST : 0, beyond_b = n > LONGEST ? n - LONGEST : 0;
    size_t beyond = beyond_a > beyond_b ? beyond_a - beyond_b : beyond_b - beyond_a;
    m -= beyond_a;
    n -= beyond_b;
    for (size_t i = 0; i <= m; i++) d[i][0] = i;
    for (size_t j = 0; j <= n; j++) d[0][j] = j;
    for (size_t i = 1; i <= m; i++)
        for (size_t j = 1; j <= n; j++) {
            size_t substitute = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, substitute);
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && d[i - 2][j - 2] + 1 < d[i][j]) d[i][j] = d[i - 2][j - 2] + 1;
        }
    return d[m][n] + beyond;
}

const char *text_nearest(const char *word, const char *const *words, size_t count)
{
    const char *best = NULL;
    size_t length = strlen(word), limit = length / 3 > 2 ? length / 3 : 2, least = limit + 1;
    for (size_t i = 0; i < count; i++) {
        size_t distance = text_distance(word, words[i]), size = strlen(words[i]);
        /* "a" is not meant by "b", though one edit away: something must be left of the word. */
        if (distance < least && distance < (length > size ? length : size)) {
            least = distance;
            best = words[i];
        }
    }
    return best;
}

/* Bytes of the printable character at p, in UTF-8 (RFC 3629); 0: none is there. U+0080 to U+009F are controls, which
 * some terminals obey, as others obey those bytes alone. */
static size_t printable_length(const unsigned char *p)
{
    static const uint32_t least[] = {0x20, 0xa0, 0x800, 0x10000}; /* of one byte and up to three more */
    if (p[0] < 0x80) return p[0] >= least[0] && p[0] != 0x7f;
    if (p[0] < 0xc2 || p[0] > 0xf4) return 0;
    size_t more = p[0] >= 0xf0 ? 3 : p[0] >= 0xe0 ? 2 : 1;
    uint32_t code = p[0] & (0x3fu >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    bool surrogate = code >= 0xd800 && code < 0xe000;
    return code < least[more] || code > 0x10ffff || surrogate ? 0 : more + 1;
}

const char *text_printable(const char *string, char *buffer, size_t size)
{
    size_t used = 0;
    for (const unsigned char *p = (const unsigned char *)string; *p && used + 5 < size;) {
        size_t length = printable_length(p);
        for (size_t i = 0; i < length; i++) buffer[used++] = (char)*p++;
        if (!length) used += (size_t)snprintf(buffer + used, size - used, "\\x%02x", *p++);
    }
    if (size) buffer[used] = '\0';
    return buffer;
}

const char *text_duration(double seconds, char *buffer, size_t size)
{
    if (!(seconds >= 0) || seconds > 3.6e8) {
        snprintf(buffer, size, "-:--");
        return buffer;
    }
    long long s = (long long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(buffer, size, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(buffer, size, "%lld:%02lld", s / 60, s % 60);
    return buffer;
}

const char *text_bytes(double bytes, char *buffer, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        bytes /= 1024;
        unit++;
    }
    snprintf(buffer, size, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    return buffer;
}

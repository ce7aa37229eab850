#include "report/html.h"

#include <stdbool.h>
#include <string.h>

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD in UTF-8 */

static bool continues(unsigned char byte) { return (byte & 0xc0) == 0x80; }

/* Bytes of the valid UTF-8 character at `s` (Unicode 15, table 3-7), 0 when there is none. The string's NUL ends it. */
static size_t character(const unsigned char *s)
{
    if (s[0] < 0x80) return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf) return continues(s[1]) ? 2 : 0;
    if ((s[0] & 0xf0) == 0xe0) {
        if (!continues(s[1]) || !continues(s[2])) return 0;
        bool overlong = s[0] == 0xe0 && s[1] < 0xa0, surrogate = s[0] == 0xed && s[1] > 0x9f;
        return overlong || surrogate ? 0 : 3;
    }
    if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        if (!continues(s[1]) || !continues(s[2]) || !continues(s[3])) return 0;
        bool overlong = s[0] == 0xf0 && s[1] < 0x90, beyond = s[0] == 0xf4 && s[1] > 0x8f;
        return overlong || beyond ? 0 : 4;
    }
    return 0;
}

static const char *entity(char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

void html_text(text *out, const char *string)
{
    while (*string) {
        size_t size = character((const unsigned char *)string);
        unsigned char c = (unsigned char)*string;
        bool control = size == 1 && ((c < ' ' && c != '\t' && c != '\n') || c == 127);
        const char *instead = size == 0 || control ? replacement : entity(*string);
        if (instead)
            text_add(out, instead);
        else
            text_append(out, string, size);
        string += size ? size : 1;
    }
}

void html_url(text *out, const char *path)
{
    static const char kept[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    for (; *path; path++) {
        if (strchr(kept, *path))
            text_append(out, path, 1);
        else
            text_format(out, "%%%02X", (unsigned)(unsigned char)*path);
    }
}

void html_data(text *out, const char *type, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    text_format(out, "data:%s;base64,", type);
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i < 3 ? size - i : 3;
        uint32_t group = (uint32_t)bytes[i] << 16;
        if (left > 1) group |= (uint32_t)bytes[i + 1] << 8;
        if (left > 2) group |= bytes[i + 2];
        char four[4] = {digits[group >> 18], digits[group >> 12 & 63], left > 1 ? digits[group >> 6 & 63] : '=',
                        left > 2 ? digits[group & 63] : '='};
        text_append(out, four, sizeof four);
    }
}

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"

static bool limited(const config_field *field) { return field->minimum != 0 || field->maximum != 0; }

const char *config_double_text(double number, char buffer[32])
{
    if (number == floor(number) && fabs(number) <= 0x1p53) { /* 10, where the shortest by %g would be 1e+01 */
        snprintf(buffer, 32, "%.0f", number);
        return buffer;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(buffer, 32, "%.*g", digits, number);
        if (strtod(buffer, NULL) == number) break;
    }
    /* Readers of YAML 1.1, PyYAML among them, take 1e-08 for a string: they want a dot. */
    char *exponent = strchr(buffer, 'e');
    if (exponent && !strchr(buffer, '.')) {
        memmove(exponent + 2, exponent, strlen(exponent) + 1);
        memcpy(exponent, ".0", 2);
    }
    return buffer;
}

void config_describe(const config_field *field, text *out)
{
    static const char *const names[] = {[CONFIG_BOOL] = "true or false", [CONFIG_INT] = "an integer",
                                        [CONFIG_FLOAT] = "a number", [CONFIG_STRING] = "text",
                                        [CONFIG_CHOICE] = "one of "};
    text_add(out, names[field->type]);
    if (field->type == CONFIG_CHOICE)
        for (size_t i = 0; field->choices[i]; i++) text_format(out, "%s%s", i ? ", " : "", field->choices[i]);
    if ((field->type != CONFIG_INT && field->type != CONFIG_FLOAT) || !limited(field)) return;
    char low[32], high[32];
    config_double_text(field->minimum, low);
    config_double_text(field->maximum, high);
    if (isinf(field->maximum))
        text_format(out, ", at least %s", low);
    else if (isinf(field->minimum))
        text_format(out, ", at most %s", high);
    else
        text_format(out, " from %s to %s", low, high);
}

/* "'train.epochs' expects an integer from 1 to 1000, found 'many'; <hint>". */
static status mismatch(const config_field *field, const config_scalar *scalar, const char *hint, error *err)
{
    char shown[96];
    text expected = {0};
    config_describe(field, &expected);
    text_printable(scalar->text, shown, sizeof shown);
    bool empty = scalar->plain && scalar->length == 0;
    bool typed = field->type != CONFIG_STRING && field->type != CONFIG_CHOICE;
    if (!scalar->plain && typed) hint = "a quoted value is text: write it without quotes";
    status result =
        error_set(err, STATUS_USAGE, "'%s' expects %s, found %s%s%s%s%s%s", field->key, text_get(&expected),
                  !scalar->plain && typed ? "the text " : "", empty ? "nothing" : "'", empty ? "" : shown,
                  empty ? "" : "'", hint ? "; " : "", hint ? hint : "");
    text_free(&expected);
    return result;
}

static bool is_null(const config_scalar *scalar)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; scalar->plain && i < sizeof words / sizeof *words; i++)
        if (strcmp(scalar->text, words[i]) == 0) return true;
    return false;
}

static status assign_bool(config_entry *entry, const config_scalar *scalar, error *err)
{
    static const char *const yes[] = {"yes", "on", "y", "1", "True", "TRUE", "Yes", "YES", "On", "ON", "Y"};
    static const char *const no[] = {"no", "off", "n", "0", "False", "FALSE", "No", "NO", "Off", "OFF", "N"};
    bool is_true = strcmp(scalar->text, "true") == 0;
    if (scalar->plain && (is_true || strcmp(scalar->text, "false") == 0)) {
        *(bool *)entry->value = is_true;
        return STATUS_OK;
    }
    const char *hint = NULL;
    for (size_t i = 0; scalar->plain && i < sizeof yes / sizeof *yes; i++) {
        if (strcmp(scalar->text, yes[i]) == 0) hint = "write true";
        if (strcmp(scalar->text, no[i]) == 0) hint = "write false";
    }
    return mismatch(entry->field, scalar, hint, err);
}

/* [-+]?(0|[1-9][0-9]*), or with `floating` also a fraction and an exponent: no hexadecimal, inf or nan. */
static bool is_number(const char *s, bool floating)
{
    static const char digits[] = "0123456789";
    s += *s == '-' || *s == '+';
    size_t whole = strspn(s, digits), fraction = 0;
    if (!floating) return whole && s[whole] == '\0' && (s[0] != '0' || whole == 1);
    s += whole;
    if (*s == '.') {
        fraction = strspn(s + 1, digits);
        s += 1 + fraction;
    }
    if (whole + fraction == 0) return false;
    if (*s == 'e' || *s == 'E') {
        s += 1;
        s += *s == '-' || *s == '+';
        size_t exponent = strspn(s, digits);
        if (exponent == 0) return false;
        s += exponent;
    }
    return *s == '\0';
}

static status assign_int(config_entry *entry, const config_scalar *scalar, error *err)
{
    const config_field *field = entry->field;
    if (!scalar->plain || !is_number(scalar->text, false)) {
        double number = scalar->plain && is_number(scalar->text, true) ? strtod(scalar->text, NULL) : NAN;
        char hint[64] = "";
        if (number == floor(number) && fabs(number) < 1e15) snprintf(hint, sizeof hint, "write %.0f", number);
        return mismatch(field, scalar, hint[0] ? hint : NULL, err);
    }
    errno = 0;
    intmax_t number = strtoimax(scalar->text, NULL, 10);
    if (errno || number < INT64_MIN || number > INT64_MAX)
        return mismatch(field, scalar, "too large for 64 bits", err);
    if (limited(field) && ((double)number < field->minimum || (double)number > field->maximum))
        return mismatch(field, scalar, NULL, err);
    *(int64_t *)entry->value = (int64_t)number;
    return STATUS_OK;
}

static status assign_float(config_entry *entry, const config_scalar *scalar, error *err)
{
    const config_field *field = entry->field;
    if (!scalar->plain || !is_number(scalar->text, true)) return mismatch(field, scalar, NULL, err);
    double number = strtod(scalar->text, NULL);
    if (!isfinite(number)) return mismatch(field, scalar, "too large for a double", err);
    if (limited(field) && (number < field->minimum || number > field->maximum))
        return mismatch(field, scalar, NULL, err);
    *(double *)entry->value = number;
    return STATUS_OK;
}

static status assign_string(config_entry *entry, const config_scalar *scalar, error *err)
{
    const config_field *field = entry->field;
    char *copy = NULL;
    if (is_null(scalar)) {
        if (field->flags & CONFIG_REQUIRED) return mismatch(field, scalar, NULL, err);
    } else {
        copy = text_copy(scalar->text);
        if (!copy) return error_no_memory(err, field->key, scalar->length + 1);
    }
    free(*(char **)entry->value);
    *(char **)entry->value = copy;
    return STATUS_OK;
}

static status assign_choice(config_entry *entry, const config_scalar *scalar, error *err)
{
    const char *const *choices = entry->field->choices;
    int count = 0;
    for (; choices[count]; count++)
        if (strcmp(choices[count], scalar->text) == 0) {
            *(int *)entry->value = count;
            return STATUS_OK;
        }
    const char *nearest = scalar->length ? text_nearest(scalar->text, choices, (size_t)count) : NULL;
    char hint[128] = "";
    if (nearest) snprintf(hint, sizeof hint, "did you mean '%s'?", nearest);
    return mismatch(entry->field, scalar, nearest ? hint : NULL, err);
}

status config_assign(config_entry *entry, const config_scalar *scalar, error *err)
{
    static status (*const assign[])(config_entry *, const config_scalar *, error *) = {
        [CONFIG_BOOL] = assign_bool,     [CONFIG_INT] = assign_int,       [CONFIG_FLOAT] = assign_float,
        [CONFIG_STRING] = assign_string, [CONFIG_CHOICE] = assign_choice,
    };
    TRY(assign[entry->field->type](entry, scalar, err));
    entry->assigned = true;
    return STATUS_OK;
}

bool config_has_value(const config_entry *entry)
{
    return entry->field->type == CONFIG_STRING ? *(char **)entry->value != NULL : entry->assigned;
}

size_t config_utf8(const char *bytes, size_t length, unsigned long *code)
{
    static const unsigned long least[] = {1, 0x80, 0x800, 0x10000}; /* shorter forms exist for less */
    const unsigned char *p = (const unsigned char *)bytes;
    if (length == 0 || (*p >= 0x80 && *p < 0xc2) || *p > 0xf4) return 0;
    size_t more = *p < 0x80 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
    if (more >= length) return 0;
    unsigned long value = more ? *p & (0x3fu >> more) : *p;
    for (size_t i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        value = value << 6 | (p[i] & 0x3f);
    }
    if (value < least[more] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return 0;
    *code = value;
    return 1 + more;
}

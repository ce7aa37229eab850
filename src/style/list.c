#include "style/list.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

void style_list_free(style_list *list)
{
    for (size_t i = 0; i < list->count; i++) free(list->items[i]);
    free(list->items);
    *list = (style_list){0};
}

static status add(style_list *list, const char *word, size_t length, error *err)
{
    char **items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (!items) return error_no_memory(err, "a list", (list->count + 1) * sizeof *items);
    list->items = items;
    items[list->count] = text_printf("%.*s", (int)length, word);
    if (!items[list->count]) return error_no_memory(err, "a list", length);
    list->count++;
    return STATUS_OK;
}

status style_list_read(style_list *list, const char *said, error *err)
{
    static const char blanks[] = " \t\n";
    *list = (style_list){0};
    while (said && *said) {
        said += strspn(said, blanks);
        size_t whole = strcspn(said, ","), length = whole;
        while (length && strchr(blanks, said[length - 1])) length--;
        if (length) TRY(add(list, said, length, err));
        said += whole + (said[whole] == ',');
    }
    return STATUS_OK;
}

status style_list_read_paths(style_list *list, const char *said, error *err)
{
    *list = (style_list){0};
    return said && file_exists(said) ? add(list, said, strlen(said), err) : style_list_read(list, said, err);
}

static status read_weights(const char *key, const style_list *list, double *weights, size_t count, error *err)
{
    char shown[80];
    double sum = 0;
    if (list->count != count)
        return error_set(err, STATUS_USAGE, "%s: expected %zu number%s, found %zu", key, count, count == 1 ? "" : "s",
                         list->count);
    for (size_t i = 0; i < count; i++) {
        char *end;
        weights[i] = strtod(list->items[i], &end);
        if (end == list->items[i] || *end || !isfinite(weights[i]) || weights[i] < 0)
            return error_set(err, STATUS_USAGE, "%s: expected a number of at least 0, found '%s'", key,
                             text_printable(list->items[i], shown, sizeof shown));
        sum += weights[i];
    }
    if (sum > 0) return STATUS_OK;
    return error_set(err, STATUS_USAGE, "%s: expected a number above 0 among them, found none", key);
}

status style_weights_read(const char *key, const char *said, double fallback, double *weights, size_t count, error *err)
{
    for (size_t i = 0; i < count; i++) weights[i] = fallback;
    if (!said) return STATUS_OK;
    style_list list;
    status result = style_list_read(&list, said, err);
    if (result == STATUS_OK) result = read_weights(key, &list, weights, count, err);
    style_list_free(&list);
    return result;
}

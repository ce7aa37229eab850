#include "translate/outputs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"

/* Length of the name without its picture extension. */
static size_t stem_length(const char *name)
{
    static const char *const extensions[] = {".png", ".jpeg", ".jpg", ".webp"};
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++)
        if (text_ends_with_ignoring_case(name, extensions[i])) return strlen(name) - strlen(extensions[i]);
    return strlen(name);
}

/* The name of an input's output; the caller frees. `full`: with the input's extension before its own. */
static char *output_name(const char *relative, image_format format, bool full, image_format *made)
{
    static const char *const extensions[] = {[IMAGE_PNG] = ".png", [IMAGE_JPEG] = ".jpg", [IMAGE_WEBP] = ".webp"};
    image_format own = image_format_of(relative);
    *made = format != IMAGE_UNKNOWN ? format : own != IMAGE_UNKNOWN ? own : IMAGE_PNG;
    if (full) return text_printf("%s%s", relative, extensions[*made]);
    if (*made == own) return text_copy(relative);
    return text_printf("%.*s%s", (int)stem_length(relative), relative, extensions[*made]);
}

/* Outputs of one name stand together, then those of one input name, then as they were given. */
static int compare_names(const void *a, const void *b)
{
    const translate_output *first = *(translate_output *const *)a, *second = *(translate_output *const *)b;
    int order = strcmp(first->relative, second->relative);
    if (!order) order = strcmp(first->source->relative, second->source->relative);
    return order ? order : first < second ? -1 : 1;
}

static int compare_files(const void *a, const void *b)
{
    const translate_output *first = *(translate_output *const *)a, *second = *(translate_output *const *)b;
    if (first->device != second->device) return first->device < second->device ? -1 : 1;
    return first->number == second->number ? 0 : first->number < second->number ? -1 : 1;
}

static bool same_file(const translate_output *a, const translate_output *b)
{
    return a->found && b->found && a->device == b->device && a->number == b->number;
}

static void output_free(translate_output *o)
{
    free(o->relative);
    free(o->path);
}

void output_list_free(output_list *list)
{
    for (size_t i = 0; i < list->count; i++) output_free(&list->items[i]);
    free(list->items);
    *list = (output_list){0};
}

static status fill(translate_output *o, const image_item *source, image_format format, error *err)
{
    struct stat info;
    *o = (translate_output){.source = source, .found = stat(source->path, &info) == 0};
    if (o->found) {
        o->device = info.st_dev;
        o->number = info.st_ino;
        o->source_bytes = (uint64_t)info.st_size;
        o->source_modified = info.st_mtim;
    }
    o->relative = output_name(source->relative, format, false, &o->format);
    return o->relative ? STATUS_OK : error_no_memory(err, source->path, strlen(source->relative));
}

static status collision(const translate_output *a, const translate_output *b, error *err)
{
    return error_set(err, STATUS_FAILED, "%s and %s would both become %s in the output folder: translate them into two",
                     a->source->path, b->source->path, b->relative);
}

/* One group of outputs of one name: drops repetitions (their `relative` becomes NULL), gives the others full names. */
static status settle_group(translate_output **group, size_t count, image_format format, error *err)
{
    size_t left = 1;
    translate_output *last = group[0];
    for (size_t i = 1; i < count; i++) {
        if (strcmp(last->source->relative, group[i]->source->relative) == 0) {
            if (!same_file(last, group[i])) return collision(last, group[i], err);
            free(group[i]->relative);
            group[i]->relative = NULL;
        } else {
            last = group[i];
            left++;
        }
    }
    for (size_t i = 0; left > 1 && i < count; i++) {
        translate_output *o = group[i];
        if (!o->relative) continue;
        char *full = output_name(o->source->relative, format, true, &o->format);
        if (!full) return error_no_memory(err, o->source->path, strlen(o->relative));
        free(o->relative);
        o->relative = full;
    }
    return STATUS_OK;
}

static status settle_names(translate_output **order, size_t count, image_format format, error *err)
{
    qsort(order, count, sizeof *order, compare_names);
    for (size_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count && strcmp(order[begin]->relative, order[end]->relative) == 0;) end++;
        if (end - begin > 1) TRY(settle_group(order + begin, end - begin, format, err));
    }
    return STATUS_OK;
}

static void drop_repetitions(output_list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].relative) list->items[kept++] = list->items[i];
    list->count = kept;
}

/* A full name may be what another input is called. */
static status check_names(output_list *list, translate_output **order, error *err)
{
    for (size_t i = 0; i < list->count; i++) order[i] = &list->items[i];
    qsort(order, list->count, sizeof *order, compare_names);
    for (size_t i = 1; i < list->count; i++)
        if (strcmp(order[i - 1]->relative, order[i]->relative) == 0) return collision(order[i - 1], order[i], err);
    return STATUS_OK;
}

static status check_inputs_survive(output_list *list, translate_output **order, error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].found) order[count++] = &list->items[i];
    qsort(order, count, sizeof *order, compare_files);
    for (size_t i = 0; i < list->count; i++) {
        struct stat info;
        if (stat(list->items[i].path, &info) != 0) continue;
        translate_output target = {.device = info.st_dev, .number = info.st_ino}, *key = &target;
        translate_output **input = bsearch(&key, order, count, sizeof *order, compare_files);
        if (input)
            return error_set(err, STATUS_FAILED, "%s would overwrite the input %s: choose another output folder",
                             list->items[i].path, (*input)->source->path);
    }
    return STATUS_OK;
}

status output_list_create(const image_list *inputs, const char *folder, image_format format, output_list *out,
                          error *err)
{
    *out = (output_list){.items = calloc(inputs->count + 1, sizeof *out->items)};
    translate_output **order = calloc(inputs->count + 1, sizeof *order);
    status result = STATUS_OK;
    if (!out->items || !order) {
        result = error_no_memory(err, "the list of pictures", inputs->count * sizeof *out->items);
        goto error;
    }
    for (size_t i = 0; i < inputs->count; i++) {
        out->count++;
        order[i] = &out->items[i];
        TRY_OR(error, fill(&out->items[i], &inputs->items[i], format, err));
    }
    TRY_OR(error, settle_names(order, out->count, format, err));
    drop_repetitions(out);
    TRY_OR(error, check_names(out, order, err));
    for (size_t i = 0; i < out->count && result == STATUS_OK; i++) {
        out->items[i].path = text_join_path(folder, out->items[i].relative);
        if (!out->items[i].path) result = error_no_memory(err, folder, strlen(out->items[i].relative));
    }
    if (result == STATUS_OK) result = check_inputs_survive(out, order, err);
error:
    free(order);
    if (result != STATUS_OK) output_list_free(out);
    return result;
}

#include "compare/pictures.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/text.h"
#include "image/image.h"
#include "translate/outputs.h"

char *comparison_path(const char *folder, const char *method, const char *relative)
{
    const char *slash = relative ? "/" : "";
    return text_printf("%s/" COMPARISON_IMAGES "/%s%s%s", folder, method, slash, relative ? relative : "");
}

void comparison_pictures_free(comparison_pictures *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->items[i].relative);
        free(p->items[i].path);
    }
    free(p->items);
    *p = (comparison_pictures){0};
}

/* Alpha is laid over white here, so that every method sees the same. */
static void flatten(image *picture)
{
    if (!picture->alpha) return;
    for (size_t i = 0; i < picture->width * picture->height; i++)
        for (size_t c = 0; c < 3; c++) {
            unsigned a = picture->alpha[i], value = picture->pixels[i * 3 + c];
            picture->pixels[i * 3 + c] = (uint8_t)((value * a + 255 * (255 - a) + 127) / 255);
        }
    free(picture->alpha);
    picture->alpha = NULL;
}

static status scale(image *picture, size_t size, error *err)
{
    size_t width = picture->width, height = picture->height, shorter = width < height ? width : height;
    if (!size || shorter == size) return STATUS_OK;
    image scaled = {0};
    size_t wide = (width * size + shorter / 2) / shorter, high = (height * size + shorter / 2) / shorter;
    TRY(image_resize(picture, wide, high, &scaled, err));
    image_free(picture);
    *picture = scaled;
    return STATUS_OK;
}

static status prepare_one(const translate_output *o, size_t size, comparison_picture *out, error *err)
{
    image picture = {0};
    TRY(image_read(o->source->path, NULL, &picture, err));
    status result;
    flatten(&picture);
    TRY_OR(done, scale(&picture, size, err));
    TRY_OR(done, file_make_parent(o->path, err));
    TRY_OR(done, image_write(o->path, &picture, NULL, err));
    *out = (comparison_picture){text_copy(o->relative), text_copy(o->path), picture.width, picture.height};
    if (!out->relative || !out->path) result = error_no_memory(err, "a picture's name", 0);
done:
    image_free(&picture);
    return result;
}

static status prepare_all(const output_list *outputs, size_t size, log_sink *log, comparison_pictures *out, error *err)
{
    out->items = calloc(outputs->count + 1, sizeof *out->items);
    if (!out->items) return error_no_memory(err, "the inputs", outputs->count * sizeof *out->items);
    for (size_t i = 0; i < outputs->count; i++) {
        error problem = {0};
        status result = prepare_one(&outputs->items[i], size, &out->items[out->count], &problem);
        if (result == STATUS_OK) {
            out->count++;
            continue;
        }
        free(out->items[out->count].relative);
        free(out->items[out->count].path);
        out->items[out->count] = (comparison_picture){0};
        if (result != STATUS_FAILED) return error_set(err, result, "%s", problem.message);
        log_warn(log, "%s", problem.message);
        out->left_out++;
    }
    return STATUS_OK;
}

status comparison_pictures_prepare(const char *folder, const char *inputs, size_t size, log_sink *log,
                                   comparison_pictures *out, error *err)
{
    image_list list = {0};
    output_list outputs = {0};
    char shown[300];
    *out = (comparison_pictures){0};
    status result = STATUS_NO_MEMORY;
    char *target = comparison_path(folder, COMPARISON_INPUT, NULL);
    if (!target) {
        result = error_no_memory(err, "a path", 0);
        goto done;
    }
    TRY_OR(done, image_list_add(&list, inputs, err));
    TRY_OR(done, output_list_create(&list, target, IMAGE_PNG, &outputs, err));
    TRY_OR(done, prepare_all(&outputs, size, log, out, err));
    if (out->count == 0)
        result = error_set(err, STATUS_FAILED, "%s: no picture that can be read",
                           text_printable(inputs, shown, sizeof shown));
done:
    if (result != STATUS_OK) comparison_pictures_free(out);
    output_list_free(&outputs);
    image_list_free(&list);
    free(target);
    return result;
}

#include "translate/inputs.h"

#include <stdbool.h>

#include "base/file.h"

typedef struct listing {
    log_sink *log;
    size_t unread;
} listing;

static void report(void *context, const error *problem)
{
    listing *l = context;
    log_error(l->log, "%s", problem->message);
    l->unread++;
}

static status list_input(listing *l, const char *input, const char *output, image_list *list, error *err)
{
    /* With another format nothing would be overwritten, but the next run would translate the results of this one. */
    if (file_is_folder(input) && file_is_same(input, output))
        return error_set(err, STATUS_FAILED, "%s: the folder is input and output: choose another output folder",
                         input);
    image_list_options options = {.report = report, .context = l, .every_name = true, .except = output};
    size_t before = list->count, unread = l->unread;
    bool passed_over;
    error problem = {0};
    status result = image_list_add_with(list, input, &options, &passed_over, &problem);
    if (result == STATUS_FAILED) {
        report(l, &problem);
        return STATUS_OK;
    }
    if (result != STATUS_OK) return error_set(err, result, "%s", problem.message);
    if (passed_over) log_info(l->log, "%s: not translating what is in the output folder", input);
    if (list->count == before && l->unread == unread)
        log_warn(l->log, "%s: no pictures found (.png, .jpg, .jpeg, .webp)", input);
    return STATUS_OK;
}

status translate_inputs_list(const char *const *inputs, size_t count, const char *output, log_sink *log,
                             image_list *list, size_t *unread, error *err)
{
    listing l = {.log = log};
    status result = STATUS_OK;
    for (size_t i = 0; i < count && result == STATUS_OK; i++) result = list_input(&l, inputs[i], output, list, err);
    *unread = l.unread;
    if (result != STATUS_OK || list->count) return result;
    return error_set(err, STATUS_FAILED, "no pictures to translate");
}

/* Of a side after resizing, so that a picture of 1x5000 does not become one of 1000x5000000. It is JPEG's own. */
enum { LONGEST = 65500 };

/* The other side of a picture whose shorter one becomes `size`, rounded. */
static size_t scaled(size_t longer, size_t shorter, size_t size)
{
    return (size_t)((double)longer / (double)shorter * (double)size + 0.5);
}

static status resize(image *picture, size_t size, const image_limits *limits, error *err)
{
    size_t width = size, height = size;
    if (picture->width > picture->height) width = scaled(picture->width, picture->height, size);
    if (picture->width < picture->height) height = scaled(picture->height, picture->width, size);
    if (width > limits->max_pixels / height)
        return error_set(err, STATUS_FAILED, "a picture of %zux%zu is over the limit of %zu pixels", width, height,
                         limits->max_pixels);
    if ((width > height ? width : height) > LONGEST)
        return error_set(err, STATUS_FAILED, "a picture of %zux%zu is over the limit of %d pixels a side: take another "
                         "--size, or crop the picture", width, height, LONGEST);
    if (limits->admit) limits->admit(limits->context, width, height);
    image resized;
    TRY(image_resize(picture, width, height, &resized, err));
    image_free(picture);
    *picture = resized;
    return STATUS_OK;
}

status translate_input_read(const char *path, size_t size, const image_limits *limits, image *out, error *err)
{
    TRY(image_read(path, limits, out, err));
    if (!size || size == (out->width < out->height ? out->width : out->height)) return STATUS_OK;
    status result = resize(out, size, limits, err);
    if (result == STATUS_OK) return STATUS_OK;
    image_free(out);
    return error_prefix(err, "%s", path);
}

/* A section for each input: the wipe, the choice of a method, the numbers of each output. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare/page_internal.h"
#include "image/image.h"
#include "report/html.h"

enum { THUMBNAIL = 384, QUALITY = 82 }; /* longest side in pixels; of JPEG */

/* A data: URI of the picture made small, and its size. */
static status add_thumbnail(text *out, const image *picture, error *err)
{
    size_t longest = picture->width > picture->height ? picture->width : picture->height;
    image small = {0};
    uint8_t *bytes;
    size_t size;
    const image *shown = picture;
    if (longest > THUMBNAIL) {
        size_t width = (picture->width * THUMBNAIL + longest / 2) / longest;
        size_t height = (picture->height * THUMBNAIL + longest / 2) / longest;
        TRY(image_resize(picture, width ? width : 1, height ? height : 1, &small, err));
        shown = &small;
    }
    status result = image_encode("thumbnail.jpg", shown, &(image_write_options){.quality = QUALITY}, &bytes, &size, err);
    if (result == STATUS_OK) {
        text_add(out, " src=\"");
        html_data(out, "image/jpeg", bytes, size);
        text_format(out, "\" width=\"%zu\" height=\"%zu\"", shown->width, shown->height);
        free(bytes);
    }
    image_free(&small);
    return result;
}

static status add_picture(text *out, const char *folder, const char *relative, error *err)
{
    image picture = {0};
    char *path = text_join_path(folder, relative);
    if (!path) return error_no_memory(err, "a path", 0);
    status result = image_read(path, NULL, &picture, err);
    if (result == STATUS_OK) result = add_thumbnail(out, &picture, err);
    image_free(&picture);
    free(path);
    return result;
}

static void add_link(text *out, const char *method, const char *relative)
{
    text_add(out, COMPARISON_IMAGES "/");
    html_url(out, method);
    text_add(out, "/");
    html_url(out, relative);
}

/* The input below, each method's picture over it. */
static status add_wipe(const comparison_result *r, size_t index, text *out, error *err)
{
    const comparison_picture *picture = &r->pictures->items[index];
    text_add(out, "<div class=\"wipe\">\n<img class=\"under\" alt=\"");
    html_text(out, picture->relative);
    text_add(out, ", the input\"");
    TRY(add_picture(out, r->inputs, picture->relative, err));
    text_add(out, ">\n");
    for (size_t i = 0; i < r->count; i++) {
        const comparison_method_result *m = &r->methods[i];
        if (!m->outputs[index].made) continue;
        text_format(out, "<img class=\"over\" data-method=\"%zu\" data-name=\"", i);
        html_text(out, m->options->name);
        text_add(out, "\" alt=\"");
        html_text(out, picture->relative);
        text_add(out, " by ");
        html_text(out, m->options->name);
        text_add(out, "\"");
        TRY(add_picture(out, m->folder, picture->relative, err));
        text_add(out, ">\n");
    }
    text_add(out, "<span class=\"edge\"></span>\n</div>\n");
    return STATUS_OK;
}

static void add_slider(text *out)
{
    text_add(out, "<input class=\"slide\" type=\"range\" min=\"0\" max=\"100\" step=\"1\" value=\"50\" "
                  "aria-label=\"Wipe from the input to a method's picture\">\n"
                  "<div class=\"names\"><span>input</span><span class=\"shown\"></span></div>\n");
}

static void add_choices(const comparison_result *r, size_t index, text *out)
{
    text_add(out, "<fieldset class=\"choices\"><legend>Beside the input</legend>\n");
    for (size_t i = 0; i < r->count; i++) {
        if (!r->methods[i].outputs[index].made) continue;
        text_format(out, "<label><input type=\"radio\" name=\"choice-%zu\" value=\"%zu\">", index, i);
        html_text(out, r->methods[i].options->name);
        text_add(out, "</label>\n");
    }
    text_add(out, "</fieldset>\n");
}

static void add_output_row(const comparison_result *r, size_t index, size_t method, text *out)
{
    const comparison_method_result *m = &r->methods[method];
    const comparison_output *o = &m->outputs[index];
    text_add(out, "<tr><th scope=\"row\">");
    html_text(out, m->options->name);
    if (o->made) {
        text_add(out, "<small><a href=\"");
        add_link(out, m->options->name, r->pictures->items[index].relative);
        text_add(out, "\">full size</a></small>");
    } else {
        text_add(out, "<small class=\"missing\">no picture</small>");
    }
    text_add(out, "</th>");
    for (size_t i = 0; i < comparison_column_count; i++) {
        const comparison_column *column = &comparison_columns[i];
        double value = column->value(o);
        if (!comparison_is_filled(r, column)) continue;
        text_format(out, "<td data-key=\"%s:%zu\"", column->key, method);
        if (isfinite(value)) text_format(out, " data-value=\"%.9g\"", value);
        text_add(out, ">");
        page_add_number(out, value);
        if (strcmp(column->key, "nearest") == 0 && o->copied) text_add(out, "<small class=\"missing\">close</small>");
        text_add(out, "</td>");
    }
    text_add(out, "</tr>\n");
}

static void add_numbers(const comparison_result *r, size_t index, text *out)
{
    text_add(out, "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Numbers of ");
    html_text(out, r->pictures->items[index].relative);
    text_add(out, "\"><table><thead><tr><th scope=\"col\">Method</th>");
    for (size_t i = 0; i < comparison_column_count; i++)
        if (comparison_is_filled(r, &comparison_columns[i]))
            text_format(out, "<th scope=\"col\">%s</th>", comparison_columns[i].title);
    text_add(out, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < r->count; i++) add_output_row(r, index, i, out);
    text_add(out, "</tbody></table></div>\n");
}

static status add_row(const comparison_result *r, size_t index, text *out, error *err)
{
    const char *relative = r->pictures->items[index].relative;
    bool any = false;
    for (size_t i = 0; i < r->count; i++) any = any || r->methods[i].outputs[index].made;
    text_format(out, "<article class=\"row\" data-index=\"%zu\">\n<h3>", index);
    html_text(out, relative);
    text_add(out, " <small><a href=\"");
    add_link(out, COMPARISON_INPUT, relative);
    text_add(out, "\">input, full size</a></small></h3>\n<div class=\"sides\"><div>\n");
    TRY(add_wipe(r, index, out, err));
    if (any) add_slider(out);
    text_add(out, "</div><div>\n");
    if (any) add_choices(r, index, out);
    add_numbers(r, index, out);
    text_add(out, "</div></div>\n</article>\n");
    return STATUS_OK;
}

static void add_sort_options(const comparison_result *r, text *out)
{
    for (size_t k = 0; k < comparison_column_count; k++) {
        if (!comparison_is_filled(r, &comparison_columns[k])) continue;
        for (size_t i = 0; i < r->count; i++) {
            text_format(out, "<option value=\"%s:%zu\">%s: ", comparison_columns[k].key, i, comparison_columns[k].title);
            html_text(out, r->methods[i].options->name);
            text_add(out, "</option>\n");
        }
    }
}

static void add_controls(const comparison_result *r, text *out)
{
    text_add(out, "<div class=\"controls\">\n<label>Sort by <select id=\"sort\"><option value=\"name\">name</option>\n");
    add_sort_options(r, out);
    text_add(out, "</select></label>\n<label>Order <select id=\"order\"><option value=\"up\">lowest first</option>"
                  "<option value=\"down\">highest first</option></select></label>\n"
                  "<label>Beside all inputs <select id=\"everywhere\">\n");
    for (size_t i = 0; i < r->count; i++) {
        if (!r->methods[i].made) continue;
        text_format(out, "<option value=\"%zu\">", i);
        html_text(out, r->methods[i].options->name);
        text_add(out, "</option>\n");
    }
    text_add(out, "</select></label>\n</div>\n");
}

status page_add_rows(const comparison_result *r, text *out, error *err)
{
    text_add(out, "<section id=\"pictures\">\n<h2>Pictures</h2>\n"
                  "<p>Drag across a picture, or move the slider below it with the mouse or the arrow keys: the input is "
                  "left of the line, a method's picture right of it. Embedded pictures are small; the links lead to the "
                  "full ones beside this page.</p>\n");
    add_controls(r, out);
    text_add(out, "<div id=\"rows\">\n");
    for (size_t i = 0; i < r->pictures->count; i++) TRY(add_row(r, i, out, err));
    text_add(out, "</div>\n</section>\n");
    return STATUS_OK;
}

#include "training/samples.h"

#include <stdlib.h>

#include "base/text.h"
#include "image/image.h"
#include "report/sheet.h"

enum { MOST_ROWS = 2 * 3, GAP = 4 };

/* Of a domain: the picture, translated, and back. */
static size_t rows_a_domain(const training_options *o) { return o->one_way ? 2 : 3; }
static int domains(const training_options *o) { return o->one_way ? 1 : 2; }

/* buffer: three pictures. */
static status fill_column(training_loader *loader, const training_options *o, const training_method *method,
                          report_sheet *sheet, int domain, size_t column, uint8_t *buffer, error *err)
{
    size_t side = (size_t)o->crop_size, bytes = side * side * 3;
    TRY(training_loader_sample(loader, domain, column, (size_t)o->sample_count, buffer, err));
    TRY(method->sample(method->context, domain, buffer, buffer + bytes, buffer + 2 * bytes, err));
    for (size_t i = 0; i < rows_a_domain(o); i++) {
        const image picture = {.width = side, .height = side, .pixels = buffer + i * bytes};
        TRY(report_sheet_place(sheet, &picture, column, (size_t)domain * rows_a_domain(o) + i, err));
    }
    return STATUS_OK;
}

/* "snacks", "-> fractals", "-> snacks", then from the other domain. titles: from malloc; false without memory. */
static bool make_titles(const training_options *o, size_t rows, char *titles[MOST_ROWS])
{
    bool made = true;
    for (size_t row = 0; row < rows; row++) {
        size_t step = row % rows_a_domain(o);
        titles[row] = text_printf("%s%s", step ? "-> " : "", o->domains[(row / rows_a_domain(o) + step) % 2].name);
        made = made && titles[row];
    }
    return made;
}

char *training_samples_path(const char *folder, uint64_t step)
{
    return text_printf("%s/step_%08llu.png", folder, (unsigned long long)step);
}

status training_samples_write(training_loader *loader, const training_options *o, const training_method *method,
                              const char *folder, uint64_t step, error *err)
{
    size_t side = (size_t)o->crop_size, rows = (size_t)domains(o) * rows_a_domain(o);
    char *titles[MOST_ROWS] = {NULL};
    bool titled = make_titles(o, rows, titles);
    report_sheet_options options = {.columns = (size_t)o->sample_count, .rows = rows, .cell_width = side,
                                    .cell_height = side, .gap = GAP, .row_titles = (const char *const *)titles};
    report_sheet *sheet = NULL;
    uint8_t *buffer = malloc(3 * side * side * 3);
    char *path = training_samples_path(folder, step);
    status result = STATUS_OK;
    if (!buffer || !path || !titled)
        result = error_no_memory(err, "a sample sheet", 3 * side * side * 3);
    if (result == STATUS_OK) result = report_sheet_create(&options, &sheet, err);
    for (int domain = 0; domain < domains(o); domain++)
        for (size_t column = 0; column < options.columns && result == STATUS_OK; column++)
            result = fill_column(loader, o, method, sheet, domain, column, buffer, err);
    if (result == STATUS_OK) result = report_sheet_write(sheet, path, err);
    report_sheet_destroy(sheet);
    for (size_t row = 0; row < rows; row++) free(titles[row]);
    free(buffer);
    free(path);
    return result;
}

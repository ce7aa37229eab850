#include "report/sheet.h"

#include <unistd.h>

#include "test.h"

static image coloured(size_t width, size_t height, uint8_t level)
{
    image picture = {0};
    error err;
    if (image_create(&picture, width, height, &err) == STATUS_OK) memset(picture.pixels, level, width * height * 3);
    return picture;
}

/* Whether the rectangle is `level` inside and `around` on the border of one pixel around it. */
static bool is_block(const image *sheet, size_t left, size_t top, size_t width, size_t height, int level, int around)
{
    for (size_t y = top - 1; y <= top + height; y++)
        for (size_t x = left - 1; x <= left + width; x++) {
            bool inside = x >= left && x < left + width && y >= top && y < top + height;
            for (size_t c = 0; c < 3; c++)
                if (sheet->pixels[(y * sheet->width + x) * 3 + c] != (inside ? level : around)) return false;
        }
    return true;
}

static void places_pictures(test *t)
{
    error err = {0};
    char folder[] = "/tmp/test_sheet.XXXXXX", path[64];
    REQUIRE(t, mkdtemp(folder));
    snprintf(path, sizeof path, "%s/sheet.png", folder);
    report_sheet *sheet;
    report_sheet_options options = {.columns = 3, .rows = 2, .cell_width = 40, .cell_height = 20, .gap = 4};
    REQUIRE_OK(t, report_sheet_create(&options, &sheet, &err), err);
    image wide = coloured(80, 20, 10), tall = coloured(5, 10, 20), exact = coloured(40, 20, 30);
    image thread = coloured(900, 1, 40);
    REQUIRE_OK(t, report_sheet_place(sheet, &exact, 0, 1, &err), err); /* to be replaced */
    REQUIRE_OK(t, report_sheet_place(sheet, &wide, 0, 0, &err), err);
    REQUIRE_OK(t, report_sheet_place(sheet, &tall, 0, 1, &err), err);
    REQUIRE_OK(t, report_sheet_place(sheet, &exact, 2, 1, &err), err);
    REQUIRE_OK(t, report_sheet_place(sheet, &thread, 1, 0, &err), err);
    REQUIRE_OK(t, report_sheet_write(sheet, path, &err), err);

    image back = {0};
    REQUIRE_OK(t, image_read(path, NULL, &back, &err), err);
    REQUIRE(t, back.width == 4 + 3 * 44 && back.height == 4 + 2 * 24);
    int ground = back.pixels[0];
    CHECK(t, ground > 200 && back.pixels[1] == ground && back.pixels[2] == ground);
    CHECK(t, is_block(&back, 4, 4 + 5, 40, 10, 10, ground));            /* 80x20 shrinks to 40x10 */
    CHECK(t, is_block(&back, 4 + 15, 28, 10, 20, 20, ground));          /* 5x10 grows to 10x20 */
    CHECK(t, is_block(&back, 4 + 88, 28, 40, 20, 30, ground));          /* fits as it is */
    CHECK(t, is_block(&back, 4 + 44, 4 + 9, 40, 1, 40, ground));        /* never thinner than a pixel */
    CHECK(t, is_block(&back, 4 + 44 + 1, 28 + 1, 38, 18, ground, ground)); /* an empty cell */
    image_free(&back);

    CHECK(t, report_sheet_place(sheet, &wide, 3, 0, &err) == STATUS_FAILED);
    CHECK_TEXT(t, err.message, "no cell (3, 0) on a contact sheet of 3x2");
    CHECK(t, report_sheet_place(sheet, &wide, 0, 2, &err) == STATUS_FAILED);
    CHECK(t, report_sheet_place(sheet, &(image){0}, 0, 0, &err) == STATUS_FAILED);
    report_sheet_destroy(sheet);
    report_sheet_destroy(NULL);
    image_free(&wide);
    image_free(&tall);
    image_free(&exact);
    image_free(&thread);
    unlink(path);
    rmdir(folder);
}

static void refuses_bad_grids(test *t)
{
    error err = {0};
    report_sheet *sheet;
    report_sheet_options options = {.columns = 3, .rows = 0, .cell_width = 40, .cell_height = 20};
    CHECK(t, report_sheet_create(&options, &sheet, &err) == STATUS_FAILED && !sheet);
    CHECK_CONTAINS(t, err.message, "3x0 of 40x20");
    options = (report_sheet_options){.columns = SIZE_MAX / 2, .rows = 1, .cell_width = 40, .cell_height = 20};
    CHECK(t, report_sheet_create(&options, &sheet, &err) == STATUS_NO_MEMORY && !sheet);
}

TEST_MAIN(TEST(places_pictures), TEST(refuses_bad_grids))

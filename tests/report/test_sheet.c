#include "report/sheet.h"

#include <unistd.h>

#include "report/font.h"
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

/* The pixels of a text in a small picture as '#' and '.', rows apart by '\n'. */
static void draw(const char *string, size_t factor, size_t width, size_t height, char *out)
{
    image picture = coloured(width, height, 255);
    report_text_draw(&picture, 0, 0, factor, string, 0);
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) *out++ = picture.pixels[(y * width + x) * 3 + 1] ? '.' : '#';
        *out++ = '\n';
    }
    *out = '\0';
    image_free(&picture);
}

static void draws_text(test *t)
{
    char out[4096];
    draw("Ag", 1, 12, 9, out);
    CHECK_TEXT(t, out, ".###........\n"
                       "#...#.......\n"
                       "#...#..####.\n"
                       "#####.#...#.\n"
                       "#...#.#...#.\n"
                       "#...#.#...#.\n"
                       "#...#..####.\n"
                       "..........#.\n"
                       ".......###..\n");
    draw("-", 2, 10, 10, out); /* each pixel is a square; what lies outside is left out */
    CHECK_TEXT(t, out, "..........\n..........\n..........\n..........\n..........\n..........\n##########\n"
                       "##########\n..........\n..........\n");
    CHECK(t, report_text_width("", 2) == 0 && report_text_width("abc", 2) == 34);
    CHECK(t, report_text_fit(34, 2) == 3 && report_text_fit(33, 2) == 2);
    /* A byte that the font lacks, and a character of two bytes. */
    CHECK(t, report_text_width("\x01", 1) == 5 && report_text_width("\xc3\xa9t\xc3\xa9", 1) == 17);
    char question[4096];
    draw("\xc3\xa9", 1, 6, 9, out);
    draw("?", 1, 6, 9, question);
    CHECK_TEXT(t, out, question);
}

/* Every printable character but the space draws something of its own. */
static void characters_differ(test *t)
{
    static char drawn[127][128];
    for (int c = 33; c < 127; c++) {
        draw((char[]){(char)c, '\0'}, 1, 6, 9, drawn[c]);
        CHECK(t, strchr(drawn[c], '#'));
        for (int before = 33; before < c; before++)
            if (strcmp(drawn[before], drawn[c]) == 0)
                test_failed(t, __FILE__, __LINE__, "'%c' looks like '%c'", c, before);
    }
}

static void cuts_text(test *t)
{
    static const struct {
        const char *string, *cut;
        size_t characters;
    } cases[] = {{"fractals", "fractals", 8}, {"fractals", "fract..", 7}, {"fractals", "frac", 4}, {"a", "", 0},
                 {"\xc3\xa9t\xc3\xa9s bleus", "\xc3\xa9t\xc3\xa9..", 5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *cut = report_text_cut(cases[i].string, cases[i].characters);
        REQUIRE(t, cut);
        CHECK_TEXT(t, cut, cases[i].cut);
        free(cut);
    }
}

/* Dark pixels in a rectangle. */
static size_t ink(const image *sheet, size_t left, size_t top, size_t width, size_t height)
{
    size_t count = 0;
    for (size_t y = top; y < top + height; y++)
        for (size_t x = left; x < left + width; x++) count += sheet->pixels[(y * sheet->width + x) * 3] < 100;
    return count;
}

static void writes_titles(test *t)
{
    error err = {0};
    char folder[] = "/tmp/test_sheet.XXXXXX", path[64];
    REQUIRE(t, mkdtemp(folder));
    snprintf(path, sizeof path, "%s/sheet.png", folder);
    const char *const columns[] = {"one", NULL, "far too long for its cell"}, *const rows[] = {"input", "-> x"};
    report_sheet *sheet;
    report_sheet_options options = {.columns = 3, .rows = 2, .cell_width = 40, .cell_height = 20, .gap = 4,
                                    .column_titles = columns, .row_titles = rows};
    REQUIRE_OK(t, report_sheet_create(&options, &sheet, &err), err);
    image block = coloured(40, 20, 10);
    REQUIRE_OK(t, report_sheet_place(sheet, &block, 1, 1, &err), err);
    REQUIRE_OK(t, report_sheet_write(sheet, path, &err), err);
    report_sheet_destroy(sheet);
    image back = {0};
    REQUIRE_OK(t, image_read(path, NULL, &back, &err), err);
    const size_t left = 29 + 12, top = 12; /* five characters and two of space; nine rows and three of space */
    REQUIRE(t, back.width == left + 4 + 3 * 44 && back.height == top + 4 + 2 * 24);
    CHECK(t, is_block(&back, left + 48, top + 28, 40, 20, 10, back.pixels[0]));
    CHECK(t, ink(&back, left + 4, 0, 40, top) > 15);       /* "one" */
    CHECK(t, ink(&back, left + 48, 0, 40, top) == 0);      /* no title */
    CHECK(t, ink(&back, left + 92, 0, 40, top) > 30);      /* as much as fits */
    CHECK(t, ink(&back, left + 132, 0, 4, top) == 0);
    CHECK(t, ink(&back, 6, top + 4, 29, 20) > 30);         /* "input" */
    CHECK(t, ink(&back, 0, top + 4, 6, 44) == 0 && ink(&back, 35, top + 4, 6, 44) == 0);
    CHECK(t, ink(&back, 6, top + 28, 6, 20) == 0);         /* the shorter one stands at the right */
    CHECK(t, ink(&back, 12, top + 28, 23, 20) > 15);
    image_free(&back);
    image_free(&block);
    unlink(path);
    rmdir(folder);
}

TEST_MAIN(TEST(places_pictures), TEST(refuses_bad_grids), TEST(draws_text), TEST(characters_differ), TEST(cuts_text),
          TEST(writes_titles))

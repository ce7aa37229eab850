#include "report/folders.h"

#include "../training/pictures.h"

static void rows_and_columns(test *t)
{
    workplace place;
    error err = {0};
    REQUIRE(t, workplace_create(&place));
    REQUIRE(t, workplace_pictures(&place, "a", 5, 20, 20, 100)); /* red is 10 * number */
    REQUIRE(t, workplace_pictures(&place, "b", 3, 20, 20, 200)); /* lacks two of them */
    char a[96], b[96], path[128];
    snprintf(a, sizeof a, "%s/a", place.root);
    snprintf(b, sizeof b, "%s/b", place.root);
    snprintf(path, sizeof path, "%s/deep/sheet.png", place.root);
    report_folder rows[] = {{NULL, a}, {NULL, b}};
    report_folders_options options = {.cell = 20, .columns = 3};
    REQUIRE_OK(t, report_folders_write(path, rows, 2, &options, &err), err);
    image sheet = {0};
    REQUIRE_OK(t, image_read(path, NULL, &sheet, &err), err);
    CHECK(t, sheet.width == 3 * 20 + 4 * 4 && sheet.height == 4 * 20 + 5 * 4); /* two bands of two rows */
    const uint8_t *middle = sheet.pixels + ((4 + 10) * sheet.width + 4 + 24 + 10) * 3; /* a/1 */
    CHECK(t, middle[0] == 10 && middle[1] == 100);
    middle = sheet.pixels + ((4 + 24 + 10) * sheet.width + 4 + 24 + 10) * 3; /* b/1 */
    CHECK(t, middle[0] == 10 && middle[1] == 200);
    middle = sheet.pixels + ((4 + 3 * 24 + 10) * sheet.width + 4 + 10) * 3; /* b/3 is not there */
    CHECK(t, middle[0] == middle[1] && middle[1] == middle[2]);
    image_free(&sheet);
    workplace_remove(&place);
}

static void an_empty_folder_is_an_error(test *t)
{
    workplace place;
    error err = {0};
    REQUIRE(t, workplace_create(&place));
    report_folder row = {"x", place.root};
    CHECK(t, report_folders_write("/tmp/never.png", &row, 1, NULL, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "no pictures");
    workplace_remove(&place);
}

TEST_MAIN(TEST(rows_and_columns), TEST(an_empty_folder_is_an_error))

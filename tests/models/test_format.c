/* Versions of weights files. */
#include "models/format.h"

#include <unistd.h>

#include "base/file.h"
#include "test.h"

/* A file of one tensor, with a version and a checksum that does not hold; NULL: without. */
static void write_file(test *t, const char *path, const char *format, const char *checksum)
{
    char bytes[512];
    int length = snprintf(bytes + 8, sizeof bytes - 8, "{\"__metadata__\":{\"kind\":\"generator\"%s%s%s%s%s%s},"
                          "\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
                          format ? ",\"cyclegan_format\":\"" : "", format ? format : "", format ? "\"" : "",
                          checksum ? ",\"data_xxh64\":\"" : "", checksum ? checksum : "", checksum ? "\"" : "");
    for (int i = 0; i < 8; i++) bytes[i] = (char)((size_t)length >> 8 * i & 255);
    memset(bytes + 8 + length, 0, 4);
    error err = {0};
    REQUIRE_OK(t, file_write_all(path, bytes, (size_t)length + 12, &err), err);
}

static void check(test *t, const char *format, const char *checksum, const char *message)
{
    char path[] = "/tmp/cyclegan-format-XXXXXX", expected[200] = "";
    int number = mkstemp(path);
    REQUIRE(t, number >= 0);
    close(number);
    write_file(t, path, format, checksum);
    error err = {0};
    safetensors_file *file;
    status result = model_file_open(path, &file, &err);
    if (*message) snprintf(expected, sizeof expected, "%s: %s", path, message);
    CHECK_TEXT(t, err.message, expected);
    CHECK(t, (result == STATUS_OK) == (file != NULL) && result == (*message ? STATUS_FAILED : STATUS_OK));
    safetensors_close(file);
    unlink(path);
}

static void reads_its_own_and_files_without(test *t)
{
    check(t, MODEL_FORMAT, NULL, "");
    check(t, NULL, NULL, "");
}

/* Whatever the checksum is. */
static void refuses_those_of_newer_programs(test *t)
{
    check(t, "2", NULL, "is of format 2; this program reads up to 1");
    check(t, "10", "of another kind", "is of format 10; this program reads up to 1");
    check(t, "99999999999999999999999", NULL, "is of format 99999999999999999999999; this program reads up to 1");
}

static void refuses_what_is_no_version(test *t)
{
    static const char *const words[] = {"", "0", "one", "1.5", "-2", " 2"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char message[100];
        snprintf(message, sizeof message, "metadata 'cyclegan_format': expected 1, found '%s'", words[i]);
        check(t, words[i], NULL, message);
    }
}

static void refuses_damage(test *t)
{
    check(t, MODEL_FORMAT, "0123456789abcdef", "damaged: its data do not have the checksum that they were written with");
}

TEST_MAIN(TEST(reads_its_own_and_files_without), TEST(refuses_those_of_newer_programs), TEST(refuses_what_is_no_version),
          TEST(refuses_damage))

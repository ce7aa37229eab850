/* Pictures and folders of them; what is neither. */
#include <sys/stat.h>
#include <unistd.h>

#include "../image/fixture.h"
#include "base/text.h"
#include "facts.h"

typedef struct place {
    char folder[64], path[8][160];
    int next;
    error err;
} place;

static place begin(void)
{
    place p = {.folder = "/tmp/cyclegan-inspect-XXXXXX"};
    if (!mkdtemp(p.folder)) perror(p.folder);
    return p;
}

static void end(place *p)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", p->folder);
    if (system(command) != 0) perror(command);
}

static const char *in(place *p, const char *name)
{
    char *path = text_join_path(p->folder, name), *out = p->path[p->next++ % 8];
    strncpy(out, path, sizeof p->path[0] - 1);
    free(path);
    return out;
}

/* One of the files in codecs.bin, under this path. */
static bool put_sample(const char *name, const char *path)
{
    fixture f = fixture_open("tests/fixtures/codecs.bin");
    bool found = false;
    while (f.data && !found && fixture_left(&f)) {
        uint32_t length = fixture_number(&f);
        const uint8_t *here = fixture_bytes(&f, length);
        uint32_t size = fixture_number(&f);
        const uint8_t *bytes = fixture_bytes(&f, size);
        if (strlen(name) == length && memcmp(here, name, length) == 0)
            found = file_write_all(path, bytes, size, NULL) == STATUS_OK;
        uint32_t width = fixture_number(&f), height = fixture_number(&f);
        if (width) fixture_bytes(&f, (size_t)width * height * 3);
        int parts = width ? 2 : 1; /* alpha and profile, or a message */
        for (int i = 0; i < parts; i++) fixture_bytes(&f, fixture_number(&f));
        if (width) fixture_number(&f);
    }
    fixture_close(&f);
    return found;
}

static inspect_facts look(test *t, place *p, const char *name)
{
    inspect_options options = {.minimum = 20, .threads = 2};
    inspect_facts facts = {0};
    p->err = (error){0};
    if (inspect_path(name, &options, &facts, &p->err) != STATUS_OK)
        test_failed(t, __FILE__, __LINE__, "%s: %s", name, p->err.message);
    return facts;
}

static void tells_of_pictures(test *t)
{
    place p = begin();
    REQUIRE(t, put_sample("type 6, 16 bits", in(&p, "deep.png")));
    REQUIRE(t, put_sample("orientation 6", in(&p, "turned.jpg")));
    REQUIRE(t, put_sample("WebP, profile, alpha", in(&p, "no_extension")));
    inspect_facts f = look(t, &p, in(&p, "deep.png"));
    CHECK_TEXT(t, fact_text(&f, "kind"), "picture");
    CHECK_TEXT(t, fact_text(&f, "format"), "PNG");
    CHECK(t, fact_number(&f, "depth") == 16 && json_is_true(fact_at(&f, "alpha")));
    CHECK(t, !fact_at(&f, "orientation") && !fact_at(&f, "profile"));
    CHECK_CONTAINS(t, text_get(&f.lines), "16 bits a channel, read as 8");
    CHECK_CONTAINS(t, text_get(&f.lines), "13x7");
    inspect_facts_free(&f);
    f = look(t, &p, in(&p, "turned.jpg"));
    CHECK_TEXT(t, fact_text(&f, "format"), "JPEG");
    CHECK(t, fact_number(&f, "orientation") == 6 && fact_number(&f, "depth") == 8);
    CHECK(t, json_integer_value(json_array_get(fact_at(&f, "size"), 0)) == 19);
    CHECK(t, json_is_false(fact_at(&f, "alpha")));
    inspect_facts_free(&f);
    f = look(t, &p, in(&p, "no_extension"));
    CHECK_TEXT(t, fact_text(&f, "format"), "WebP");
    CHECK(t, fact_number(&f, "profile") == 252);
    inspect_facts_free(&f);
    end(&p);
}

static void tells_of_folders(test *t)
{
    place p = begin();
    REQUIRE(t, put_sample("type 6, 16 bits", in(&p, "1.png")) && put_sample("type 6, 16 bits", in(&p, "2.png")));
    REQUIRE(t, put_sample("orientation 1", in(&p, "3.jpg")));
    inspect_facts f = look(t, &p, p.folder);
    CHECK_TEXT(t, fact_text(&f, "kind"), "folder of pictures");
    CHECK(t, fact_number(&f, "pictures") == 3 && fact_number(&f, "formats/PNG") == 2);
    CHECK(t, fact_number(&f, "formats/JPEG") == 1 && fact_number(&f, "formats/WebP") == -1);
    CHECK(t, fact_number(&f, "with_alpha") == 2 && !f.trouble);
    const json_t *first = json_array_get(fact_at(&f, "findings"), 0);
    CHECK_TEXT(t, json_string_value(json_object_get(first, "finding")), "duplicate");
    CHECK_TEXT(t, json_string_value(json_object_get(first, "picture")), "2.png");
    CHECK_TEXT(t, json_string_value(json_object_get(first, "detail")), "same as 1.png");
    CHECK_CONTAINS(t, text_get(&f.lines), "1 picture is there twice: 2.png (same as 1.png)");
    CHECK_CONTAINS(t, text_get(&f.lines), "3 pictures are smaller than 20 pixels: 1.png (13x7)");
    inspect_facts_free(&f);
    REQUIRE_OK(t, file_write_all(in(&p, "4\xff\x1b.png"), "GIF8", 4, &p.err), p.err);
    f = look(t, &p, p.folder);
    CHECK(t, f.trouble);
    CHECK(t, strchr(text_get(&f.lines), '\x1b') == NULL);
    text line = {0};
    CHECK(t, inspect_json_line(&f, &line)); /* though the name is no UTF-8 */
    CHECK_CONTAINS(t, text_get(&line), "\"picture\": \"4\\\\xff");
    text_free(&line);
    inspect_facts_free(&f);
    end(&p);
}

static void refuses_what_it_does_not_know(test *t)
{
    place p = begin();
    check_refused(t, in(&p, "nothing"), "No such file");
    check_refused(t, p.folder, "expected pictures");
    REQUIRE_OK(t, file_write_all(in(&p, "a.txt"), "words", 5, &p.err), p.err);
    check_refused(t, in(&p, "a.txt"), "found something else");
    REQUIRE_OK(t, file_write_all(in(&p, "empty"), "", 0, &p.err), p.err);
    check_refused(t, in(&p, "empty"), "found something else");
    REQUIRE_OK(t, file_write_all(in(&p, "a.png"), "\x89PNG\r\n\x1a\n", 8, &p.err), p.err);
    check_refused(t, in(&p, "a.png"), "PNG");
    REQUIRE(t, mkfifo(in(&p, "pipe"), 0600) == 0);
    check_refused(t, in(&p, "pipe"), "found a pipe");
    end(&p);
}

TEST_MAIN(TEST(tells_of_pictures), TEST(tells_of_folders), TEST(refuses_what_it_does_not_know))

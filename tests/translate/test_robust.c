/* Folders as they are found: what cannot be read or written, links, odd names, hostile manifests, what kills leave. */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "folder_run.h"

static const char manifest_name[] = "out/.cyclegan-manifest.json";

/* Gives up root for a while, which may do all; the test's folder is then open to others. */
static bool become_nobody(run *r)
{
    if (geteuid() != 0) return true;
    chmod(r->f.folder, 0777);
    return seteuid(65534) == 0;
}

static bool become_root_again(void) { return getuid() != 0 || seteuid(0) == 0; }

static char *read_text(run *r, const char *name)
{
    char *bytes = NULL;
    size_t size;
    if (file_read_all(fixture_path(&r->f, "%s", name), 1 << 20, &bytes, &size, &r->f.err) != STATUS_OK)
        return strdup("");
    return bytes;
}

static void write_text(test *t, run *r, const char *name, const char *content)
{
    const char *path = fixture_path(&r->f, "%s", name);
    REQUIRE_OK(t, file_make_parent(path, &r->f.err), r->f.err);
    REQUIRE_OK(t, file_write_all(path, content, strlen(content), &r->f.err), r->f.err);
}

static void goes_on_after_unreadable_folders(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/a/1.png"), 8, 8, 1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/b/2.png"), 8, 8, 1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/c/3.png"), 8, 8, 1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/c/4.png"), 8, 8, 1);
    chmod(fixture_path(&r.f, "in/b"), 0);
    chmod(fixture_path(&r.f, "in/c/4.png"), 0);
    status result = become_nobody(&r) ? translate(&r, "in", "absent", "out") : STATUS_USAGE;
    CHECK(t, become_root_again());
    chmod(fixture_path(&r.f, "in/b"), 0700);
    CHECK(t, result == STATUS_FAILED);
    CHECK_CONTAINS(t, r.f.err.message, "1 of 3 pictures failed; 2 inputs or folders could not be read");
    CHECK_CONTAINS(t, r.lines, "in/b: cannot read the folder: Permission denied");
    CHECK_CONTAINS(t, r.lines, "in/c/4.png: cannot open: Permission denied");
    CHECK_CONTAINS(t, r.lines, "/absent: cannot read: No such file");
    check_counts(t, &r, 2, 0, 0, 1);
    CHECK(t, r.summary.unread == 2 && there(&r, "out/a/1.png") && there(&r, "out/c/3.png"));
    run_end(&r);
}

static void follows_links(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/b/1.png"), 8, 8, 1);
    fixture_picture(&r.f, fixture_path(&r.f, "elsewhere/2.png"), 8, 8, 1);
    const char *links[][2] = {{"b", "in/a"}, {"1.png", "in/b/same.png"}, {"../../elsewhere/2.png", "in/b/2.png"},
                              {"..", "in/b/up"}, {"../elsewhere", "in/more"}, {"nowhere.png", "in/gone.png"},
                              {"nowhere", "in/gone"}, {"../out", "in/results"}};
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        REQUIRE(t, symlink(links[i][0], fixture_path(&r.f, "%s", links[i][1])) == 0);
    CHECK(t, translate(&r, "in", NULL, "out") == STATUS_FAILED);
    CHECK_CONTAINS(t, r.lines, "in/gone.png: cannot open: No such file");
    CHECK(t, !strstr(r.lines, "in/gone:")); /* no picture, as far as its name tells */
    static const char *const made[] = {"out/a/1.png", "out/a/same.png", "out/a/2.png",  "out/b/1.png",
                                       "out/b/same.png", "out/b/2.png", "out/more/2.png"};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) CHECK(t, there(&r, made[i]));
    check_counts(t, &r, 7, 0, 0, 1);
    CHECK(t, r.summary.unread == 0);
    /* The next run does not go through the link to the results. */
    CHECK(t, translate(&r, "in", NULL, "out") == STATUS_FAILED);
    check_counts(t, &r, 0, 7, 0, 1);
    CHECK(t, r.summary.unread == 0 && !there(&r, "out/results"));
    CHECK_CONTAINS(t, r.lines, "not translating what is in the output folder");
    run_end(&r);
}

static void takes_odd_names(test *t)
{
    run r = run_begin(1);
    char longest[NAME_MAX + 1];
    memset(longest, 'n', NAME_MAX);
    memcpy(longest + NAME_MAX - 4, ".png", 5);
    static const char *const names[] = {"\xff\xfe.png", "\x1b]0;title\x07\n.png", "\x9b" "2J.png", "-o.png",
                                        "%2e%2e.png", " .png", "\xe2\x82\xac.png", "a:b*c?.png"};
    enum { NAMES = sizeof names / sizeof *names };
    for (size_t i = 0; i < NAMES; i++) fixture_picture(&r.f, fixture_path(&r.f, "in/%s", names[i]), 8, 8, 1);
    char path[512];
    snprintf(path, sizeof path, "%s/in/%s", r.f.folder, longest);
    fixture_picture(&r.f, path, 8, 8, 1);
    write_text(t, &r, "in/\x1b[31mbad\xff.png", "rubbish");
    CHECK(t, translate(&r, "in", NULL, "out") == STATUS_FAILED);
    check_counts(t, &r, NAMES + 1, 0, 0, 1);
    CHECK_CONTAINS(t, r.lines, "in/\\x1b[31mbad\\xff.png: expected a ");
    CHECK(t, !strchr(r.lines, '\x1b') && !strchr(r.lines, '\xff') && !strchr(r.lines, '\x9b'));
    for (size_t i = 0; i < NAMES; i++) CHECK(t, file_exists(fixture_path(&r.f, "out/%s", names[i])));
    snprintf(path, sizeof path, "%s/out/%s", r.f.folder, longest);
    CHECK(t, file_exists(path));
    char *manifest = read_text(&r, manifest_name);
    for (const char *p = manifest; *p; p++) CHECK(t, *p == '\n' || (*p >= 0x20 && *p < 0x7f));
    CHECK_CONTAINS(t, manifest, "\"%FF%FE.png\"");
    CHECK_CONTAINS(t, manifest, "\"%252e%252e.png\"");
    free(manifest);
    CHECK(t, translate(&r, "in", NULL, "out") == STATUS_FAILED);
    check_counts(t, &r, 0, NAMES + 1, 0, 1);
    run_end(&r);
}

static void tells_too_long_names(test *t)
{
    enum { LONGEST = PATH_MAX - 1 };
    run r = run_begin(1);
    char name[NAME_MAX + 1], path[PATH_MAX];
    const char *const inputs[] = {path};
    /* A name that has no room for an extension. */
    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = '\0';
    snprintf(path, sizeof path, "%s/in/%s", r.f.folder, name);
    fixture_picture(&r.f, fixture_path(&r.f, "in/x.png"), 8, 8, 1);
    REQUIRE(t, rename(fixture_path(&r.f, "in/x.png"), path) == 0);
    CHECK(t, translate_paths(&r, inputs, 1, fixture_path(&r.f, "out")) == STATUS_FAILED);
    check_counts(t, &r, 0, 0, 0, 1);
    CHECK_CONTAINS(t, r.lines, "n.png: cannot ");
    CHECK_CONTAINS(t, r.lines, ": File name too long\n");
    /* The longest path there can be, and results with one as long, and one byte longer. */
    memset(path, 'd', sizeof path);
    memcpy(path, r.f.folder, strlen(r.f.folder));
    for (size_t i = strlen(r.f.folder); i < LONGEST - 80; i += 200) path[i] = '/';
    path[LONGEST - 60] = '/';
    memcpy(path + LONGEST - 4, ".png", 5);
    fixture_picture(&r.f, path, 8, 8, 1);
    path[LONGEST - 60] = '\0';
    char *as_long = text_copy(path), *longer = text_printf("%se", path);
    as_long[strlen(as_long) - 1] = 'o';
    REQUIRE_OK(t, translate_paths(&r, inputs, 1, as_long), r.f.err);
    CHECK(t, translate_paths(&r, inputs, 1, longer) == STATUS_FAILED);
    check_counts(t, &r, 0, 0, 0, 1);
    CHECK_CONTAINS(t, r.lines, "ddd.png: cannot ");
    CHECK_CONTAINS(t, r.lines, ": File name too long\n");
    free(as_long);
    free(longer);
    run_end(&r);
}

static void refuses_folders_that_cannot_be_written(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/1.png"), 8, 8, 1);
    mkdir(fixture_path(&r.f, "out"), 0555);
    status result = become_nobody(&r) ? translate(&r, "in", NULL, "out") : STATUS_USAGE;
    CHECK(t, become_root_again());
    CHECK(t, result == STATUS_FAILED);
    CHECK_CONTAINS(t, r.f.err.message, "/out: cannot write into the folder: Permission denied");
    chmod(fixture_path(&r.f, "out"), 0777);
    CHECK(t, translate(&r, "in", NULL, "in/1.png/out") == STATUS_FAILED);
    CHECK_CONTAINS(t, r.f.err.message, "in/1.png: cannot create the folder: Not a directory");
    run_end(&r);
}

static void respects_manifests_it_cannot_read(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/1.png"), 8, 8, 1);
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    const char *path = fixture_path(&r.f, "%s", manifest_name);
    chmod(path, 0444); /* it is replaced, not written to */
    fixture_picture(&r.f, fixture_path(&r.f, "in/2.png"), 8, 8, 1);
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    check_counts(t, &r, 1, 1, 0, 0);
    chmod(fixture_path(&r.f, "out"), 0777);
    chmod(fixture_path(&r.f, "%s", manifest_name), 0);
    char *before = read_text(&r, manifest_name);
    status result = become_nobody(&r) ? translate(&r, "in", NULL, "out") : STATUS_USAGE;
    CHECK(t, become_root_again());
    CHECK(t, result == STATUS_FAILED);
    CHECK_CONTAINS(t, r.f.err.message, ".cyclegan-manifest.json: cannot open: Permission denied");
    char *after = read_text(&r, manifest_name);
    CHECK_TEXT(t, after, before);
    free(before);
    free(after);
    path = fixture_path(&r.f, "%s", manifest_name);
    CHECK(t, unlink(path) == 0 && mkfifo(path, 0600) == 0); /* reading it would wait for ever */
    CHECK(t, translate(&r, "in", NULL, "out") == STATUS_FAILED);
    CHECK_CONTAINS(t, r.f.err.message, ".cyclegan-manifest.json: expected a file");
    run_end(&r);
}

/* Names in a manifest are compared, and nothing else. */
static void manifests_lead_nowhere(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/1.png"), 8, 8, 1);
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    char *own = read_text(&r, manifest_name), *entry = strstr(own, "\"1.png\""), *rest = entry ? entry + 7 : own;
    write_text(t, &r, "victim.png", "precious");
    char *hostile = text_printf("{\"cyclegan_manifest\": 1, \"pictures\": {\"../victim.png\": {}, \"/etc/passwd\": {}, "
                                "\"%%2E%%2E/victim.png\": {\"made_by\": \"\\u001b[2J\"}, \"../in/1.png\"%s", rest);
    write_text(t, &r, manifest_name, hostile);
    r.request.overwrite = true;
    char sheet[128];
    snprintf(sheet, sizeof sheet, "%s/sheet.png", r.f.folder);
    r.request.sheet = sheet;
    char *in_before = read_text(&r, "in/1.png");
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    check_counts(t, &r, 1, 0, 0, 0);
    CHECK(t, !strchr(r.lines, '\x1b') && !strstr(r.lines, "victim"));
    char *victim = read_text(&r, "victim.png"), *in_after = read_text(&r, "in/1.png");
    CHECK_TEXT(t, victim, "precious");
    CHECK_TEXT(t, in_after, in_before);
    CHECK(t, there(&r, "out/1.png") && there(&r, "sheet.png"));
    free(own);
    free(hostile);
    free(victim);
    free(in_before);
    free(in_after);
    run_end(&r);
}

/* What was not made leaves no record, or another's picture of that name would pass for ours. */
static void records_nothing_that_is_not_there(test *t)
{
    static volatile sig_atomic_t stop = 1;
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/1.png"), 8, 8, 1);
    write_text(t, &r, "in/2.png", "rubbish");
    r.request.stop = &stop;
    CHECK(t, translate(&r, "in", NULL, "out") == STATUS_INTERRUPTED);
    char *manifest = read_text(&r, manifest_name);
    CHECK(t, strstr(manifest, "pictures") && !strstr(manifest, ".png"));
    free(manifest);
    r.request.stop = NULL;
    CHECK(t, translate(&r, "in", NULL, "out") == STATUS_FAILED);
    manifest = read_text(&r, manifest_name);
    CHECK(t, strstr(manifest, "1.png") && !strstr(manifest, "2.png"));
    free(manifest);
    run_end(&r);
}

static void removes_what_kills_left(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/1.png"), 8, 8, 1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/sub/2.png"), 8, 8, 1);
    static const char *const left[] = {"out/.1.png.a1b2c3.part", "out/sub/.2.png.000000.part",
                                       "out/..cyclegan-manifest.json.zzzzzz.part"};
    static const char *const others[] = {"out/other/.3.png.a1b2c3.part", "in/.1.png.a1b2c3.part", "out/1.part"};
    for (size_t i = 0; i < 3; i++) write_text(t, &r, left[i], "half");
    for (size_t i = 0; i < 3; i++) write_text(t, &r, others[i], "other");
    file_writer *living = NULL;
    REQUIRE_OK(t, file_writer_create(fixture_path(&r.f, "out/sub/9.png"), &living, &r.f.err), r.f.err);
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    for (size_t i = 0; i < 3; i++) CHECK(t, !there(&r, left[i]));
    for (size_t i = 0; i < 3; i++) CHECK(t, there(&r, others[i]));
    file_write(living, "x", 1);
    REQUIRE_OK(t, file_writer_commit(living, &r.f.err), r.f.err);
    CHECK(t, there(&r, "out/sub/9.png") && there(&r, "out/sub/2.png"));
    run_end(&r);
}

TEST_MAIN(TEST(goes_on_after_unreadable_folders), TEST(follows_links), TEST(takes_odd_names),
          TEST(tells_too_long_names), TEST(refuses_folders_that_cannot_be_written),
          TEST(respects_manifests_it_cannot_read), TEST(manifests_lead_nowhere),
          TEST(records_nothing_that_is_not_there), TEST(removes_what_kills_left))

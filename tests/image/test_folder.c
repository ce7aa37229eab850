#include "image/folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "test.h"

/* A folder of its own for each test; removed with what the tests put in. */
static char root[64];

static bool begin(void)
{
    strcpy(root, "/tmp/test_folder.XXXXXX");
    return mkdtemp(root) != NULL;
}

static char *at(const char *name)
{
    static char path[8][256];
    static int turn;
    turn = (turn + 1) % 8;
    snprintf(path[turn], sizeof path[turn], "%s/%s", root, name);
    return path[turn];
}

static void make(const char *name)
{
    error err;
    file_make_parent(at(name), &err);
    file_write_all(at(name), "x", 1, &err);
}

static void end(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    if (system(command) != 0) printf("left behind: %s\n", root);
}

/* The relative names, each followed by a space. */
static const char *joined(const image_list *list)
{
    static char text[1024];
    text[0] = '\0';
    for (size_t i = 0; i < list->count; i++) {
        strcat(text, list->items[i].relative);
        strcat(text, " ");
    }
    return text;
}

static void lists_in_natural_order(test *t)
{
    REQUIRE(t, begin());
    const char *files[] = {"10.png",      "2.JPG",       "1.jpeg",    "a9b10.png",
                           "a9b9.png",    "a10.png",     "sub/2.png", "sub/1.png",
                           "sub/deep/x.jpg", ".hidden.png", ".git/x.png", "notes.txt",
                           "01.jpeg",     "noextension", "99999999999999999999999.png", "100000000000000000000000.png"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) make(files[i]);
    mkfifo(at("pipe.png"), 0600);
    image_list list = {0};
    error err = {0};
    REQUIRE_OK(t, image_list_add(&list, root, &err), err);
    CHECK_TEXT(t, joined(&list), "01.jpeg 1.jpeg 2.JPG 10.png 99999999999999999999999.png "
                                 "100000000000000000000000.png a9b9.png a9b10.png a10.png sub/1.png sub/2.png "
                                 "sub/deep/x.jpg ");
    CHECK(t, list.count == 12);
    for (size_t i = 0; i < list.count; i++) {
        CHECK(t, file_exists(list.items[i].path));
        CHECK_TEXT(t, list.items[i].path, at(list.items[i].relative));
    }
    image_list_free(&list);
    CHECK(t, list.count == 0 && !list.items);

    /* A slash at the end changes nothing. */
    REQUIRE_OK(t, image_list_add(&list, at("sub/"), &err), err);
    CHECK_TEXT(t, joined(&list), "1.png 2.png deep/x.jpg ");
    CHECK_TEXT(t, list.items[0].path, at("sub/1.png"));
    image_list_free(&list);
    end();
}

static void follows_links_once(test *t)
{
    REQUIRE(t, begin());
    make("a/1.png");
    make("b/2.png");
    REQUIRE(t, symlink("..", at("a/up")) == 0);         /* a loop */
    REQUIRE(t, symlink(".", at("a/self")) == 0);        /* a shorter one */
    REQUIRE(t, symlink("../b", at("a/zb")) == 0);       /* a second way to b, met first */
    REQUIRE(t, symlink("../b/2.png", at("a/f.png")) == 0); /* a file */
    REQUIRE(t, symlink("nowhere", at("a/broken.png")) == 0);
    REQUIRE(t, symlink("nowhere", at("a/broken")) == 0);
    image_list list = {0};
    error err = {0};
    REQUIRE_OK(t, image_list_add(&list, root, &err), err);
    CHECK_TEXT(t, joined(&list), "a/1.png a/broken.png a/f.png a/zb/2.png ");
    image_list_free(&list);
    end();
}

static void adds_files_and_several_folders(test *t)
{
    REQUIRE(t, begin());
    make("a/1.png");
    make("b/2.png");
    make("b/odd.picture");
    image_list list = {0};
    error err = {0};
    REQUIRE_OK(t, image_list_add(&list, at("b"), &err), err);
    REQUIRE_OK(t, image_list_add(&list, at("a/1.png"), &err), err);
    REQUIRE_OK(t, image_list_add(&list, at("b/odd.picture"), &err), err); /* named itself: its content will tell */
    CHECK_TEXT(t, joined(&list), "2.png 1.png odd.picture ");

    CHECK(t, image_list_add(&list, at("none"), &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, at("none"));
    CHECK(t, list.count == 3);
    image_list_free(&list);
    end();
}

static void unreadable_folder_leaves_the_list(test *t)
{
    if (geteuid() == 0) SKIP(t, "root reads every folder");
    REQUIRE(t, begin());
    make("a/1.png");
    make("b/2.png");
    chmod(at("b"), 0);
    image_list list = {0};
    error err = {0};
    CHECK(t, image_list_add(&list, root, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "/b: cannot read the folder");
    CHECK(t, list.count == 0);
    chmod(at("b"), 0700);
    image_list_free(&list);
    end();
}

/* What image_list_add_with reports, a line each. */
typedef struct reports {
    char lines[4096];
    size_t count;
} reports;

static void note(void *context, const error *problem)
{
    reports *r = context;
    size_t used = strlen(r->lines);
    snprintf(r->lines + used, sizeof r->lines - used, "%s\n", problem->message);
    r->count++;
}

static void lists_folders_under_every_name(test *t)
{
    REQUIRE(t, begin());
    make("a/1.png");
    make("b/2.png");
    REQUIRE(t, symlink("..", at("a/up")) == 0 && symlink(".", at("a/self")) == 0);
    REQUIRE(t, symlink("../b", at("a/zb")) == 0);
    REQUIRE(t, symlink("nowhere", at("a/broken.png")) == 0 && symlink("nowhere", at("a/broken")) == 0);
    REQUIRE(t, symlink("endless", at("a/endless")) == 0);
    image_list list = {0};
    reports told = {0};
    error err = {0};
    image_list_options options = {.report = note, .context = &told, .every_name = true, .except = at("none")};
    bool passed_over = true;
    REQUIRE_OK(t, image_list_add_with(&list, root, &options, &passed_over, &err), err);
    CHECK_TEXT(t, joined(&list), "a/1.png a/broken.png a/zb/2.png b/2.png ");
    CHECK(t, told.count == 1 && !passed_over); /* a broken link that names no picture is none */
    CHECK_CONTAINS(t, told.lines, "/a/endless: cannot read: Too many levels of symbolic links");
    image_list_free(&list);
    options.except = at("b");
    REQUIRE_OK(t, image_list_add_with(&list, root, &options, &passed_over, &err), err);
    CHECK_TEXT(t, joined(&list), "a/1.png a/broken.png ");
    CHECK(t, passed_over);
    image_list_free(&list);
    end();
}

/* Folder n holds two links to folder n + 1: 2^40 names of the last. */
static void bounds_what_links_multiply(test *t)
{
    REQUIRE(t, begin());
    char name[64], to[64];
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "f%d/1.png", i);
        make(name);
        snprintf(to, sizeof to, "../f%d", i + 1);
        for (int k = 0; k < 2; k++) {
            snprintf(name, sizeof name, "f%d/to%d", i, k);
            REQUIRE(t, symlink(to, at(name)) == 0);
        }
    }
    make("f40/1.png");
    image_list list = {0};
    reports told = {0};
    error err = {0};
    image_list_options options = {.report = note, .context = &told, .every_name = true};
    REQUIRE_OK(t, image_list_add_with(&list, at("f0"), &options, NULL, &err), err);
    CHECK(t, list.count > 64 && list.count < 41 * 64 && told.count > 0);
    CHECK_CONTAINS(t, told.lines, "not entered: the folder has over 64 names already");
    image_list_free(&list);
    end();
}

/* Goes down below the longest path there can be; the way back is a handle. */
static void reports_what_lies_too_deep(test *t)
{
    REQUIRE(t, begin());
    char name[201];
    memset(name, 'd', 200);
    name[200] = '\0';
    make("1.png");
    int here = open(".", O_RDONLY | O_DIRECTORY);
    REQUIRE(t, here >= 0 && chdir(root) == 0);
    for (int i = 0; i < 25; i++) REQUIRE(t, mkdir(name, 0700) == 0 && chdir(name) == 0);
    CHECK(t, fchdir(here) == 0 && close(here) == 0);
    image_list list = {0};
    reports told = {0};
    error err = {0};
    image_list_options options = {.report = note, .context = &told};
    REQUIRE_OK(t, image_list_add_with(&list, root, &options, NULL, &err), err);
    CHECK_TEXT(t, joined(&list), "1.png ");
    CHECK(t, told.count == 1);
    CHECK_CONTAINS(t, told.lines, "ddd: cannot read: File name too long\n");
    image_list_free(&list);
    end();
}

static void reports_unreadable_folders(test *t)
{
    REQUIRE(t, begin());
    make("a/1.png");
    make("b/2.png");
    make("c/3.png");
    bool is_root = geteuid() == 0;
    chmod(root, 0755);
    chmod(at("b"), 0);
    if (is_root && seteuid(65534) != 0) {
        end();
        SKIP(t, "cannot give up root");
    }
    image_list list = {0};
    reports told = {0};
    error err = {0};
    image_list_options options = {.report = note, .context = &told};
    status result = image_list_add_with(&list, root, &options, NULL, &err);
    CHECK(t, !is_root || seteuid(0) == 0);
    chmod(at("b"), 0700);
    CHECK(t, result == STATUS_OK && told.count == 1);
    CHECK_TEXT(t, joined(&list), "a/1.png c/3.png ");
    CHECK_CONTAINS(t, told.lines, "/b: cannot read the folder: Permission denied\n");
    image_list_free(&list);
    end();
}

static void empty_folder_is_an_empty_list(test *t)
{
    REQUIRE(t, begin());
    image_list list = {0};
    error err = {0};
    REQUIRE_OK(t, image_list_add(&list, root, &err), err);
    CHECK(t, list.count == 0);
    image_list_free(&list);
    end();
}

TEST_MAIN(TEST(lists_in_natural_order), TEST(follows_links_once), TEST(adds_files_and_several_folders),
          TEST(unreadable_folder_leaves_the_list), TEST(lists_folders_under_every_name),
          TEST(bounds_what_links_multiply), TEST(reports_what_lies_too_deep), TEST(reports_unreadable_folders),
          TEST(empty_folder_is_an_empty_list))

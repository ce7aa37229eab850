#include "image/folder.h"

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
          TEST(unreadable_folder_leaves_the_list), TEST(empty_folder_is_an_empty_list))

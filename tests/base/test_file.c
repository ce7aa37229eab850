#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "test.h"

/* A folder of its own for each test, removed with the files in it. */
static bool folder_make(char folder[64])
{
    strcpy(folder, "/tmp/cyclegan-test-XXXXXX");
    return mkdtemp(folder) != NULL;
}

static void folder_remove(const char *folder)
{
    DIR *dir = opendir(folder);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        char *path = text_join_path(folder, e->d_name);
        if (file_is_folder(path))
            folder_remove(path);
        else
            unlink(path);
        free(path);
    }
    if (dir) closedir(dir);
    rmdir(folder);
}

static int count_files(const char *folder)
{
    int count = -2; /* "." and ".." */
    DIR *dir = opendir(folder);
    while (dir && readdir(dir)) count++;
    if (dir) closedir(dir);
    return count;
}

static void check_content(test *t, const char *path, const char *expected)
{
    error err = {0};
    char *data;
    size_t size;
    REQUIRE_OK(t, file_read_all(path, 1 << 20, &data, &size, &err), err);
    CHECK(t, size == strlen(expected));
    CHECK_TEXT(t, data, expected);
    free(data);
}

static void writes_and_reads(test *t)
{
    char folder[64];
    error err = {0};
    REQUIRE(t, folder_make(folder));
    char *path = text_join_path(folder, "x.bin");
    enum { SIZE = 300001 }; /* several of the writer's buffers, and a rest */
    char *bytes = malloc(SIZE), *back = NULL;
    for (int i = 0; i < SIZE; i++) bytes[i] = (char)(i * 7 + i / 251);
    file_writer *w;
    REQUIRE_OK(t, file_writer_create(path, &w, &err), err);
    CHECK(t, !file_exists(path));
    for (size_t at = 0, part = 1; at < SIZE; at += part, part = part * 3 % 70001 + 1) {
        if (part > SIZE - at) part = SIZE - at;
        file_write(w, bytes + at, part);
    }
    CHECK(t, !file_exists(path));
    REQUIRE_OK(t, file_writer_commit(w, &err), err);
    size_t size;
    REQUIRE_OK(t, file_read_all(path, SIZE, &back, &size, &err), err);
    CHECK(t, size == SIZE && memcmp(back, bytes, SIZE) == 0 && back[SIZE] == '\0');
    free(back);
    CHECK(t, file_read_all(path, SIZE - 1, &back, &size, &err) == STATUS_FAILED && back == NULL);
    CHECK_CONTAINS(t, err.message, "x.bin: larger than the limit of 300000 bytes");
    CHECK(t, count_files(folder) == 1);
    free(bytes);
    free(path);
    folder_remove(folder);
}

static void files_are_read_piece_by_piece(test *t)
{
    enum { SIZE = 1000 };
    char folder[64], bytes[SIZE], back[SIZE + 1];
    error err = {0};
    REQUIRE(t, folder_make(folder));
    char *path = text_join_path(folder, "x.bin");
    for (int i = 0; i < SIZE; i++) bytes[i] = (char)(i * 7);
    REQUIRE_OK(t, file_write_all(path, bytes, SIZE, &err), err);
    file_reader *r;
    REQUIRE_OK(t, file_reader_open(path, &r, &err), err);
    CHECK(t, file_reader_size(r) == SIZE);
    CHECK(t, file_read(r, back, 300) == 300 && file_read(r, back + 300, SIZE) == SIZE - 300 && file_read(r, back, 1) == 0);
    CHECK(t, memcmp(back, bytes, SIZE) == 0);
    REQUIRE_OK(t, file_reader_close(r, &err), err);
    REQUIRE_OK(t, file_reader_close(NULL, &err), err);
    CHECK(t, file_reader_open(folder, &r, &err) == STATUS_FAILED && !r);
    CHECK_CONTAINS(t, err.message, ": cannot read: Is a directory");
    unlink(path);
    CHECK(t, file_reader_open(path, &r, &err) == STATUS_FAILED && !r);
    CHECK_CONTAINS(t, err.message, "x.bin: cannot open: No such file");
    free(path);
    folder_remove(folder);
}

static void abort_leaves_the_old_file(test *t)
{
    char folder[64];
    error err = {0};
    REQUIRE(t, folder_make(folder));
    char *path = text_join_path(folder, "state");
    REQUIRE_OK(t, file_write_all(path, "old", 3, &err), err);
    file_writer *w;
    REQUIRE_OK(t, file_writer_create(path, &w, &err), err);
    file_write(w, "newer", 5);
    CHECK(t, count_files(folder) == 2);
    check_content(t, path, "old");
    file_writer_abort(w);
    file_writer_abort(NULL);
    check_content(t, path, "old");
    CHECK(t, count_files(folder) == 1);
    REQUIRE_OK(t, file_write_all(path, "newer", 5, &err), err);
    check_content(t, path, "newer");
    REQUIRE_OK(t, file_write_all(path, "", 0, &err), err);
    check_content(t, path, "");
    free(path);
    folder_remove(folder);
}

/* A limit on the size of files stands for a full disk: write() fails in the same way. */
static void full_disk_leaves_the_old_file(test *t)
{
    char folder[64], bytes[4096] = {1};
    error err = {0};
    REQUIRE(t, folder_make(folder));
    char *path = text_join_path(folder, "state");
    REQUIRE_OK(t, file_write_all(path, "old", 3, &err), err);
    struct rlimit before, small;
    REQUIRE(t, getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = before;
    small.rlim_cur = 200000;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    file_writer *w;
    REQUIRE_OK(t, file_writer_create(path, &w, &err), err);
    setrlimit(RLIMIT_FSIZE, &small);
    for (int i = 0; i < 200; i++) file_write(w, bytes, sizeof bytes);
    status result = file_writer_commit(w, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    CHECK(t, result == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "state: cannot write: ");
    check_content(t, path, "old");
    CHECK(t, count_files(folder) == 1);
    free(path);
    folder_remove(folder);
}

static void kill_leaves_the_old_file(test *t)
{
    char folder[64];
    error err = {0};
    REQUIRE(t, folder_make(folder));
    char *path = text_join_path(folder, "state");
    REQUIRE_OK(t, file_write_all(path, "old", 3, &err), err);
    pid_t child = fork();
    if (child == 0) {
        static char bytes[1 << 18];
        file_writer *w;
        if (file_writer_create(path, &w, NULL) == STATUS_OK) file_write(w, bytes, sizeof bytes);
        raise(SIGKILL);
    }
    int end = 0;
    REQUIRE(t, waitpid(child, &end, 0) == child);
    CHECK(t, WIFSIGNALED(end) && WTERMSIG(end) == SIGKILL);
    check_content(t, path, "old");
    free(path);
    folder_remove(folder);
}

static void mode_follows_the_umask(test *t)
{
    char folder[64];
    error err = {0};
    struct stat info = {0};
    REQUIRE(t, folder_make(folder));
    char *path = text_join_path(folder, "state");
    mode_t before = umask(027);
    status result = file_write_all(path, "x", 1, &err);
    mode_t after = umask(before);
    CHECK(t, result == STATUS_OK && after == 027);
    CHECK(t, stat(path, &info) == 0 && (info.st_mode & 0777) == 0640);
    free(path);
    folder_remove(folder);
}

static void writers_in_parallel(test *t)
{
    char folder[64];
    REQUIRE(t, folder_make(folder));
    char *path = text_join_path(folder, "state");
    int failures = 0;
#pragma omp parallel for num_threads(8) reduction(+ : failures)
    for (int i = 0; i < 64; i++) {
        char line[64];
        int length = snprintf(line, sizeof line, "written by %d %d %d %d", i, i, i, i);
        failures += file_write_all(path, line, (size_t)length, NULL) != STATUS_OK;
    }
    CHECK(t, failures == 0);
    error err = {0};
    char *data;
    size_t size;
    REQUIRE_OK(t, file_read_all(path, 100, &data, &size, &err), err);
    int a = -1, b = -2, c = -3, d = -4;
    CHECK(t, sscanf(data, "written by %d %d %d %d", &a, &b, &c, &d) == 4 && a == b && b == c && c == d);
    CHECK(t, count_files(folder) == 1);
    free(data);
    free(path);
    folder_remove(folder);
}

static void long_names(test *t)
{
    char folder[64], name[NAME_MAX + 1];
    error err = {0};
    REQUIRE(t, folder_make(folder));
    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = '\0';
    char *path = text_join_path(folder, name);
    REQUIRE_OK(t, file_write_all(path, "long", 4, &err), err);
    check_content(t, path, "long");
    free(path);
    folder_remove(folder);
}

/* A path of as many bytes as the system allows leaves no room for the usual temporary name. */
static void long_paths(test *t)
{
    enum { LONGEST = PATH_MAX - 1, STEP = 200 };
    char folder[64], path[PATH_MAX + 64];
    error err = {0};
    REQUIRE(t, folder_make(folder));
    memset(path, 'p', sizeof path);
    memcpy(path, folder, strlen(folder));
    for (size_t i = strlen(folder); i + 20 < LONGEST; i += STEP) path[i] = '/';
    path[LONGEST] = '\0';
    REQUIRE_OK(t, file_make_parent(path, &err), err);
    REQUIRE_OK(t, file_write_all(path, "deep", 4, &err), err);
    check_content(t, path, "deep");
    path[LONGEST] = 'p';
    path[LONGEST + 9] = '\0';
    CHECK(t, file_write_all(path, "x", 1, &err) == STATUS_FAILED);
    CHECK(t, text_starts_with(err.message, folder));
    CHECK_CONTAINS(t, err.message, "ppp...ppp");
    CHECK_CONTAINS(t, err.message, "ppp: cannot write: File name too long");
    folder_remove(folder);
}

/* What a killed writer left goes, what a living one writes stays. */
static void removes_leftovers(test *t)
{
    static const char *const others[] = {".x.part", ".x.A1b2c3.part", "x.a1b2c3.part", ".x.a1b2c3.par"};
    char folder[64];
    error err = {0};
    REQUIRE(t, folder_make(folder));
    char *path = text_join_path(folder, "state"), *made = text_join_path(folder, ".pipe.a1b2c3.part");
    REQUIRE(t, mkfifo(made, 0600) == 0);
    for (size_t i = 0; i < 4; i++) {
        char *other = text_join_path(folder, others[i]);
        REQUIRE_OK(t, file_write_all(other, "x", 1, &err), err);
        free(other);
    }
    int to_parent[2], to_child[2];
    char byte = 0;
    REQUIRE(t, pipe(to_parent) == 0 && pipe(to_child) == 0);
    pid_t child = fork();
    if (child == 0) {
        file_writer *w = NULL;
        status result = file_writer_create(path, &w, NULL);
        if (result == STATUS_OK) file_write(w, "whole", 5);
        bool asked = write(to_parent[1], "x", 1) == 1 && read(to_child[0], &byte, 1) == 1;
        _exit(result == STATUS_OK && file_writer_commit(w, NULL) == STATUS_OK && asked ? 0 : 1);
    }
    CHECK(t, read(to_parent[0], &byte, 1) == 1);
    CHECK(t, count_files(folder) == 6);
    file_remove_leftovers(folder);
    CHECK(t, count_files(folder) == 6); /* the child is alive */
    int end = -1;
    CHECK(t, write(to_child[1], "x", 1) == 1 && waitpid(child, &end, 0) == child && end == 0);
    check_content(t, path, "whole");
    child = fork();
    if (child == 0) {
        file_writer *w;
        if (file_writer_create(path, &w, NULL) == STATUS_OK) raise(SIGKILL);
        _exit(1);
    }
    CHECK(t, waitpid(child, &end, 0) == child && WIFSIGNALED(end));
    CHECK(t, count_files(folder) == 7);
    file_remove_leftovers(folder);
    CHECK(t, count_files(folder) == 6 && file_exists(made));
    check_content(t, path, "whole");
    file_remove_leftovers(path); /* no folder: nothing happens */
    free(made);
    free(path);
    folder_remove(folder);
}

static void refusals(test *t)
{
    char folder[64];
    error err = {0};
    char *data;
    size_t size;
    REQUIRE(t, folder_make(folder));
    char *missing = text_join_path(folder, "none/file"), *inner = text_join_path(folder, "inner");
    CHECK(t, file_read_all(missing, 10, &data, &size, &err) == STATUS_FAILED && !data);
    CHECK_CONTAINS(t, err.message, "none/file: cannot open: No such file");
    CHECK(t, file_read_all(folder, 10, &data, &size, &err) == STATUS_FAILED && !data);
    CHECK_CONTAINS(t, err.message, "cannot read: Is a directory");
    CHECK(t, file_write_all(missing, "x", 1, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "none/file: cannot create: No such file");
    REQUIRE_OK(t, file_make_folders(inner, &err), err);
    CHECK(t, file_write_all(inner, "x", 1, &err) == STATUS_FAILED); /* a folder is in the way */
    CHECK_CONTAINS(t, err.message, "inner: cannot write: ");
    CHECK(t, count_files(folder) == 1 && file_is_folder(inner));
    free(inner);
    free(missing);
    folder_remove(folder);
}

static void makes_folders(test *t)
{
    char folder[64];
    error err = {0};
    REQUIRE(t, folder_make(folder));
    char *deep = text_join_path(folder, "a//b/c/"), *file = text_join_path(folder, "d/e/file");
    char *parent = text_join_path(folder, "d/e"), *blocked = text_join_path(folder, "d/e/file/f");
    REQUIRE_OK(t, file_make_folders(deep, &err), err);
    REQUIRE_OK(t, file_make_folders(deep, &err), err); /* again: nothing to do */
    CHECK(t, file_is_folder(deep));
    REQUIRE_OK(t, file_make_parent(file, &err), err);
    CHECK(t, file_is_folder(parent) && !file_exists(file));
    REQUIRE_OK(t, file_write_all(file, "x", 1, &err), err);
    CHECK(t, file_exists(file) && !file_is_folder(file));
    CHECK(t, file_make_folders(blocked, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "d/e/file: cannot create the folder: Not a directory");
    REQUIRE_OK(t, file_make_folders("/", &err), err);
    REQUIRE_OK(t, file_make_parent("name-alone", &err), err);
    free(deep);
    free(file);
    free(parent);
    free(blocked);
    folder_remove(folder);
}

/* The reason is mkdir's, not that of the look whether a folder was there already. */
static void forbidden_folder_says_why(test *t)
{
    char folder[64];
    error err = {0};
    REQUIRE(t, folder_make(folder));
    char *path = text_join_path(folder, "new");
    bool root = geteuid() == 0;
    if (root && seteuid(65534) != 0) {
        free(path);
        folder_remove(folder);
        SKIP(t, "cannot give up root");
    }
    if (!root) chmod(folder, 0500);
    error why = {0};
    status result = file_make_folders(path, &err), writable = file_check_writable(folder, &why);
    if (!root) chmod(folder, 0700);
    CHECK(t, !root || seteuid(0) == 0);
    CHECK(t, result == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "new: cannot create the folder: Permission denied");
    CHECK(t, writable == STATUS_FAILED);
    CHECK_CONTAINS(t, why.message, "cannot write into the folder: Permission denied");
    CHECK(t, file_check_writable(folder, &why) == STATUS_OK);
    free(path);
    folder_remove(folder);
}

TEST_MAIN(TEST(writes_and_reads), TEST(files_are_read_piece_by_piece), TEST(abort_leaves_the_old_file),
          TEST(full_disk_leaves_the_old_file),
          TEST(kill_leaves_the_old_file), TEST(mode_follows_the_umask), TEST(writers_in_parallel), TEST(long_names),
          TEST(long_paths), TEST(removes_leftovers),
          TEST(refusals), TEST(makes_folders), TEST(forbidden_folder_says_why))

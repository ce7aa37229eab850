#define _DEFAULT_SOURCE /* flock, realpath */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

enum { BUFFER_BYTES = 1 << 16 };

/* A file that is being written is called ".NAME.XXXXXX.part". */
static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789", part[] = ".part";
enum { PART = sizeof part - 1, RANDOM = 6, MOST_OF_NAME = 64, LONGEST_PATH = PATH_MAX - 1 };

struct file_writer {
    char *path, *temporary;
    int descriptor, failure; /* errno of the first failed write, or 0 */
    size_t used;
    char buffer[BUFFER_BYTES];
};

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return text_copy(".");
    if (slash == path) return text_copy("/");
    return text_printf("%.*s", (int)(slash - path), path);
}

static status failed(error *err, const char *action, const char *path, int number)
{
    return error_set(err, STATUS_FAILED, "%s: cannot %s: %s", path, action, strerror(number));
}

static void writer_free(file_writer *w)
{
    if (w->descriptor >= 0) close(w->descriptor);
    free(w->path);
    free(w->temporary);
    free(w);
}

/* The name may already be as long as the file system allows: only a part of it is kept, and less where the whole path
 * would get too long. NULL without memory. */
static char *temporary_name(const char *path)
{
    char *folder = folder_of(path);
    if (!folder) return NULL;
    size_t others = strlen(folder) + strlen("/..") + RANDOM + PART, most = MOST_OF_NAME;
    if (others + most > LONGEST_PATH) most = others < LONGEST_PATH ? LONGEST_PATH - others : 0;
    char *name = text_printf("%s/.%.*s.XXXXXX%s", folder, (int)most, text_base_name(path), part);
    free(folder);
    return name;
}

static bool is_temporary(const char *name)
{
    size_t length = strlen(name);
    if (name[0] != '.' || length < 2 + RANDOM + PART || strcmp(name + length - PART, part) != 0) return false;
    const char *random = name + length - PART - RANDOM;
    return random[-1] == '.' && strspn(random, letters) == RANDOM;
}

/* The lock lasts as long as the descriptor, and tells file_remove_leftovers that the file is being written. False
 * when that function has just taken the file away. */
static bool lock_temporary(int descriptor)
{
    struct stat info;
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) return errno != EWOULDBLOCK; /* some file systems cannot */
    return fstat(descriptor, &info) != 0 || info.st_nlink > 0;
}

/* As mkostemp does, but with the mode that open() gives: asking for the umask would set it, for all threads. Writes a
 * new name over the six X before ".part". Returns the descriptor, or -1 with errno. */
static int create_temporary(char *path)
{
    char *end = path + strlen(path) - PART;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t word = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + ((uint64_t)getpid() << 40);
    for (int attempt = 0; attempt < 1000; attempt++) {
        word = word * 6364136223846793005u + 1442695040888963407u;
        uint64_t rest = word >> 24; /* the low bits of this generator repeat soon */
        for (char *p = end - RANDOM; p < end; p++, rest /= 36) *p = letters[rest % 36];
        int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor < 0 && errno != EEXIST) return -1;
        if (descriptor >= 0 && lock_temporary(descriptor)) return descriptor;
        if (descriptor >= 0) close(descriptor);
    }
    return -1;
}

status file_writer_create(const char *path, file_writer **out, error *err)
{
    *out = NULL;
    file_writer *w = malloc(sizeof *w);
    if (!w) return error_no_memory(err, path, sizeof *w);
    w->descriptor = -1;
    w->failure = 0;
    w->used = 0;
    w->path = text_copy(path);
    w->temporary = temporary_name(path);
    if (!w->path || !w->temporary) {
        writer_free(w);
        return error_no_memory(err, path, strlen(path));
    }
    w->descriptor = create_temporary(w->temporary);
    if (w->descriptor < 0) {
        int number = errno;
        writer_free(w);
        return failed(err, "create", path, number);
    }
    *out = w;
    return STATUS_OK;
}

static void flush(file_writer *w)
{
    size_t done = 0;
    while (!w->failure && done < w->used) {
        ssize_t n = write(w->descriptor, w->buffer + done, w->used - done);
        if (n < 0 && errno != EINTR) w->failure = errno;
        if (n == 0) w->failure = ENOSPC; /* or it would go round for ever */
        if (n > 0) done += (size_t)n;
    }
    w->used = 0;
}

void file_write(file_writer *w, const void *bytes, size_t size)
{
    const char *from = bytes;
    while (size && !w->failure) {
        size_t room = BUFFER_BYTES - w->used, now = size < room ? size : room;
        memcpy(w->buffer + w->used, from, now);
        w->used += now;
        from += now;
        size -= now;
        if (w->used == BUFFER_BYTES) flush(w);
    }
}

void file_rewrite(file_writer *w, uint64_t offset, const void *bytes, size_t size)
{
    const char *from = bytes;
    flush(w);
    while (!w->failure && size) {
        ssize_t n = pwrite(w->descriptor, from, size, (off_t)offset);
        if (n < 0 && errno != EINTR) w->failure = errno;
        if (n == 0) w->failure = ENOSPC;
        if (n <= 0) continue;
        from += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
}

static void sync_folder(const char *path)
{
    char *folder = folder_of(path);
    int descriptor = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (descriptor >= 0) {
        (void)fsync(descriptor); /* some file systems refuse to sync a folder; the file itself is safe */
        close(descriptor);
    }
    free(folder);
}

status file_writer_commit(file_writer *w, error *err)
{
    flush(w);
    if (!w->failure && fsync(w->descriptor) != 0) w->failure = errno;
    if (close(w->descriptor) != 0 && !w->failure) w->failure = errno;
    w->descriptor = -1;
    if (!w->failure && rename(w->temporary, w->path) != 0) w->failure = errno;
    status result = STATUS_OK;
    if (w->failure) {
        unlink(w->temporary);
        result = failed(err, "write", w->path, w->failure);
    } else {
        sync_folder(w->path);
    }
    writer_free(w);
    return result;
}

void file_writer_abort(file_writer *w)
{
    if (!w) return;
    unlink(w->temporary);
    writer_free(w);
}

status file_write_all(const char *path, const void *bytes, size_t size, error *err)
{
    file_writer *w;
    TRY(file_writer_create(path, &w, err));
    file_write(w, bytes, size);
    return file_writer_commit(w, err);
}

struct file_reader {
    char *path;
    int descriptor, failure; /* errno of the first failed read, or 0 */
    uint64_t size;
};

status file_reader_open(const char *path, file_reader **out, error *err)
{
    struct stat info;
    *out = NULL;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return failed(err, "open", path, errno);
    int number = fstat(descriptor, &info) != 0 ? errno : S_ISDIR(info.st_mode) ? EISDIR : 0;
    file_reader *r = number ? NULL : calloc(1, sizeof *r);
    if (r) r->path = text_copy(path);
    if (!r || !r->path) {
        close(descriptor);
        free(r);
        return number ? failed(err, "read", path, number) : error_no_memory(err, path, sizeof *r);
    }
    r->descriptor = descriptor;
    r->size = (uint64_t)info.st_size;
    *out = r;
    return STATUS_OK;
}

uint64_t file_reader_size(const file_reader *r) { return r->size; }

size_t file_read(file_reader *r, void *to, size_t count)
{
    size_t done = 0;
    while (!r->failure && done < count) {
        ssize_t n = read(r->descriptor, (char *)to + done, count - done);
        if (n == 0) break;
        if (n < 0 && errno != EINTR) r->failure = errno;
        if (n > 0) done += (size_t)n;
    }
    return done;
}

status file_reader_close(file_reader *r, error *err)
{
    if (!r) return STATUS_OK;
    status result = r->failure ? failed(err, "read", r->path, r->failure) : STATUS_OK;
    close(r->descriptor);
    free(r->path);
    free(r);
    return result;
}

status file_read_all(const char *path, size_t limit, char **out, size_t *size, error *err)
{
    *out = NULL;
    *size = 0;
    FILE *file = fopen(path, "rbe");
    if (!file) return failed(err, "open", path, errno);
    struct stat info;
    if (fstat(fileno(file), &info) == 0 && S_ISDIR(info.st_mode)) {
        fclose(file);
        return failed(err, "read", path, EISDIR);
    }
    size_t capacity = 1 << 16, used = 0;
    char *data = malloc(capacity + 1);
    while (data) {
        used += fread(data + used, 1, capacity - used, file);
        if (used < capacity || used > limit) break;
        capacity *= 2;
        char *larger = realloc(data, capacity + 1);
        if (!larger) free(data);
        data = larger;
    }
    int number = ferror(file) ? errno : 0;
    fclose(file);
    if (!data) return error_no_memory(err, path, capacity);
    if (number || used > limit) {
        free(data);
        if (number) return failed(err, "read", path, number);
        return error_set(err, STATUS_FAILED, "%s: larger than the limit of %zu bytes", path, limit);
    }
    data[used] = '\0';
    *out = data;
    *size = used;
    return STATUS_OK;
}

status file_make_folders(const char *path, error *err)
{
    if (!path[0]) return error_set(err, STATUS_USAGE, "expected the name of a folder, found ''");
    char *copy = text_copy(path);
    if (!copy) return error_no_memory(err, path, strlen(path));
    status result = STATUS_OK;
    for (char *p = copy + (copy[0] == '/'); result == STATUS_OK; p++) {
        if (*p != '/' && *p != '\0') continue;
        char end = *p;
        *p = '\0';
        int number = copy[0] && mkdir(copy, 0777) != 0 ? errno : 0; /* file_is_folder sets errno anew */
        if (number && !file_is_folder(copy))
            result = failed(err, "create the folder", copy, number == EEXIST ? ENOTDIR : number);
        *p = end;
        if (!end) break;
    }
    free(copy);
    return result;
}

status file_make_parent(const char *path, error *err)
{
    char *folder = folder_of(path);
    if (!folder) return error_no_memory(err, path, strlen(path));
    status result = file_make_folders(folder, err);
    free(folder);
    return result;
}

bool file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool file_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool file_lies_in(const char *path, const char *folder)
{
    char *real = realpath(path, NULL), *outer = realpath(folder, NULL);
    size_t length = outer ? strlen(outer) : 0;
    bool result = real && outer && strncmp(real, outer, length) == 0 &&
                  (real[length] == '/' || real[length] == '\0' || outer[length - 1] == '/');
    free(real);
    free(outer);
    return result;
}

bool file_is_same(const char *a, const char *b)
{
    struct stat first, second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

status file_check_readable(const char *path, error *err)
{
    struct stat info;
    if (stat(path, &info) != 0 || S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)) return STATUS_OK;
    return error_set(err, STATUS_FAILED, "%s: cannot read: not a file", path);
}

status file_check_writable(const char *folder, error *err)
{
    if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0) return STATUS_OK;
    return failed(err, "write into the folder", folder, errno);
}

static void remove_leftover(int folder, const char *name)
{
    int descriptor = openat(folder, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0) return;
    struct stat info;
    bool file = fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode);
    if (file && flock(descriptor, LOCK_EX | LOCK_NB) == 0) (void)unlinkat(folder, name, 0);
    close(descriptor);
}

void file_remove_leftovers(const char *folder)
{
    DIR *entries = opendir(folder);
    struct dirent *entry;
    while (entries && (entry = readdir(entries)) != NULL)
        if (is_temporary(entry->d_name)) remove_leftover(dirfd(entries), entry->d_name);
    if (entries) closedir(entries);
}

/* Files: atomic writes, folders, whole-file reads.
 *
 *     file_writer *w;
 *     TRY(file_writer_create("run/checkpoints/latest.safetensors", &w, err));
 *     file_write(w, bytes, size);           errors are kept until the commit
 *     TRY(file_writer_commit(w, err));      fsync, rename, fsync of the folder; or nothing happened
 *
 *     file_reader *r;
 *     TRY(file_reader_open("snack.png", &r, err));
 *     while ((n = file_read(r, buffer, sizeof buffer)) > 0) use(buffer, n);
 *     TRY(file_reader_close(r, err));       whether all of it could be read
 *
 * A crash, a full disk or a kill at any moment leaves the previous file whole.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct file_writer file_writer;
typedef struct file_reader file_reader;

/* Opens a temporary file beside `path` (".NAME.XXXXXX.part"), creating no folders. Ends with commit or abort. */
status file_writer_create(const char *path, file_writer **out, error *err);
/* Buffered. A failure is remembered and reported by the commit. */
void file_write(file_writer *w, const void *bytes, size_t size);
/* Writes over bytes that were written before, `offset` from the file's beginning. A failure is remembered likewise. */
void file_rewrite(file_writer *w, uint64_t offset, const void *bytes, size_t size);
/* Makes the file appear under its name. Always frees `w`; on failure the temporary is removed. */
status file_writer_commit(file_writer *w, error *err);
/* Removes the temporary and frees `w`, which may be NULL. */
void file_writer_abort(file_writer *w);

/* The whole file in one atomic write. */
status file_write_all(const char *path, const void *bytes, size_t size, error *err);
/* Reads a whole file of at most `limit` bytes; *out has a NUL after its end and is freed with free(). */
status file_read_all(const char *path, size_t limit, char **out, size_t *size, error *err);

/* For a file of which little is in memory at a time; not buffered. A folder is refused. Ends with close. */
status file_reader_open(const char *path, file_reader **out, error *err);
uint64_t file_reader_size(const file_reader *r); /* of the file when it was opened */
/* Fewer than `count` at the end, and after a failure, which is remembered and reported by the close. */
size_t file_read(file_reader *r, void *to, size_t count);
status file_reader_close(file_reader *r, error *err); /* always frees `r`, which may be NULL */

/* mkdir -p. */
status file_make_folders(const char *path, error *err);
/* The folder part of `path` created as by file_make_folders. */
status file_make_parent(const char *path, error *err);
bool file_exists(const char *path);
bool file_is_folder(const char *path);
/* Whether `path` is the folder or something in it, by whatever names; false when either is not there. */
bool file_lies_in(const char *path, const char *folder);
/* Whether both are one file or folder that is there. */
bool file_is_same(const char *a, const char *b);
/* Refuses a pipe, socket or device: reading it might wait for ever. A folder, or nothing, is left to the reader. */
status file_check_readable(const char *path, error *err);
/* Whether this process may create files in the folder; says why not. */
status file_check_writable(const char *folder, error *err);

/* Removes temporary files that killed processes left in the folder, and none that a living one writes: those are
 * locked. What cannot be locked or removed stays, and does no harm. */
void file_remove_leftovers(const char *folder);

#endif

/* How a function says that it failed.
 *
 * Every function that can fail returns a `status` and takes an `error *`, which it fills with one line
 * naming the thing, what was expected and what was found. Nothing is printed here and nothing exits: the
 * command line turns a status into a message and an exit status.
 *
 *     error err = {0};
 *     if (image_read(path, &limits, &picture, &err) != STATUS_OK)
 *         log_error(log, "%s", err.message);
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

typedef enum status {
    STATUS_OK = 0,
    STATUS_FAILED = 1,      /* the work could not be done: unreadable file, full disk, bad picture */
    STATUS_USAGE = 2,       /* wrong command line or config */
    STATUS_NO_MEMORY = 3,   /* an allocation failed */
    STATUS_INTERRUPTED = 4, /* stopped by a signal */
    STATUS_NOT_FINITE = 5   /* a loss became NaN or infinite */
} status;

typedef struct error {
    status code;
    char message[1024]; /* one line, no newline at the end; "" when nothing was said */
} error;

/* Writes the message (without its middle when it is too long) and returns `code`. `err` may be NULL. */
status error_set(error *err, status code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<formatted text>: " before the message that is there, keeps its code and returns it. */
status error_prefix(error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* STATUS_NO_MEMORY with "out of memory: <what> needs <bytes> bytes". */
status error_no_memory(error *err, const char *what, unsigned long long bytes);

/* Returns the first failure, so that a chain of calls can be written as one expression. */
#define TRY(call)                                                                                                     \
    do {                                                                                                              \
        status try_status_ = (call);                                                                                  \
        if (try_status_ != STATUS_OK) return try_status_;                                                             \
    } while (0)

/* The same for functions with one `error:` exit; needs a local `status result`. */
#define TRY_OR(label, call)                                                                                           \
    do {                                                                                                              \
        result = (call);                                                                                              \
        if (result != STATUS_OK) goto label;                                                                          \
    } while (0)

#endif

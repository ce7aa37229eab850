/* Training through the program itself: a folder with pictures and a config, the program started in it, what it said and
 * left. $CYCLEGAN, else build/cyclegan. */
#ifndef TESTS_CLI_TRAINING_H
#define TESTS_CLI_TRAINING_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../training/compare.h"
#include "../training/pictures.h"
#include "base/text.h"
#include "cli/program.h"
#include "training/restore.h"

enum { MAX_SETTINGS = 8 };

typedef struct bench {
    workplace place;
    char config[96], paths[8][256];
    int next;
    error err;
} bench;

/* A path in the test's folder; valid until eight more are asked for. */
__attribute__((format(printf, 2, 3))) static inline const char *at(bench *b, const char *format, ...)
{
    char *out = b->paths[b->next++ % 8];
    size_t used = strlen(b->place.root);
    memcpy(out, b->place.root, used);
    out[used++] = '/';
    __builtin_va_list arguments;
    __builtin_va_start(arguments, format);
    vsnprintf(out + used, sizeof b->paths[0] - used, format, arguments);
    __builtin_va_end(arguments);
    return out;
}

static inline bool set_up(bench *b)
{
    *b = (bench){0};
    if (!workplace_create(&b->place) || !workplace_pictures(&b->place, "a", 3, 40, 44, -1) ||
        !workplace_pictures(&b->place, "b", 4, 44, 40, -1))
        return false;
    char yaml[2048];
    const char *r = b->place.root;
    snprintf(b->config, sizeof b->config, "%s/c.yaml", r);
    int length = snprintf(yaml, sizeof yaml,
                          "name: tiny\n"
                          "domains:\n  a: {name: snacks, train: %s/a}\n  b: {name: fractals, train: %s/b}\n"
                          "data: {load_size: 36, crop_size: 32}\n"
                          "model: {generator: resnet_6blocks, ngf: 4, discriminator: n_layers, discriminator_layers: 1, "
                          "ndf: 4}\n"
                          "train: {steps: 40, decay_steps: 20, pool_size: 60, ema: 0.9}\n"
                          "output: {checkpoint_every: 3, sample_every: 10, sample_count: 1, log_every: 1}\n", r, r);
    return file_write_all(b->config, yaml, (size_t)length, &b->err) == STATUS_OK;
}

static inline void tear_down(bench *b) { workplace_remove(&b->place); }

/* How to start the program. */
typedef struct launch {
    const char *out; /* below the test's folder */
    const char *config;
    const char *settings[MAX_SETTINGS]; /* ended by NULL */
    bool resume;
    rlim_t file_limit; /* bytes; 0: none */
} launch;

/* Its messages go to ROOT/messages. */
static inline pid_t start(bench *b, const launch *l)
{
    const char *words[2 * MAX_SETTINGS + 16] = {"cyclegan", "train", l->config ? l->config : b->config, "--threads", "1",
                                                "--out", at(b, "%s", l->out)};
    size_t count = 7;
    if (l->resume) words[count++] = "--resume";
    for (size_t i = 0; i < MAX_SETTINGS && l->settings[i]; i++) {
        words[count++] = "--set";
        words[count++] = l->settings[i];
    }
    const char *messages = at(b, "messages");
    pid_t child = fork();
    if (child != 0) return child;
    int log = open(messages, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    struct rlimit limit = {l->file_limit, l->file_limit};
    if (log < 0 || dup2(log, 2) < 0 || (l->file_limit && setrlimit(RLIMIT_FSIZE, &limit) != 0)) _exit(126);
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP}; /* in the background of a shell they may come ignored */
    for (size_t i = 0; i < 3; i++) signal(numbers[i], SIG_DFL);
    execv(program(), (char *const *)(uintptr_t)words);
    _exit(127);
}

/* The exit status, or -signal. */
static inline int finish(pid_t child)
{
    int result = 0;
    while (waitpid(child, &result, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(result) ? WEXITSTATUS(result) : -WTERMSIG(result);
}

static inline bool has_ended(pid_t child)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child;
}

static inline void wait_microseconds(long n)
{
    nanosleep(&(struct timespec){.tv_sec = n / 1000000, .tv_nsec = n % 1000000 * 1000}, NULL);
}

/* What the program said last; the caller frees. */
static inline char *messages_of(bench *b)
{
    char *bytes;
    size_t size;
    if (file_read_all(at(b, "messages"), 1 << 20, &bytes, &size, &b->err) != STATUS_OK) return text_copy("");
    return bytes;
}

static inline void check_train(test *t, bench *b, const launch *l, int expected, const char *part)
{
    int found = finish(start(b, l));
    char *said = messages_of(b);
    if (found != expected || !strstr(said, part))
        test_failed(t, __FILE__, __LINE__, "%s: status %d, expected %d with '%s'; it wrote: %s", l->out, found, expected,
                    part, said);
    free(said);
}

static inline bool has_state(bench *b, const char *out)
{
    return file_exists(at(b, "%s/checkpoints/latest.safetensors", out)) ||
           file_exists(at(b, "%s/checkpoints/previous.safetensors", out)) ||
           file_exists(at(b, "%s/checkpoints/next.safetensors", out));
}

/* Whether a temporary file lies in the run's checkpoints. */
static inline bool has_temporary(bench *b, const char *out)
{
    bool found = false;
    DIR *folder = opendir(at(b, "%s/checkpoints", out));
    for (struct dirent *e; folder && !found && (e = readdir(folder)) != NULL;)
        found = strlen(e->d_name) > 5 && strcmp(e->d_name + strlen(e->d_name) - 5, ".part") == 0;
    if (folder) closedir(folder);
    return found;
}

static inline status accept_step(void *context, const safetensors_file *file, error *err)
{
    (void)err;
    snprintf(context, 32, "%s", safetensors_metadata_get(file, "step"));
    return STATUS_OK;
}

/* The step of the run's latest state, which must be whole. */
static inline void check_step(test *t, bench *b, const char *out, const char *expected)
{
    char step[32] = "none", path[256];
    snprintf(path, sizeof path, "%s", at(b, "%s/checkpoints/latest.safetensors", out));
    training_run run = {.latest = path, .previous = path, .lock = -1};
    log_sink log = log_create(stderr, true);
    REQUIRE_OK(t, training_restore(&run, accept_step, step, &log, &b->err), b->err);
    CHECK_TEXT(t, step, expected);
}

static inline size_t bytes_of(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (size_t)info.st_size : 0;
}

static inline void compare_runs(test *t, bench *b, const char *one, const char *two)
{
    static const char *const files[] = {"latest", "generator_a", "generator_b"};
    for (size_t i = 0; i < 3; i++)
        compare_tensors(t, at(b, "%s/checkpoints/%s.safetensors", one, files[i]),
                        at(b, "%s/checkpoints/%s.safetensors", two, files[i]));
    compare_logs(t, at(b, "%s/log.jsonl", one), at(b, "%s/log.jsonl", two));
    for (int step = 10; step <= 40; step += 10) CHECK(t, file_exists(at(b, "%s/samples/step_%08d.png", two, step)));
    CHECK(t, !has_temporary(b, two));
}

#endif

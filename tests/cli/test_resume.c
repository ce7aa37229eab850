/* Training through the program itself: killed at random moments and in the middle of a checkpoint's write, on full
 * disks, with damaged checkpoints, interrupted by signals; resumed, it ends with the same bits as an uninterrupted run.
 * $CYCLEGAN, else build/cyclegan. $CYCLEGAN_KILLS: how many random kills (15). */
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
__attribute__((format(printf, 2, 3))) static const char *at(bench *b, const char *format, ...)
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

static bool set_up(bench *b)
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

static void tear_down(bench *b) { workplace_remove(&b->place); }

/* How to start the program. */
typedef struct launch {
    const char *out; /* below the test's folder */
    const char *config;
    const char *settings[MAX_SETTINGS]; /* ended by NULL */
    bool resume;
    rlim_t file_limit; /* bytes; 0: none */
} launch;

/* Its messages go to ROOT/messages. */
static pid_t start(bench *b, const launch *l)
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
static int finish(pid_t child)
{
    int result = 0;
    while (waitpid(child, &result, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(result) ? WEXITSTATUS(result) : -WTERMSIG(result);
}

static bool has_ended(pid_t child)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child;
}

static void wait_microseconds(long n)
{
    nanosleep(&(struct timespec){.tv_sec = n / 1000000, .tv_nsec = n % 1000000 * 1000}, NULL);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* What the program said last; the caller frees. */
static char *messages_of(bench *b)
{
    char *bytes;
    size_t size;
    if (file_read_all(at(b, "messages"), 1 << 20, &bytes, &size, &b->err) != STATUS_OK) return text_copy("");
    return bytes;
}

static void check_train(test *t, bench *b, const launch *l, int expected, const char *part)
{
    int found = finish(start(b, l));
    char *said = messages_of(b);
    if (found != expected || !strstr(said, part))
        test_failed(t, __FILE__, __LINE__, "%s: status %d, expected %d with '%s'; it wrote: %s", l->out, found, expected,
                    part, said);
    free(said);
}

static bool has_state(bench *b, const char *out)
{
    return file_exists(at(b, "%s/checkpoints/latest.safetensors", out)) ||
           file_exists(at(b, "%s/checkpoints/previous.safetensors", out)) ||
           file_exists(at(b, "%s/checkpoints/next.safetensors", out));
}

/* Whether a temporary file lies in the run's checkpoints. */
static bool has_temporary(bench *b, const char *out)
{
    bool found = false;
    DIR *folder = opendir(at(b, "%s/checkpoints", out));
    for (struct dirent *e; folder && !found && (e = readdir(folder)) != NULL;)
        found = strlen(e->d_name) > 5 && strcmp(e->d_name + strlen(e->d_name) - 5, ".part") == 0;
    if (folder) closedir(folder);
    return found;
}

static void compare_runs(test *t, bench *b, const char *one, const char *two)
{
    static const char *const files[] = {"latest", "generator_a", "generator_b"};
    for (size_t i = 0; i < 3; i++)
        compare_tensors(t, at(b, "%s/checkpoints/%s.safetensors", one, files[i]),
                        at(b, "%s/checkpoints/%s.safetensors", two, files[i]));
    compare_logs(t, at(b, "%s/log.jsonl", one), at(b, "%s/log.jsonl", two));
    for (int step = 10; step <= 40; step += 10) CHECK(t, file_exists(at(b, "%s/samples/step_%08d.png", two, step)));
    CHECK(t, !has_temporary(b, two));
}

/* Copies a run, to be spoilt. */
static bool copy_run(bench *b, const char *from, const char *to)
{
    char command[600];
    snprintf(command, sizeof command, "cp -r '%s' '%s'", at(b, "%s", from), at(b, "%s", to));
    return system(command) == 0;
}

/* Kills at moments that are random over about a sixth of a run, until there were enough; each run that gets to its end
 * is compared. */
static void kills_at_random_moments_change_nothing(test *t)
{
    NEED_PROGRAM(t);
    bench b;
    REQUIRE(t, set_up(&b));
    const char *wanted_text = getenv("CYCLEGAN_KILLS");
    int wanted = wanted_text ? atoi(wanted_text) : 15, kills = 0, runs = 0;
    double began = now();
    check_train(t, &b, &(launch){.out = "whole"}, 0, "done");
    double range = (now() - began) / 6;
    while (t->failures == 0 && runs < 5 + wanted) {
        char out[32];
        snprintf(out, sizeof out, "killed%d", runs);
        pid_t child = start(&b, &(launch){.out = out, .resume = has_state(&b, out)});
        if (kills < wanted) {
            float share = rng_uniform(5, RNG_TEST, 0, (uint32_t)(kills + 1000 * runs));
            wait_microseconds((long)(range * 1e6 * (double)share));
        }
        if (kills < wanted && !has_ended(child)) {
            kill(child, SIGKILL);
            kills++;
            finish(child);
            continue;
        }
        int result = finish(child);
        char *said = messages_of(&b);
        if (result != 0) test_failed(t, __FILE__, __LINE__, "status %d after %d kills: %s", result, kills, said);
        free(said);
        if (result == 0) compare_runs(t, &b, "whole", out);
        runs++;
        if (kills >= wanted) break;
    }
    CHECK(t, kills >= wanted && runs > 0);
    tear_down(&b);
}

/* Kills as soon as a temporary file is seen, so within the write of a generator or a state, which a large pool makes
 * longer. */
static void kills_within_a_write_change_nothing(test *t)
{
    NEED_PROGRAM(t);
    enum { WANTED = 6, TRIES = 60 };
    bench b;
    REQUIRE(t, set_up(&b));
    launch l = {.out = "whole", .settings = {"train.pool_size=400", "train.batch_size=4"}};
    check_train(t, &b, &l, 0, "done");
    int hits = 0, runs = 0;
    for (int tried = 0; tried < TRIES && hits < WANTED; tried++) {
        char out[32];
        snprintf(out, sizeof out, "killed%d", runs);
        l.out = out;
        l.resume = has_state(&b, out);
        pid_t child = start(&b, &l);
        /* What an earlier kill left is removed by resuming: a new file is one of this process. */
        while (has_temporary(&b, out) && !has_ended(child)) wait_microseconds(20);
        while (!has_temporary(&b, out) && !has_ended(child)) wait_microseconds(20);
        wait_microseconds(tried % 4 * 1000);
        kill(child, SIGKILL);
        if (finish(child) == 0) {
            compare_runs(t, &b, "whole", out);
            runs++;
        }
        hits += has_temporary(&b, out);
    }
    if (hits < 3) test_failed(t, __FILE__, __LINE__, "only %d kills came within a write", hits);
    char last[32];
    snprintf(last, sizeof last, "killed%d", runs);
    l.out = last;
    l.resume = has_state(&b, last);
    check_train(t, &b, &l, 0, "done");
    compare_runs(t, &b, "whole", last);
    tear_down(&b);
}

/* In bf16 too, with both of its ways to compute convolutions. */
static void bf16_resumes_with_the_same_bits(test *t)
{
    NEED_PROGRAM(t);
    bench b;
    REQUIRE(t, set_up(&b));
    launch l = {.out = "whole", .settings = {"train.precision=bf16", "data.load_size=88", "data.crop_size=80",
                                             "train.steps=12", "train.decay_steps=6", "output.sample_every=0"}};
    pid_t child = start(&b, &l);
    bool refused = finish(child) != 0;
    char *said = messages_of(&b);
    refused = refused && strstr(said, "AVX512-BF16");
    if (!refused) CHECK_CONTAINS(t, said, "done");
    free(said);
    if (refused) {
        tear_down(&b);
        SKIP(t, "this CPU has no AVX512-BF16");
    }
    l.out = "run";
    child = start(&b, &l);
    while (!file_exists(at(&b, "run/checkpoints/previous.safetensors")) && !has_ended(child)) wait_microseconds(200);
    kill(child, SIGTERM);
    CHECK(t, finish(child) == 143);
    l.resume = true;
    check_train(t, &b, &l, 0, "done");
    compare_tensors(t, at(&b, "whole/checkpoints/latest.safetensors"), at(&b, "run/checkpoints/latest.safetensors"));
    compare_logs(t, at(&b, "whole/log.jsonl"), at(&b, "run/log.jsonl"));
    l.settings[0] = "train.precision=fp32";
    check_train(t, &b, &l, 2, "train.precision");
    tear_down(&b);
}

static status accept_step(void *context, const safetensors_file *file, error *err)
{
    (void)err;
    snprintf(context, 32, "%s", safetensors_metadata_get(file, "step"));
    return STATUS_OK;
}

/* The step of the run's latest state, which must be whole. */
static void check_step(test *t, bench *b, const char *out, const char *expected)
{
    char step[32] = "none", path[256];
    snprintf(path, sizeof path, "%s", at(b, "%s/checkpoints/latest.safetensors", out));
    training_run run = {.latest = path, .previous = path, .lock = -1};
    log_sink log = log_create(stderr, true);
    REQUIRE_OK(t, training_restore(&run, accept_step, step, &log, &b->err), b->err);
    CHECK_TEXT(t, step, expected);
}

static size_t bytes_of(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (size_t)info.st_size : 0;
}

/* A limit on the size of files stands for a full disk: the state does not fit, the generators do. */
static void a_write_that_fails_keeps_the_checkpoint(test *t)
{
    NEED_PROGRAM(t);
    bench b;
    REQUIRE(t, set_up(&b));
    check_train(t, &b, &(launch){.out = "whole"}, 0, "done");
    launch l = {.out = "run", .settings = {"output.checkpoint_every=6"}};
    pid_t child = start(&b, &l);
    while (bytes_of(at(&b, "run/checkpoints/previous.safetensors")) == 0 && !has_ended(child)) wait_microseconds(200);
    kill(child, SIGTERM);
    CHECK(t, finish(child) == 143);
    size_t state = bytes_of(at(&b, "run/checkpoints/latest.safetensors"));
    REQUIRE(t, state > 0);
    l.resume = true;
    l.file_limit = state / 2;
    char *said;
    CHECK(t, finish(start(&b, &l)) == 1);
    said = messages_of(&b);
    CHECK_CONTAINS(t, said, "no checkpoint of step ");
    CHECK_CONTAINS(t, said, "next.safetensors: cannot write: File too large");
    free(said);
    CHECK(t, !has_temporary(&b, "run"));
    l.file_limit = 0;
    check_train(t, &b, &l, 0, "done");
    compare_runs(t, &b, "whole", "run");
    tear_down(&b);
}

static void a_full_disk_keeps_the_checkpoint(test *t)
{
    NEED_PROGRAM(t);
    bench b;
    REQUIRE(t, set_up(&b));
    /* Pools that are full at once, so that all states are of one size. */
    check_train(t, &b, &(launch){.out = "whole", .settings = {"train.pool_size=3"}}, 0, "done");
    size_t state = bytes_of(at(&b, "whole/checkpoints/latest.safetensors"));
    size_t generator = bytes_of(at(&b, "whole/checkpoints/generator_a.safetensors"));
    char command[400];
    REQUIRE(t, mkdir(at(&b, "disk"), 0777) == 0);
    snprintf(command, sizeof command, "mount -t tmpfs -o size=%zu tmpfs '%s' 2>/dev/null",
             2 * state + state / 2 + 4 * generator, at(&b, "disk"));
    if (system(command) != 0) {
        tear_down(&b);
        SKIP(t, "a small file system cannot be mounted here");
    }
    launch l = {.out = "disk/run", .settings = {"train.pool_size=3", "output.sample_every=0"}};
    check_train(t, &b, &l, 1, "no checkpoint of step 6, --resume goes on from that of step 3");
    char *said = messages_of(&b);
    CHECK_CONTAINS(t, said, "No space left on device");
    free(said);
    CHECK(t, !has_temporary(&b, l.out));
    check_step(t, &b, l.out, "3");
    snprintf(command, sizeof command, "mount -o remount,size=%zu '%s'", 20 * state, at(&b, "disk"));
    CHECK(t, system(command) == 0);
    l.resume = true;
    l.settings[1] = NULL;
    check_train(t, &b, &l, 0, "done");
    compare_tensors(t, at(&b, "whole/checkpoints/latest.safetensors"), at(&b, "disk/run/checkpoints/latest.safetensors"));
    compare_logs(t, at(&b, "whole/log.jsonl"), at(&b, "disk/run/log.jsonl"));
    snprintf(command, sizeof command, "umount '%s'", at(&b, "disk"));
    CHECK(t, system(command) == 0);
    tear_down(&b);
}

static void cut_in_half(test *t, const char *path) { CHECK(t, truncate(path, (off_t)(bytes_of(path) / 2)) == 0); }

/* One bit in the middle of the data. */
static void flip(test *t, const char *path)
{
    FILE *f = fopen(path, "r+b");
    REQUIRE(t, f && fseek(f, -(long)bytes_of(path) / 4, SEEK_END) == 0);
    int byte = fgetc(f);
    fseek(f, -1, SEEK_CUR);
    fputc(byte ^ 1, f);
    fclose(f);
}

static void damaged_checkpoints_fall_back(test *t)
{
    NEED_PROGRAM(t);
    static void (*const damages[])(test *t, const char *path) = {cut_in_half, flip};
    static const char *const named[] = {"latest.safetensors: ", "latest.safetensors: damaged: "};
    bench b;
    REQUIRE(t, set_up(&b));
    check_train(t, &b, &(launch){.out = "whole"}, 0, "done");
    for (int i = 0; i < 2; i++) {
        launch l = {.out = i ? "flipped" : "cut", .resume = true};
        REQUIRE(t, copy_run(&b, "whole", l.out));
        damages[i](t, at(&b, "%s/checkpoints/latest.safetensors", l.out));
        check_train(t, &b, &l, 0, "; going on from the checkpoint before it");
        char *said = messages_of(&b);
        CHECK_CONTAINS(t, said, named[i]);
        CHECK_CONTAINS(t, said, "continuing after step 39");
        free(said);
        compare_runs(t, &b, "whole", l.out);
        CHECK(t, file_exists(at(&b, "%s/checkpoints/damaged.safetensors", l.out)));
        damages[i](t, at(&b, "%s/checkpoints/latest.safetensors", l.out));
        damages[1 - i](t, at(&b, "%s/checkpoints/previous.safetensors", l.out));
        check_train(t, &b, &l, 1, "cyclegan: neither checkpoint can be resumed from: ");
        said = messages_of(&b);
        CHECK_CONTAINS(t, said, "previous.safetensors: ");
        free(said);
    }
    tear_down(&b);
}

/* Waits for lines of the log, so for steps, and sends the signal. */
static void check_signal(test *t, bench *b, const char *out, int number)
{
    pid_t child = start(b, &(launch){.out = out, .resume = has_state(b, out)});
    size_t before = bytes_of(at(b, "%s/log.jsonl", out));
    while (bytes_of(at(b, "%s/log.jsonl", out)) <= before && !has_ended(child)) wait_microseconds(200);
    kill(child, number);
    int result = finish(child);
    char *said = messages_of(b);
    if (result != 128 + number || !strstr(said, "stopped after step ") || !strstr(said, " of 40; continue with --resume"))
        test_failed(t, __FILE__, __LINE__, "signal %d: status %d: %s", number, result, said);
    free(said);
}

static void signals_save(test *t)
{
    NEED_PROGRAM(t);
    bench b;
    REQUIRE(t, set_up(&b));
    check_train(t, &b, &(launch){.out = "whole"}, 0, "done");
    check_signal(t, &b, "run", SIGINT);
    check_signal(t, &b, "run", SIGTERM);
    check_signal(t, &b, "run", SIGHUP);
    check_train(t, &b, &(launch){.out = "run", .resume = true}, 0, "done");
    compare_runs(t, &b, "whole", "run");
    tear_down(&b);
}

/* Writes the latest state anew with the discriminators' weights so large that their scores overflow. */
static void spoil_discriminators(test *t, bench *b, const char *path)
{
    safetensors_file *file;
    safetensors_writer *w;
    REQUIRE_OK(t, safetensors_open(path, &file, &b->err), b->err);
    REQUIRE_OK(t, safetensors_writer_create(&w, &b->err), b->err);
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const safetensors_entry *e = safetensors_at(file, i);
        safetensors_declare(w, e->name, e->type, e->rank, e->shape);
    }
    for (size_t i = 0; i < safetensors_metadata_count(file); i++) {
        safetensors_metadata m = safetensors_metadata_at(file, i);
        if (strcmp(m.key, "data_xxh64") != 0) safetensors_set_metadata(w, m.key, m.value); /* there is a new one */
    }
    REQUIRE_OK(t, safetensors_begin(w, path, &b->err), b->err);
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const safetensors_entry *e = safetensors_at(file, i);
        float *values = malloc(e->count * sizeof *values);
        REQUIRE_OK(t, safetensors_read_f32(file, e, values, &b->err), b->err);
        for (size_t k = 0; k < e->count; k++)
            if (strncmp(e->name, "D_", 2) == 0) values[k] *= 1e30f;
        REQUIRE_OK(t, safetensors_put_f32(w, values, e->count, &b->err), b->err);
        free(values);
    }
    REQUIRE_OK(t, safetensors_commit(w, &b->err), b->err);
    safetensors_close(file);
}

static void a_loss_that_is_not_finite_keeps_the_checkpoint(test *t)
{
    NEED_PROGRAM(t);
    bench b;
    REQUIRE(t, set_up(&b));
    launch l = {.out = "run", .settings = {"train.steps=9", "train.decay_steps=0"}};
    check_train(t, &b, &l, 0, "done");
    spoil_discriminators(t, &b, at(&b, "run/checkpoints/latest.safetensors"));
    l.resume = true;
    l.settings[0] = "train.steps=20";
    check_train(t, &b, &l, 1, "cyclegan: step 10: loss gan_a is ");
    check_step(t, &b, "run", "9");
    CHECK(t, !has_temporary(&b, "run"));
    tear_down(&b);
}

/* Pictures of one colour leave instance norms nothing to measure. */
static void flat_pictures_train(test *t)
{
    NEED_PROGRAM(t);
    bench b;
    REQUIRE(t, set_up(&b));
    static const char *const folders[] = {"black", "white"};
    char settings[2][160];
    for (int d = 0; d < 2; d++) {
        image picture = {0};
        REQUIRE_OK(t, image_create(&picture, 40, 40, &b.err), b.err);
        memset(picture.pixels, d ? 255 : 0, (size_t)40 * 40 * 3);
        REQUIRE_OK(t, file_make_folders(at(&b, "%s", folders[d]), &b.err), b.err);
        REQUIRE_OK(t, image_write(at(&b, "%s/1.png", folders[d]), &picture, NULL, &b.err), b.err);
        image_free(&picture);
        snprintf(settings[d], sizeof settings[d], "domains.%c.train=%s", "ab"[d], at(&b, "%s", folders[d]));
    }
    launch l = {.out = "flat", .settings = {settings[0], settings[1], "train.steps=60", "output.checkpoint_every=60"}};
    check_train(t, &b, &l, 0, "done");
    char *log;
    size_t size, lines = 0;
    REQUIRE_OK(t, file_read_all(at(&b, "flat/log.jsonl"), 1 << 20, &log, &size, &b.err), b.err);
    for (size_t i = 0; i < size; i++) lines += log[i] == '\n';
    CHECK(t, lines == 60 && !strstr(log, "nan") && !strstr(log, "inf"));
    free(log);
    tear_down(&b);
}

/* Reading it would wait for ever. */
static void a_pipe_is_no_log(test *t)
{
    NEED_PROGRAM(t);
    bench b;
    REQUIRE(t, set_up(&b));
    check_train(t, &b, &(launch){.out = "run", .settings = {"train.steps=2", "train.decay_steps=1"}}, 0, "done");
    const char *log = at(&b, "run/log.jsonl");
    REQUIRE(t, unlink(log) == 0 && mkfifo(log, 0600) == 0);
    check_train(t, &b, &(launch){.out = "run", .settings = {"train.steps=3", "train.decay_steps=1"}, .resume = true}, 1,
                "run/log.jsonl: cannot read: not a file");
    tear_down(&b);
}

/* A config that never comes is waited for; the first signal ends that. */
static void signals_end_the_setup(test *t)
{
    NEED_PROGRAM(t);
    bench b;
    REQUIRE(t, set_up(&b));
    char fifo[256];
    snprintf(fifo, sizeof fifo, "%s", at(&b, "fifo"));
    REQUIRE(t, mkfifo(fifo, 0600) == 0);
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < 3; i++) {
        pid_t child = start(&b, &(launch){.out = "run", .config = fifo});
        int writer = -1; /* can be opened once the program waits at the other end */
        while (writer < 0 && !has_ended(child)) {
            writer = open(fifo, O_WRONLY | O_NONBLOCK);
            wait_microseconds(500);
        }
        kill(child, numbers[i]);
        CHECK(t, finish(child) == 128 + numbers[i]);
        if (writer >= 0) close(writer);
        char *said = messages_of(&b);
        CHECK_TEXT(t, said, "cyclegan: interrupted; there is nothing to save\n");
        free(said);
    }
    CHECK(t, !file_exists(at(&b, "run")));
    tear_down(&b);
}

TEST_MAIN(TEST(kills_at_random_moments_change_nothing), TEST(kills_within_a_write_change_nothing),
          TEST(a_write_that_fails_keeps_the_checkpoint), TEST(a_full_disk_keeps_the_checkpoint),
          TEST(damaged_checkpoints_fall_back),
          TEST(a_loss_that_is_not_finite_keeps_the_checkpoint), TEST(flat_pictures_train), TEST(signals_save),
          TEST(signals_end_the_setup), TEST(a_pipe_is_no_log), TEST(bf16_resumes_with_the_same_bits))

/* Training through the program itself: killed at random moments and in the middle of a checkpoint's write, on full
 * disks, with damaged checkpoints; resumed, it ends with the same bits as an uninterrupted run. $CYCLEGAN_KILLS: how many
 * random kills (15). */
#include "cli/training.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
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

TEST_MAIN(TEST(kills_at_random_moments_change_nothing), TEST(kills_within_a_write_change_nothing),
          TEST(a_write_that_fails_keeps_the_checkpoint), TEST(a_full_disk_keeps_the_checkpoint),
          TEST(damaged_checkpoints_fall_back), TEST(bf16_resumes_with_the_same_bits))

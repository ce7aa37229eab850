/* Training through the program itself: ended by signals, with losses and pictures as they should not be. */
#include "cli/training.h"

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

TEST_MAIN(TEST(signals_save), TEST(signals_end_the_setup), TEST(a_loss_that_is_not_finite_keeps_the_checkpoint),
          TEST(flat_pictures_train), TEST(a_pipe_is_no_log))

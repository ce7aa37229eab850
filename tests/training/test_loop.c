/* The loop around a step, with a method that only counts: what is written when, stopping, failures. */
#include "training/loop.h"

#include <fcntl.h>
#include <unistd.h>

#include "pictures.h"

enum { SIDE = 8 };

/* Its one weight is the number of steps that have begun, as on a device that runs ahead of the host. */
typedef struct counter {
    nn_backend *backend;
    nn_parameters *set;
    uint64_t stop_at, stop_after, nan_at, refuse_at, lost_at; /* when step has begun, has ended, in step; 0: never */
    uint64_t command_at; /* when step has begun */
    const char *command; /* for a shell */
    uint64_t full_at;    /* when step has begun */
    training_run *full;  /* whose log finds a full disk then */
    uint64_t begun, ended;
    size_t most_open;
    volatile sig_atomic_t stop;
    bool samples_fail, sampled_in_between;
    size_t samples;
    double last_rate;
} counter;

typedef struct fixture {
    workplace place;
    char a[96], b[96], folder[96];
    counter c;
    training_options options;
    training_loader *loader;
    training_run run;
    model_weights weights;
    training_export export;
    training_method method;
    training_loop loop;
    FILE *messages;
    log_sink log;
    error err;
} fixture;

static void fill_disk(const training_run *run)
{
    int full = open("/dev/full", O_WRONLY);
    if (full < 0 || dup2(full, fileno(run->log_file)) < 0) perror("/dev/full");
    close(full);
}

static status begin_step(void *context, const training_step *step, error *err)
{
    counter *c = context;
    if (c->refuse_at == step->number + 1) return error_set(err, STATUS_FAILED, "it does not begin");
    c->last_rate = step->learning_rate;
    c->begun = step->number + 1;
    if (c->begun - c->ended > c->most_open) c->most_open = c->begun - c->ended;
    const float done = (float)c->begun;
    nn_parameters_write(c->set, NN_DATA, 0, &done);
    if (c->stop_at == c->begun) c->stop = 1;
    if (c->command_at == c->begun && system(c->command) != 0) return error_set(err, STATUS_FAILED, "%s", c->command);
    if (c->full_at == c->begun) fill_disk(c->full);
    return STATUS_OK;
}

static status end_step(void *context, float *losses, error *err)
{
    counter *c = context;
    losses[0] = 0.5f;
    losses[1] = (float)c->ended++;
    if (c->stop_after == c->ended) c->stop = 1;
    if (c->lost_at == c->ended) return error_set(err, STATUS_FAILED, "the device is gone");
    return c->ended == c->nan_at ? error_set(err, STATUS_NOT_FINITE, "loss gan_a is nan") : STATUS_OK;
}

static status count_sample(void *context, int domain, const uint8_t *picture, uint8_t *translated, uint8_t *reconstructed,
                           error *err)
{
    counter *c = context;
    (void)domain;
    if (c->samples_fail) return error_set(err, STATUS_FAILED, "no sample");
    memcpy(translated, picture, SIDE * SIDE * 3);
    memcpy(reconstructed, picture, SIDE * SIDE * 3);
    c->samples++;
    c->sampled_in_between = c->sampled_in_between || c->begun != c->ended;
    return STATUS_OK;
}

static void fill_loop(fixture *f, size_t open_steps)
{
    static const char *const names[] = {"gan_a", "gan_b"};
    f->weights = (model_weights){f->c.set, NN_DATA, "", "G_A."};
    f->export = (training_export){"generator_a.safetensors", "a_to_b", 0, 1, {f->c.set, NN_DATA, "", ""}};
    f->method = (training_method){.context = &f->c, .loss_count = 2, .loss_names = names, .open_steps = open_steps,
                                  .begin = begin_step, .end = end_step, .sample = count_sample,
                                  .state = {&f->weights, 1, NULL, 0, f->c.backend},
                                  .exports = &f->export, .export_count = 1};
    f->loop = (training_loop){.options = &f->options, .schedule = {&f->options, 4}, .loader = f->loader,
                              .method = &f->method, .run = &f->run, .log = &f->log, .config = "name: x\n",
                              .stop = &f->c.stop};
}

static bool set_up(fixture *f, size_t open_steps)
{
    size_t index;
    *f = (fixture){0};
    if (!workplace_create(&f->place) || !workplace_pictures(&f->place, "a", 3, 10, 10, 50) ||
        !workplace_pictures(&f->place, "b", 4, 10, 10, 90))
        return false;
    snprintf(f->a, sizeof f->a, "%s/a", f->place.root);
    snprintf(f->b, sizeof f->b, "%s/b", f->place.root);
    snprintf(f->folder, sizeof f->folder, "%s/run", f->place.root);
    f->options = (training_options){.domains = {{"snacks", f->a, NULL}, {"fractals", f->b, NULL}}, .load_size = 10,
                                    .crop_size = SIDE, .workers = 2, .batch_size = 1, .seed = 1, .steps = 10,
                                    .learning_rate = 1, .schedule = TRAINING_CONSTANT, .checkpoint_every = 4,
                                    .sample_every = 5, .sample_count = 2, .log_every = 3};
    f->messages = tmpfile();
    f->c.set = nn_parameters_create();
    if (!f->messages || !f->c.set) return false;
    f->log = log_create(f->messages, true);
    if (nn_cpu_create(1, &f->c.backend, &f->err) != STATUS_OK ||
        nn_parameters_add(f->c.set, "steps", nn_shape_of(1, 1, 1, 1), &index, &f->err) != STATUS_OK ||
        nn_parameters_allocate(f->c.set, f->c.backend, 0, &f->err) != STATUS_OK ||
        training_loader_create(&f->options, &f->loader, &f->err) != STATUS_OK ||
        training_run_open(&f->run, f->folder, false, &f->err) != STATUS_OK)
        return false;
    fill_loop(f, open_steps);
    return true;
}

static void tear_down(fixture *f)
{
    training_run_close(&f->run);
    training_loader_destroy(f->loader);
    nn_parameters_destroy(f->c.set);
    nn_backend_destroy(f->c.backend);
    if (f->messages) fclose(f->messages);
    workplace_remove(&f->place);
}

/* Steps in the checkpoint by its metadata, which must be those of its weight and of the generator beside it; -1 without
 * one. */
static double checkpoint_step(test *t, const fixture *f)
{
    static const char *const names[] = {"latest.safetensors", "generator_a.safetensors"},
                            *const tensors[] = {"G_A.steps", "steps"};
    double step[2] = {-1, -1};
    for (int i = 0; i < 2; i++) {
        char path[160];
        safetensors_file *file;
        float weight;
        snprintf(path, sizeof path, "%s/checkpoints/%s", f->folder, names[i]);
        if (safetensors_open(path, &file, NULL) != STATUS_OK) return -1;
        CHECK(t, training_checkpoint_number(file, "step", &step[i], NULL) == STATUS_OK);
        CHECK(t, safetensors_read_f32(file, safetensors_find(file, tensors[i]), &weight, NULL) == STATUS_OK);
        CHECK(t, weight == (float)step[i]);
        safetensors_close(file);
    }
    CHECK(t, step[0] == step[1]);
    return step[0];
}

static bool has_sheet(const fixture *f, int step)
{
    char path[160];
    snprintf(path, sizeof path, "%s/samples/step_%08d.png", f->folder, step);
    return file_exists(path);
}

static void check_log(test *t, const fixture *f, const char *expected_steps)
{
    char *bytes, steps[64] = "";
    size_t size;
    REQUIRE(t, file_read_all(f->run.log, 1 << 20, &bytes, &size, NULL) == STATUS_OK);
    for (const char *line = bytes; (line = strstr(line, "{\"step\": ")); line++)
        snprintf(steps + strlen(steps), sizeof steps - strlen(steps), "%d ", atoi(line + 9));
    CHECK_TEXT(t, steps, expected_steps);
    CHECK_CONTAINS(t, bytes, "\"loss\": {\"gan_a\": 0.5, \"gan_b\": ");
    free(bytes);
}

static void writes_what_is_due(test *t)
{
    for (size_t open_steps = 1; open_steps <= TRAINING_OPEN_STEPS; open_steps++) {
        fixture f;
        REQUIRE(t, set_up(&f, open_steps));
        REQUIRE_OK(t, training_loop_run(&f.loop, &f.err), f.err);
        CHECK(t, checkpoint_step(t, &f) == 10);
        CHECK(t, has_sheet(&f, 5) && has_sheet(&f, 10) && !has_sheet(&f, 4));
        CHECK(t, f.c.samples == 2 * 2 * 2 && !f.c.sampled_in_between);
        CHECK(t, f.c.most_open == open_steps && f.c.ended == 10);
        check_log(t, &f, "3 6 9 10 ");
        f.loop.first = 10; /* nothing is left to do */
        REQUIRE_OK(t, training_loop_run(&f.loop, &f.err), f.err);
        CHECK(t, f.c.samples == 2 * 2 * 2);
        char path[160];
        snprintf(path, sizeof path, "%s/samples/step_00000010.png", f.folder);
        REQUIRE(t, unlink(path) == 0); /* but what the last step left out */
        REQUIRE_OK(t, training_loop_run(&f.loop, &f.err), f.err);
        CHECK(t, has_sheet(&f, 10) && f.c.ended == 10);
        tear_down(&f);
    }
}

static void close_log(fixture *f)
{
    fclose(f->run.log_file);
    f->run.log_file = NULL;
}

static void stops_after_the_step_and_goes_on(test *t)
{
    for (size_t open_steps = 1; open_steps <= TRAINING_OPEN_STEPS; open_steps++) {
        fixture f;
        REQUIRE(t, set_up(&f, open_steps));
        f.c.stop_at = 6;
        CHECK(t, training_loop_run(&f.loop, &f.err) == STATUS_INTERRUPTED);
        CHECK_TEXT(t, f.err.message, "stopped after step 6 of 10; continue with --resume");
        CHECK(t, checkpoint_step(t, &f) == 6);
        check_log(t, &f, "3 6 ");
        f.c.stop_at = 0;
        f.c.stop = 0;
        f.loop.first = 6;
        close_log(&f);
        REQUIRE_OK(t, training_loop_run(&f.loop, &f.err), f.err);
        CHECK(t, checkpoint_step(t, &f) == 10);
        check_log(t, &f, "3 6 9 10 ");
        tear_down(&f);
    }
}

/* Ctrl-C while a step begins, or while it ends: with none, or one, open behind it. */
static void stops_at_any_moment(test *t, size_t open_steps, uint64_t at, bool while_it_ends)
{
    fixture f;
    REQUIRE(t, set_up(&f, open_steps));
    f.options.log_every = 1;
    *(while_it_ends ? &f.c.stop_after : &f.c.stop_at) = at;
    CHECK(t, training_loop_run(&f.loop, &f.err) == STATUS_INTERRUPTED);
    uint64_t steps = f.c.begun;
    CHECK(t, steps == at || (while_it_ends && steps == at + 1 && open_steps == 2));
    char said[96];
    snprintf(said, sizeof said, "stopped after step %d of 10; continue with --resume", (int)steps);
    CHECK_TEXT(t, f.err.message, said);
    CHECK(t, f.c.ended == steps && checkpoint_step(t, &f) == (double)steps);
    CHECK(t, has_sheet(&f, 5) == (steps >= 5) && !f.c.sampled_in_between);
    f.c.stop_at = f.c.stop_after = 0;
    f.c.stop = 0;
    f.loop.first = steps;
    close_log(&f);
    REQUIRE_OK(t, training_loop_run(&f.loop, &f.err), f.err);
    CHECK(t, checkpoint_step(t, &f) == 10 && has_sheet(&f, 5) && has_sheet(&f, 10));
    check_log(t, &f, "1 2 3 4 5 6 7 8 9 10 ");
    tear_down(&f);
}

static void stops_at_every_step(test *t)
{
    for (size_t open_steps = 1; open_steps <= TRAINING_OPEN_STEPS; open_steps++)
        for (uint64_t at = 1; at <= 10; at++) {
            stops_at_any_moment(t, open_steps, at, false);
            stops_at_any_moment(t, open_steps, at, true);
        }
}

static void a_new_run_can_be_resumed_at_once(test *t)
{
    for (size_t open_steps = 1; open_steps <= TRAINING_OPEN_STEPS; open_steps++) {
        fixture f;
        REQUIRE(t, set_up(&f, open_steps));
        f.c.nan_at = 1;
        CHECK(t, training_loop_run(&f.loop, &f.err) == STATUS_NOT_FINITE);
        CHECK(t, checkpoint_step(t, &f) == 0);
        tear_down(&f);
    }
}

static void a_nan_leaves_the_last_checkpoint(test *t)
{
    for (size_t open_steps = 1; open_steps <= TRAINING_OPEN_STEPS; open_steps++) {
        fixture f;
        REQUIRE(t, set_up(&f, open_steps));
        f.c.nan_at = 7;
        CHECK(t, training_loop_run(&f.loop, &f.err) == STATUS_NOT_FINITE);
        CHECK_TEXT(t, f.err.message, "step 7: loss gan_a is nan");
        CHECK(t, checkpoint_step(t, &f) == 4 && f.c.ended == f.c.begun);
        tear_down(&f);
    }
}

/* Of the last step too, after which none begins. Where one has begun, it may be that one's failure. */
static void what_fails_in_the_end_is_never_saved(test *t)
{
    for (size_t open_steps = 1; open_steps <= TRAINING_OPEN_STEPS; open_steps++)
        for (uint64_t at = 1; at <= 10; at++) {
            fixture f;
            char said[64];
            REQUIRE(t, set_up(&f, open_steps));
            f.c.lost_at = at;
            CHECK(t, training_loop_run(&f.loop, &f.err) == STATUS_FAILED);
            bool alone = open_steps == 1 || at % 4 == 0 || at % 5 == 0; /* or something is due after it */
            snprintf(said, sizeof said, alone ? "step %d: the device is gone" : "step %d or %d: the device is gone", (int)at,
                     (int)at + 1);
            CHECK_TEXT(t, f.err.message, said);
            CHECK(t, checkpoint_step(t, &f) == (double)((at - 1) / 4 * 4) && f.c.ended == f.c.begun);
            tear_down(&f);
        }
}

/* The log fails in the step that ends, and in the one behind it is a NaN: its weights are of no step. */
static void a_failure_with_a_nan_behind_it_saves_nothing(test *t)
{
    fixture f;
    REQUIRE(t, set_up(&f, 2));
    f.options.log_every = 1;
    f.c.full_at = 7;
    f.c.full = &f.run;
    f.c.nan_at = 7;
    CHECK(t, training_loop_run(&f.loop, &f.err) == STATUS_FAILED);
    CHECK_CONTAINS(t, f.err.message, "log.jsonl: cannot write");
    CHECK(t, f.c.begun == 7 && f.c.ended == 7 && checkpoint_step(t, &f) == 4);
    tear_down(&f);
}

/* What was trained is kept, an open step's share too. */
static void a_log_that_fails_costs_no_step(test *t)
{
    for (size_t open_steps = 1; open_steps <= TRAINING_OPEN_STEPS; open_steps++) {
        fixture f;
        REQUIRE(t, set_up(&f, open_steps));
        f.options.log_every = 1;
        f.c.full_at = 6;
        f.c.full = &f.run;
        CHECK(t, training_loop_run(&f.loop, &f.err) == STATUS_FAILED);
        CHECK_CONTAINS(t, f.err.message, "log.jsonl: cannot write");
        CHECK(t, f.c.begun == 5 + open_steps && f.c.ended == f.c.begun);
        CHECK(t, checkpoint_step(t, &f) == (double)f.c.begun);
        f.loop.first = f.c.begun;
        f.c.full_at = 0;
        close_log(&f);
        REQUIRE_OK(t, training_loop_run(&f.loop, &f.err), f.err);
        CHECK(t, checkpoint_step(t, &f) == 10);
        tear_down(&f);
    }
}

static void a_checkpoint_that_fails_is_told_and_is_the_end(test *t)
{
    for (size_t open_steps = 1; open_steps <= TRAINING_OPEN_STEPS; open_steps++) {
        fixture f;
        char command[256];
        REQUIRE(t, set_up(&f, open_steps));
        snprintf(command, sizeof command, "mv '%s' '%s.away' && touch '%s'", f.run.checkpoints, f.run.checkpoints,
                 f.run.checkpoints);
        f.c.command = command;
        f.c.command_at = 7;
        CHECK(t, training_loop_run(&f.loop, &f.err) == STATUS_FAILED);
        CHECK_CONTAINS(t, f.err.message, "no checkpoint of step 8, --resume goes on from that of step 4: ");
        CHECK(t, f.c.begun == 8 && f.c.ended == 8 && !has_sheet(&f, 10));
        snprintf(command, sizeof command, "rm '%s' && mv '%s.away' '%s'", f.run.checkpoints, f.run.checkpoints,
                 f.run.checkpoints);
        REQUIRE(t, system(command) == 0);
        CHECK(t, checkpoint_step(t, &f) == 4);
        tear_down(&f);
    }
}

static void a_step_that_does_not_begin_costs_none_before_it(test *t)
{
    for (size_t open_steps = 1; open_steps <= TRAINING_OPEN_STEPS; open_steps++)
        for (uint64_t at = 1; at <= 10; at++) {
            fixture f;
            char said[64];
            REQUIRE(t, set_up(&f, open_steps));
            f.c.refuse_at = at;
            CHECK(t, training_loop_run(&f.loop, &f.err) == STATUS_FAILED);
            snprintf(said, sizeof said, "step %d: it does not begin", (int)at);
            CHECK_TEXT(t, f.err.message, said);
            CHECK(t, f.c.ended == at - 1 && checkpoint_step(t, &f) == (double)(at - 1));
            tear_down(&f);
        }
}

static void a_sample_that_fails_comes_after_the_checkpoint(test *t)
{
    for (size_t open_steps = 1; open_steps <= TRAINING_OPEN_STEPS; open_steps++) {
        fixture f;
        REQUIRE(t, set_up(&f, open_steps));
        f.options.sample_every = 8;
        f.c.samples_fail = true;
        CHECK(t, training_loop_run(&f.loop, &f.err) == STATUS_FAILED);
        CHECK_CONTAINS(t, f.err.message, "no sample");
        CHECK(t, checkpoint_step(t, &f) == 8);
        tear_down(&f);
    }
}

/* While steps are under way: those that had their pictures are kept. */
static void pictures_that_vanish_cost_no_step(test *t)
{
    for (size_t open_steps = 1; open_steps <= TRAINING_OPEN_STEPS; open_steps++) {
        fixture f;
        char command[160];
        REQUIRE(t, set_up(&f, open_steps));
        f.options.steps = 100;
        f.options.checkpoint_every = 50;
        snprintf(command, sizeof command, "rm '%s'/*.png", f.a);
        f.c.command = command;
        f.c.command_at = 3;
        f.options.sample_every = 0;
        CHECK(t, training_loop_run(&f.loop, &f.err) == STATUS_FAILED);
        CHECK_CONTAINS(t, f.err.message, "pictures beside");
        CHECK(t, f.c.begun >= 3 && f.c.begun < 50 && f.c.ended == f.c.begun);
        CHECK(t, checkpoint_step(t, &f) == (double)f.c.begun);
        tear_down(&f);
    }
}

static void pictures_that_vanish_are_left_out_until_none_is_left(test *t)
{
    for (size_t open_steps = 1; open_steps <= TRAINING_OPEN_STEPS; open_steps++) {
        fixture f;
        REQUIRE(t, set_up(&f, open_steps));
        char path[160];
        snprintf(path, sizeof path, "%s/2.png", f.a);
        REQUIRE(t, unlink(path) == 0);
        REQUIRE_OK(t, training_loop_run(&f.loop, &f.err), f.err);
        tear_down(&f);

        REQUIRE(t, set_up(&f, open_steps));
        snprintf(path, sizeof path, "rm '%s'/*.png", f.a);
        REQUIRE(t, system(path) == 0);
        CHECK(t, training_loop_run(&f.loop, &f.err) == STATUS_FAILED);
        CHECK_CONTAINS(t, f.err.message, "pictures beside");
        tear_down(&f);
    }
}

TEST_MAIN(TEST(writes_what_is_due), TEST(stops_after_the_step_and_goes_on), TEST(stops_at_every_step),
          TEST(a_new_run_can_be_resumed_at_once), TEST(a_nan_leaves_the_last_checkpoint),
          TEST(what_fails_in_the_end_is_never_saved), TEST(a_failure_with_a_nan_behind_it_saves_nothing),
          TEST(a_log_that_fails_costs_no_step), TEST(a_checkpoint_that_fails_is_told_and_is_the_end),
          TEST(a_step_that_does_not_begin_costs_none_before_it), TEST(a_sample_that_fails_comes_after_the_checkpoint),
          TEST(pictures_that_vanish_cost_no_step), TEST(pictures_that_vanish_are_left_out_until_none_is_left))

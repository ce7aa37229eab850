/* The training command where a step begins before the one before it has ended, as on a GPU, that is on the emulated one:
 * stopped, resumed and broken off, it leaves the bits of one whose steps follow one after the other. On the CPU they
 * always do. */
#include "training.h"

#ifdef nn_cpu_create
enum { MOST_OPEN = TRAINING_OPEN_STEPS };
#else
enum { MOST_OPEN = 1 };
#endif

/* The trainer's method, watched. One at a time. */
static struct {
    const training_method *inner;
    training_method outer;
    uint64_t stop_at; /* when this step has begun; 0: never */
    bool steep;       /* the first step takes the weights out of all bounds */
    uint64_t begun, ended, most_open;
    volatile sig_atomic_t stop;
} watch;

static status begin(void *context, const training_step *step, error *err)
{
    training_step given = *step;
    if (watch.steep && step->number == 0) given.learning_rate = 1e30;
    TRY(watch.inner->begin(context, &given, err));
    watch.begun++;
    if (watch.begun - watch.ended > watch.most_open) watch.most_open = watch.begun - watch.ended;
    if (watch.stop_at == step->number + 1) watch.stop = 1;
    return STATUS_OK;
}

static status end(void *context, float *losses, error *err)
{
    watch.ended++;
    return watch.inner->end(context, losses, err);
}

static const training_method *watched(void *model)
{
    watch.inner = gan_trainer.method(model);
    watch.outer = *watch.inner;
    watch.outer.begin = begin;
    watch.outer.end = end;
    return &watch.outer;
}

/* stop_at: 0: never. */
static status train_until(bench *b, const char *out, bool resume, uint64_t stop_at, const char *const *settings)
{
    char folder[128];
    path_of(b, out, folder, sizeof folder);
    training_trainer trainer = gan_trainer;
    trainer.method = watched;
    watch.begun = watch.ended = watch.most_open = 0;
    watch.stop = 0;
    watch.stop_at = stop_at;
    training_request request = {.config_path = b->config, .settings = settings, .setting_count = 2, .resume = resume,
                                .out = folder, .threads = 2, .stop = &watch.stop};
    b->err = (error){0};
    return training_train(&request, &trainer, &b->log, &b->err);
}

/* Nothing is due before the end, so that all steps overlap; or something after each, and none does. */
static const char *const rare[] = {"output.checkpoint_every=100", "output.sample_every=0"};
static const char *const often[] = {"output.checkpoint_every=1", "output.sample_every=0"};

static void compare_with_whole(test *t, const bench *b, const char *run)
{
    char paths[2][160], name[64];
    static const char *const files[] = {"latest", "generator_a", "generator_b"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char whole[64];
        snprintf(whole, sizeof whole, "whole/checkpoints/%s.safetensors", files[i]);
        snprintf(name, sizeof name, "%s/checkpoints/%s.safetensors", run, files[i]);
        compare_files(t, b, whole, name);
    }
    path_of(b, "whole/log.jsonl", paths[0], sizeof paths[0]);
    snprintf(name, sizeof name, "%s/log.jsonl", run);
    path_of(b, name, paths[1], sizeof paths[1]);
    compare_logs(t, paths[0], paths[1]);
}

static void overlapping_steps_have_the_same_bits(test *t)
{
    bench b;
    REQUIRE(t, set_up(&b, ""));
    REQUIRE_OK(t, train_until(&b, "whole", false, 0, rare), b.err);
    CHECK(t, watch.most_open == MOST_OPEN && watch.ended == 6);
    REQUIRE_OK(t, train_until(&b, "often", false, 0, often), b.err);
    CHECK(t, watch.most_open == 1 && watch.ended == 6);
    compare_with_whole(t, &b, "often");
    tear_down(&b);
}

static void stopped_runs_go_on_with_the_same_bits(test *t)
{
    bench b;
    REQUIRE(t, set_up(&b, ""));
    REQUIRE_OK(t, train_until(&b, "whole", false, 0, rare), b.err);
    CHECK(t, train_until(&b, "run", false, 2, rare) == STATUS_INTERRUPTED);
    CHECK_TEXT(t, b.err.message, "stopped after step 2 of 6; continue with --resume");
    CHECK(t, train_until(&b, "run", true, 5, rare) == STATUS_INTERRUPTED);
    CHECK_TEXT(t, b.err.message, "stopped after step 5 of 6; continue with --resume");
    CHECK(t, watch.most_open == MOST_OPEN && watch.ended == 3);
    REQUIRE_OK(t, train_until(&b, "run", true, 0, rare), b.err);
    compare_with_whole(t, &b, "run");
    tear_down(&b);
}

/* After a first step that takes the weights out of all bounds, the second's losses are none; a third may be under way. */
static void a_nan_is_told_of_its_step_and_left_behind(test *t)
{
    bench b;
    REQUIRE(t, set_up(&b, ""));
    REQUIRE_OK(t, train_until(&b, "whole", false, 0, rare), b.err);
    watch.steep = true;
    CHECK(t, train_until(&b, "run", false, 0, rare) == STATUS_NOT_FINITE);
    watch.steep = false;
    CHECK_CONTAINS(t, b.err.message, "step 2: loss ");
    CHECK(t, watch.ended == watch.begun && watch.begun == 1 + MOST_OPEN);
    REQUIRE_OK(t, train_until(&b, "run", true, 0, rare), b.err);
    CHECK(t, watch.ended == 6); /* from the checkpoint of no step */
    compare_with_whole(t, &b, "run");
    tear_down(&b);
}

TEST_MAIN(TEST(overlapping_steps_have_the_same_bits), TEST(stopped_runs_go_on_with_the_same_bits),
          TEST(a_nan_is_told_of_its_step_and_left_behind))

#include "test.h"
#include "training/schedule.h"

static void epochs_follow_the_reference(test *t)
{
    training_options o = {.epochs = 2, .decay_epochs = 3, .learning_rate = 1, .schedule = TRAINING_LINEAR};
    training_schedule s = {&o, 10};
    CHECK(t, training_schedule_steps(&s) == 50);
    static const double expected[] = {1, 1, 0.75, 0.5, 0.25};
    for (uint64_t step = 0; step < 50; step++)
        CHECK_NEAR(t, training_schedule_rate(&s, step), expected[step / 10], 1e-12);
}

static void steps_decay_by_step(test *t)
{
    training_options o = {.steps = 10, .decay_steps = 4, .learning_rate = 2, .schedule = TRAINING_LINEAR};
    training_schedule s = {&o, 3};
    CHECK(t, training_schedule_steps(&s) == 10);
    CHECK_NEAR(t, training_schedule_rate(&s, 5), 2, 1e-12);
    CHECK_NEAR(t, training_schedule_rate(&s, 6), 1.6, 1e-12);
    CHECK_NEAR(t, training_schedule_rate(&s, 9), 0.4, 1e-12);
    CHECK(t, training_schedule_epoch(&s, 7) == 2);
}

static void cosine_and_constant(test *t)
{
    training_options o = {.steps = 4, .decay_steps = 3, .learning_rate = 1, .schedule = TRAINING_COSINE};
    training_schedule s = {&o, 1};
    CHECK_NEAR(t, training_schedule_rate(&s, 0), 1, 1e-12);
    CHECK_NEAR(t, training_schedule_rate(&s, 2), 0.5, 1e-12);
    o.schedule = TRAINING_CONSTANT;
    CHECK_NEAR(t, training_schedule_rate(&s, 3), 1, 1e-12);
}

TEST_MAIN(TEST(epochs_follow_the_reference), TEST(steps_decay_by_step), TEST(cosine_and_constant))

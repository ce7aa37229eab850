/* What a backend measured, on its way through a training state: the CPU's, which is made to seem to measure. */
#include "training/choices.h"

#include <string.h>

#include "pictures.h"
#include "models/weights.h"
#include "training/checkpoint.h"

static const char measured[] = "any\0bytes\xff"; /* with the 0 at its end */

typedef struct bench {
    workplace place;
    char latest[128], previous[128];
    nn_backend_interface interface;
    nn_backend *backend;
    nn_parameters *set;
    FILE *messages;
    log_sink log;
    error err;
} bench;

static status give(nn_backend *backend, void **out, size_t *bytes, error *err)
{
    (void)backend;
    *bytes = 0;
    *out = malloc(sizeof measured);
    if (!*out) return error_no_memory(err, "a test", sizeof measured);
    memcpy(*out, measured, sizeof measured);
    *bytes = sizeof measured;
    return STATUS_OK;
}

static status give_none(nn_backend *backend, void **out, size_t *bytes, error *err)
{
    (void)backend, (void)err;
    *out = NULL;
    *bytes = 0;
    return STATUS_OK;
}

static status give_nothing(nn_backend *backend, void **out, size_t *bytes, error *err)
{
    give_none(backend, out, bytes, err);
    return error_set(err, STATUS_NO_MEMORY, "no memory to give");
}

/* How often what was measured was taken, counted by threads, which nothing here runs on. */
static status take(nn_backend *backend, const void *choices, size_t bytes, error *err)
{
    if (bytes != sizeof measured || memcmp(choices, measured, bytes) != 0)
        return error_set(err, STATUS_FAILED, "not what was given");
    backend->threads++;
    return STATUS_OK;
}

static status refuse(nn_backend *backend, const void *choices, size_t bytes, error *err)
{
    (void)backend, (void)choices, (void)bytes;
    return error_set(err, STATUS_FAILED, "measured on another one");
}

static bool set_up(bench *b)
{
    size_t index;
    *b = (bench){0};
    if (!workplace_create(&b->place)) return false;
    snprintf(b->latest, sizeof b->latest, "%s/latest.safetensors", b->place.root);
    snprintf(b->previous, sizeof b->previous, "%s/previous.safetensors", b->place.root);
    b->messages = tmpfile();
    b->set = nn_parameters_create();
    if (!b->messages || !b->set || nn_cpu_create(1, &b->backend, &b->err) != STATUS_OK ||
        nn_parameters_add(b->set, "x", nn_shape_of(1, 1, 1, 1), &index, &b->err) != STATUS_OK ||
        nn_parameters_allocate(b->set, b->backend, 0, &b->err) != STATUS_OK)
        return false;
    b->log = log_create(b->messages, true);
    b->interface = *b->backend->interface;
    b->interface.give_choices = give;
    b->interface.take_choices = take;
    b->backend->interface = &b->interface;
    return true;
}

static void tear_down(bench *b)
{
    nn_parameters_destroy(b->set);
    nn_backend_destroy(b->backend);
    fclose(b->messages);
    workplace_remove(&b->place);
}

static status save(bench *b, const char *path)
{
    model_weights weights = {b->set, NN_DATA, "", "G_A."};
    training_state state = {&weights, 1, NULL, 0, b->backend};
    return training_checkpoint_save(path, &state, 3, NULL, 0, &b->err);
}

/* The warnings since the last time. */
static const char *warnings(bench *b, char *buffer, size_t size)
{
    size_t length = (size_t)ftell(b->messages);
    rewind(b->messages);
    length = fread(buffer, 1, length < size ? length : size - 1, b->messages);
    buffer[length] = '\0';
    rewind(b->messages);
    return buffer;
}

static void resume(bench *b)
{
    training_run run = {.latest = b->latest, .previous = b->previous, .lock = -1};
    training_choices_resume(&run, b->backend, &b->log);
}

static void a_state_hands_them_on(test *t)
{
    bench b;
    char said[400];
    REQUIRE(t, set_up(&b));
    REQUIRE_OK(t, save(&b, b.latest), b.err);
    safetensors_file *file;
    REQUIRE_OK(t, safetensors_open(b.latest, &file, &b.err), b.err);
    REQUIRE_OK(t, safetensors_verify(file, &b.err), b.err);
    const safetensors_entry *e = safetensors_find(file, TRAINING_CHOICES);
    REQUIRE(t, e && e->type == SAFETENSORS_U8 && e->rank == 1 && e->count == sizeof measured && safetensors_count(file) == 2);
    model_weights weights = {b.set, NN_DATA, "", "G_A."};
    training_state state = {&weights, 1, NULL, 0, b.backend};
    REQUIRE_OK(t, training_checkpoint_load(file, &state, 3, &b.err), b.err);
    safetensors_close(file);
    int before = b.backend->threads;
    resume(&b);
    CHECK(t, b.backend->threads == before + 1);
    CHECK_TEXT(t, warnings(&b, said, sizeof said), "");
    tear_down(&b);
}

static void previous_serves_too(test *t)
{
    bench b;
    REQUIRE(t, set_up(&b));
    int before = b.backend->threads;
    resume(&b); /* there is neither */
    CHECK(t, b.backend->threads == before);
    REQUIRE_OK(t, save(&b, b.previous), b.err);
    resume(&b);
    CHECK(t, b.backend->threads == before + 1);
    REQUIRE(t, file_write_all(b.latest, "torn", 4, NULL) == STATUS_OK);
    resume(&b);
    CHECK(t, b.backend->threads == before + 2);
    tear_down(&b);
}

static void none_are_no_tensor(test *t)
{
    bench b;
    char said[400];
    REQUIRE(t, set_up(&b));
    for (int i = 0; i < 2; i++) {
        b.interface.give_choices = i ? NULL : give_none;
        REQUIRE_OK(t, save(&b, b.latest), b.err);
        safetensors_file *file;
        REQUIRE_OK(t, safetensors_open(b.latest, &file, &b.err), b.err);
        CHECK(t, safetensors_count(file) == 1);
        safetensors_close(file);
        resume(&b);
    }
    b.interface.give_choices = give;
    REQUIRE_OK(t, save(&b, b.latest), b.err);
    b.interface.take_choices = NULL; /* the state is the GPU's, this is the CPU */
    resume(&b);
    CHECK_TEXT(t, warnings(&b, said, sizeof said), "");
    b.interface.give_choices = give_nothing;
    CHECK(t, save(&b, b.previous) == STATUS_NO_MEMORY);
    CHECK_CONTAINS(t, b.err.message, "no memory to give");
    CHECK(t, !file_exists(b.previous));
    tear_down(&b);
}

static void what_does_not_serve_is_a_warning(test *t)
{
    bench b;
    char said[400];
    REQUIRE(t, set_up(&b));
    REQUIRE_OK(t, save(&b, b.latest), b.err);
    b.interface.take_choices = refuse;
    resume(&b);
    CHECK_CONTAINS(t, warnings(&b, said, sizeof said), "choice of algorithms is not used");
    CHECK_CONTAINS(t, said, "measured on another one");
    b.interface.take_choices = take;
    safetensors_writer *w;
    REQUIRE_OK(t, safetensors_writer_create(&w, &b.err), b.err);
    safetensors_declare(w, TRAINING_CHOICES, SAFETENSORS_F32, 1, (size_t[]){1});
    REQUIRE_OK(t, safetensors_begin(w, b.latest, &b.err), b.err);
    REQUIRE_OK(t, safetensors_put_f32(w, (float[]){1}, 1, &b.err), b.err);
    REQUIRE_OK(t, safetensors_commit(w, &b.err), b.err);
    resume(&b);
    CHECK_CONTAINS(t, warnings(&b, said, sizeof said), "expected bytes (U8)");
    tear_down(&b);
}

TEST_MAIN(TEST(a_state_hands_them_on), TEST(previous_serves_too), TEST(none_are_no_tensor),
          TEST(what_does_not_serve_is_a_warning))

/* The whole loss in each form, its gradient, Gram matrices, and where L-BFGS ends, against PyTorch in double precision
 * (tools/oracle/style.py). */
#include "fixture.h"
#include "style/features.h"
#include "style/optimise.h"

static const char fixture[] = "tests/fixtures/style.safetensors", tiny[] = "tests/fixtures/vgg_tiny.safetensors";

static const char *const forms[] = {"gatys", "element", "keras", "relative"};
enum { CASES = sizeof forms / sizeof *forms };

typedef struct setup {
    safetensors_file *file;
    nn_backend *backend;
    model_vgg *vgg;
    config *config;
    style_options options;
    style_loss loss;
    style_evaluator *evaluator;
    float *content, *features[STYLE_MOST_LAYERS];
    size_t height, width;
    error err;
} setup;

static void end(setup *s)
{
    style_evaluator_destroy(s->evaluator);
    for (size_t i = 0; i < STYLE_MOST_LAYERS; i++) free(s->features[i]);
    free(s->content);
    model_vgg_destroy(s->vgg);
    nn_backend_destroy(s->backend);
    config_destroy(s->config);
    safetensors_close(s->file);
}

/* The fixture's case as a config: "CONTENT_FORM STYLE_FORM CONTENT_WEIGHT ..." of style.py. */
static status configure(setup *s, const char *name)
{
    char said[6][32], line[200];
    config_table table = {style_fields, style_field_count, &s->options};
    static const char *const keys[] = {"content.form", "style.gram", "content.weight", "style.weight",
                                       "total_variation.weight", "total_variation.exponent"};
    TRY(config_create(&table, 1, &s->config, &s->err));
    const char *words = safetensors_metadata_get(s->file, name);
    if (!words || sscanf(words, "%31s %31s %31s %31s %31s %31s", said[0], said[1], said[2], said[3], said[4],
                         said[5]) != 6)
        return error_set(&s->err, STATUS_FAILED, "the fixture's case %s has not six words", name);
    for (int i = 0; i < 6; i++) {
        snprintf(line, sizeof line, "%s=%s", keys[i], said[i]);
        TRY(config_set(s->config, line, &s->err));
    }
    static const char *const rest[] = {"content.layers=relu2_2", "style.layers=block1_conv1, relu2_1, conv3_1",
                                       "style.weights=0.5, 1, 0.25", "content.path=-", "style.path=-", "output.path=-"};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) TRY(config_set(s->config, rest[i], &s->err));
    return style_options_finish(&s->options, s->config, &s->err);
}

/* Gram matrices are compared with PyTorch's on the way, if `t` is given. */
static status begin(setup *s, const char *name, test *t)
{
    static const char *const names[] = {"relu1_1", "relu2_1", "conv3_1"};
    float *grams[STYLE_MOST_LAYERS] = {NULL};
    char key[64];
    size_t h, w;
    *s = (setup){0};
    TRY(safetensors_open(fixture, &s->file, &s->err));
    TRY(configure(s, name));
    TRY(nn_cpu_create(2, &s->backend, &s->err));
    TRY(model_vgg_open(tiny, &(model_vgg_options){0}, &s->vgg, &s->err));
    TRY(style_loss_init(&s->loss, &s->options, s->vgg, &s->err));
    TRY(model_vgg_load(s->vgg, s->backend, s->loss.deepest, &s->err));
    style_extractor content = {.vgg = s->vgg, .backend = s->backend, .layers = &s->loss.content};
    style_extractor style = {.vgg = s->vgg, .backend = s->backend, .layers = &s->loss.style, .grams = true};
    s->content = fixture_picture(s->file, "content", &s->height, &s->width);
    float *painting = fixture_picture(s->file, "style", &h, &w);
    TRY(style_extract(&content, s->content, s->height, s->width, s->features, &s->err));
    TRY(style_extract(&style, painting, h, w, grams, &s->err));
    style_targets targets = {{NULL}, {NULL}};
    for (size_t i = 0; i < s->loss.content.count; i++) targets.content[i] = s->features[i];
    for (size_t i = 0; i < s->loss.style.count; i++) {
        const safetensors_entry *entry;
        snprintf(key, sizeof key, "gram.%s", names[i]);
        float *expected = fixture_values(s->file, key, &entry);
        if (t) CHECK(t, expected && test_relative(grams[i], expected, entry->count) < 1e-6);
        free(expected);
        targets.grams[i] = grams[i];
    }
    status result = style_evaluator_create(&s->loss, s->vgg, s->backend, s->height, s->width, &targets, &s->evaluator,
                                           &s->err);
    for (size_t i = 0; i < s->loss.style.count; i++) free(grams[i]);
    style_extractor_free(&content);
    style_extractor_free(&style);
    free(painting);
    return result;
}

static void equals_torch(test *t)
{
    for (int i = 0; i < CASES; i++) {
        setup s;
        char key[64];
        size_t h, w;
        const safetensors_entry *entry;
        style_parts parts;
        REQUIRE_OK(t, begin(&s, forms[i], t), s.err);
        float *x = fixture_picture(s.file, "start", &h, &w), *gradient = malloc(h * w * 3 * sizeof *gradient);
        snprintf(key, sizeof key, "%s.losses", forms[i]);
        float *losses = fixture_values(s.file, key, NULL);
        snprintf(key, sizeof key, "%s.gradient", forms[i]);
        float *expected = fixture_values(s.file, key, &entry);
        REQUIRE(t, losses && expected && entry->count == h * w * 3);
        REQUIRE_OK(t, style_evaluate(s.evaluator, x, &parts, gradient, &s.err), s.err);
        CHECK_NEAR(t, parts.content, losses[0], 1e-5 * losses[0]);
        CHECK_NEAR(t, parts.style, losses[1], 1e-5 * losses[1]);
        CHECK_NEAR(t, parts.variation, losses[2], 1e-5 * losses[2]);
        CHECK_NEAR(t, parts.total, losses[0] + losses[1] + losses[2], 1e-5 * parts.total);
        if (!(test_relative(gradient, expected, entry->count) < 1e-5)) /* asked for: 1e-4 */
            test_failed(t, __FILE__, __LINE__, "%s: the gradient is off by %g", forms[i],
                        test_relative(gradient, expected, entry->count));
        free(x);
        free(gradient);
        free(losses);
        free(expected);
        end(&s);
    }
}

static status objective(void *context, const float *x, double *loss, float *gradient, error *err)
{
    setup *s = context;
    style_parts parts;
    TRY(style_evaluate(s->evaluator, x, &parts, gradient, err));
    *loss = parts.total;
    return STATUS_OK;
}

/* 30 iterations from the content, history 20 in both. */
static void ends_no_higher_than_torch(test *t)
{
    for (int i = 0; i < CASES; i++) {
        setup s;
        char key[64];
        style_minimum found;
        REQUIRE_OK(t, begin(&s, forms[i], NULL), s.err);
        snprintf(key, sizeof key, "%s.lbfgs30", forms[i]);
        const char *said = safetensors_metadata_get(s.file, key);
        REQUIRE(t, said);
        style_minimisation m = {.count = s.height * s.width * 3, .objective = objective, .context = &s,
                                .iterations = 30};
        REQUIRE_OK(t, style_lbfgs(&m, &(style_lbfgs_options){.history = 20}, s.content, &found, &s.err), s.err);
        if (!(found.loss <= 1.05 * strtod(said, NULL)))
            test_failed(t, __FILE__, __LINE__, "%s: ends at %g after %zu evaluations, PyTorch at %s", forms[i],
                        found.loss, found.evaluations, said);
        CHECK(t, found.iterations == 30);
        end(&s);
    }
}

TEST_MAIN(TEST(equals_torch), TEST(ends_no_higher_than_torch))

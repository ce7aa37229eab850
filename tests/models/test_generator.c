/* Names, shapes and limits of the generators and discriminators. */
#include "reference.h"

/* A bias is trained unless instance norm follows; these are the exceptions' keys, written out by hand. */
static bool bias_is_trained(const reference_network *n, const char *name)
{
    static const char *const unet_128[] = {
        "model.model.0.bias", "model.model.3.bias",
        "model.model.1.model.3.model.3.model.3.model.3.model.3.model.1.bias"};
    static const char *const unet_256[] = {
        "model.model.0.bias", "model.model.3.bias",
        "model.model.1.model.3.model.3.model.3.model.3.model.3.model.3.model.1.bias"};
    static const char *const pixel[] = {"net.0.bias", "net.5.bias", ""};
    static const char *const patch[] = {"model.0.bias", "model.5.bias", "model.8.bias", "model.11.bias",
                                        "model.14.bias", "model.17.bias", "model.20.bias"};
    if (strncmp(n->kind, "resnet_", 7) == 0) {
        bool six = strcmp(n->kind, "resnet_6blocks") == 0, transpose = strcmp(n->extra, "transpose") == 0;
        return strcmp(name, six ? (transpose ? "model.23.bias" : "model.27.bias")
                                : (transpose ? "model.26.bias" : "model.30.bias")) == 0;
    }
    if (strcmp(n->kind, "patchgan") == 0 || strcmp(n->kind, "n_layers") == 0)
        return strcmp(name, patch[0]) == 0 || strcmp(name, patch[atoi(n->extra)]) == 0;
    const char *const *list = strcmp(n->kind, "pixel") == 0      ? pixel
                              : strcmp(n->kind, "unet_128") == 0 ? unet_128
                                                                 : unet_256;
    return strcmp(name, list[0]) == 0 || strcmp(name, list[1]) == 0 || strcmp(name, list[2]) == 0;
}

static bool is_bias(const char *name) { return strcmp(name + strlen(name) - 5, ".bias") == 0; }

static nn_shape expected_shape(const reference_network *n, size_t i)
{
    const size_t *s = n->tensors[i].shape;
    return n->tensors[i].rank == 1 ? nn_shape_vector(s[0]) : nn_shape_of(s[0], s[1], s[2], s[3]);
}

static void check_tensors(test *t, const reference_network *n, const nn_parameters *set)
{
    CHECK(t, set->count == n->count);
    for (size_t i = 0; i < set->count && i < n->count; i++) {
        CHECK(t, strncmp(set->tensors[i].name, "G_A.", 4) == 0);
        CHECK_TEXT(t, set->tensors[i].name + 4, n->tensors[i].name);
        CHECK(t, nn_shape_equal(set->tensors[i].shape, expected_shape(n, i)));
    }
}

/* The list holds the weights and the biases that count, each under its own value. */
static void check_trained(test *t, const reference_network *n, nn_graph *g, nn_parameters *set,
                          const model_trainables *trained)
{
    size_t expected = 0;
    for (size_t i = 0; i < n->count; i++)
        expected += !is_bias(n->tensors[i].name) || bias_is_trained(n, n->tensors[i].name);
    CHECK(t, trained->count == expected);
    for (size_t i = 0; i < trained->count; i++) {
        REQUIRE(t, trained->tensors[i] < set->count);
        const nn_tensor *tensor = &set->tensors[trained->tensors[i]];
        CHECK(t, !is_bias(tensor->name) || bias_is_trained(n, tensor->name + 4));
        CHECK(t, nn_parameter(g, set, tensor->name, tensor->shape) == trained->values[i]);
    }
}

/* Every trained tensor has a gradient; no other tensor takes part. */
static void check_gradients(test *t, nn_graph *g, nn_parameters *set, const model_trainables *trained, nn_value y)
{
    nn_value wrt[REFERENCE_TENSORS], gradients[REFERENCE_TENSORS];
    REQUIRE(t, set->count <= REFERENCE_TENSORS);
    for (size_t i = 0; i < set->count; i++)
        wrt[i] = nn_parameter(g, set, set->tensors[i].name, set->tensors[i].shape);
    nn_grad(g, nn_mean_square(g, y, NN_NONE, 1), wrt, set->count, gradients);
    for (size_t i = 0; i < set->count; i++) {
        bool listed = false;
        for (size_t k = 0; k < trained->count; k++) listed |= trained->tensors[k] == i;
        CHECK(t, (gradients[i] != NN_NONE) == listed);
    }
}

static void networks_match_reference(test *t)
{
    reference_network *networks = calloc(REFERENCE_NETWORKS, sizeof *networks);
    REQUIRE(t, networks);
    size_t count = reference_read(networks);
    CHECK(t, count == 14);
    for (size_t i = 0; i < count; i++) {
        const reference_network *n = &networks[i];
        nn_graph *g = nn_graph_create();
        nn_parameters *set = nn_parameters_create();
        model_trainables trained = {0};
        nn_value y = reference_build(n, g, set, "G_A.", &trained);
        error err = {0};
        CHECK(t, nn_graph_status(g, &err) == STATUS_OK);
        CHECK_TEXT(t, err.message, "");
        check_tensors(t, n, set);
        check_trained(t, n, g, set, &trained);
        check_gradients(t, g, set, &trained, y);
        size_t before = trained.count;
        reference_build(n, g, set, "G_A.", &trained); /* again in the same graph: shared */
        CHECK(t, trained.count == before && set->count == n->count);
        reference_build(n, g, set, "G_B.", &trained);
        CHECK(t, trained.count == 2 * before && set->count == 2 * n->count);
        CHECK(t, nn_graph_status(g, &err) == STATUS_OK);
        model_trainables_free(&trained);
        nn_parameters_destroy(set);
        nn_graph_destroy(g);
    }
    free(networks);
}

static void parameter_counts(test *t)
{
    nn_graph *g = nn_graph_create();
    nn_parameters *generator = nn_parameters_create(), *discriminator = nn_parameters_create();
    nn_value x = nn_input(g, "x", nn_shape_of(2, 256, 128, 3));
    model_generator_options g_options = {
        .kind = MODEL_RESNET_9, .ngf = 64, .in_channels = 3, .out_channels = 3, .upsample = MODEL_TRANSPOSE};
    model_discriminator_options d_options = {.kind = MODEL_PATCHGAN, .ndf = 64, .in_channels = 3};
    nn_value y = model_generator_build(g, generator, "", &g_options, x, NULL);
    CHECK(t, nn_shape_equal(nn_shape_at(g, y), nn_shape_of(2, 256, 128, 3)));
    nn_value score = model_discriminator_build(g, discriminator, "", &d_options, y, NULL);
    CHECK(t, nn_shape_equal(nn_shape_at(g, score), nn_shape_of(2, 30, 14, 1)));
    CHECK(t, nn_parameters_elements(generator) == 11378179);
    CHECK(t, nn_parameters_elements(discriminator) == 2764737);
    nn_parameters_destroy(generator);
    nn_parameters_destroy(discriminator);
    nn_graph_destroy(g);
}

/* Output of a generator on a picture, or the message. */
static nn_shape generate(const model_generator_options *options, nn_shape x, error *err)
{
    nn_graph *g = nn_graph_create();
    nn_parameters *set = nn_parameters_create();
    nn_value y = model_generator_build(g, set, "", options, nn_input(g, "x", x), NULL);
    nn_shape shape = nn_shape_at(g, y);
    *err = (error){0};
    nn_graph_status(g, err);
    nn_parameters_destroy(set);
    nn_graph_destroy(g);
    return shape;
}

static nn_shape judge(const model_discriminator_options *options, nn_shape x, error *err)
{
    nn_graph *g = nn_graph_create();
    nn_parameters *set = nn_parameters_create();
    nn_value y = model_discriminator_build(g, set, "", options, nn_input(g, "x", x), NULL);
    nn_shape shape = nn_shape_at(g, y);
    *err = (error){0};
    nn_graph_status(g, err);
    nn_parameters_destroy(set);
    nn_graph_destroy(g);
    return shape;
}

static void generator_sides(test *t)
{
    error err;
    model_generator_options options = {.kind = MODEL_RESNET_6, .blocks = 2, .ngf = 2, .in_channels = 3,
                                       .out_channels = 1};
    CHECK(t, nn_shape_equal(generate(&options, nn_shape_of(1, 4, 8, 3), &err), nn_shape_of(1, 4, 8, 1)));
    CHECK_TEXT(t, err.message, "");
    generate(&options, nn_shape_of(1, 4, 4, 3), &err);
    CHECK_TEXT(t, err.message, "resnet with 2 blocks: expected an input larger than 4x4, where an instance norm would "
                               "see a single pixel");
    generate(&options, nn_shape_of(1, 8, 8, 4), &err);
    CHECK_TEXT(t, err.message, "resnet with 2 blocks: expected an input of 3 channels, found 4");
    options.blocks = 6;
    options.kind = MODEL_RESNET_9; /* the number decides */
    generate(&options, nn_shape_of(1, 8, 10, 3), &err);
    CHECK_TEXT(t, err.message, "resnet_6blocks: expected an input whose sides are multiples of 4, found 10x8 "
                               "(width x height)");
    options = (model_generator_options){.kind = MODEL_UNET_256, .ngf = 1, .in_channels = 1, .out_channels = 1};
    CHECK(t, nn_shape_equal(generate(&options, nn_shape_of(1, 256, 512, 1), &err), nn_shape_of(1, 256, 512, 1)));
    CHECK_TEXT(t, err.message, "");
    generate(&options, nn_shape_of(1, 384, 256, 1), &err);
    CHECK_TEXT(t, err.message, "unet_256: expected an input whose sides are multiples of 256, found 256x384 "
                               "(width x height)");
    options.kind = MODEL_UNET_128;
    CHECK(t, nn_shape_equal(generate(&options, nn_shape_of(1, 384, 128, 1), &err), nn_shape_of(1, 384, 128, 1)));
    CHECK_TEXT(t, err.message, "");
    CHECK(t, model_generator_stride(&options) == 128);
}

static void discriminator_sides(test *t)
{
    error err;
    for (size_t layers = 1; layers <= MODEL_MAX_LAYERS; layers++) {
        model_discriminator_options options = {
            .kind = MODEL_N_LAYERS, .ndf = 1, .in_channels = 2, .layers = layers};
        size_t side = model_discriminator_minimum(&options);
        CHECK(t, side == 3u << layers);
        CHECK(t, nn_shape_equal(judge(&options, nn_shape_of(1, side, 2 * side, 2), &err), nn_shape_of(1, 1, 4, 1)));
        CHECK_TEXT(t, err.message, "");
        judge(&options, nn_shape_of(1, side, side - 1, 2), &err);
        CHECK_CONTAINS(t, err.message, "n_layers: expected an input of at least ");
    }
    model_discriminator_options options = {.kind = MODEL_N_LAYERS, .ndf = 1, .in_channels = 2, .layers = 7};
    judge(&options, nn_shape_of(1, 999, 999, 2), &err);
    CHECK_TEXT(t, err.message, "n_layers: expected 1 to 6 layers, found 7");
    options = (model_discriminator_options){.kind = MODEL_PATCHGAN, .ndf = 1, .in_channels = 2};
    judge(&options, nn_shape_of(1, 24, 23, 2), &err);
    CHECK_TEXT(t, err.message, "patchgan: expected an input of at least 24x24, found 23x24 (width x height)");
    judge(&options, nn_shape_of(1, 24, 24, 3), &err);
    CHECK_TEXT(t, err.message, "patchgan: expected an input of 2 channels, found 3");
    options.kind = MODEL_PIXEL;
    CHECK(t, nn_shape_equal(judge(&options, nn_shape_of(1, 5, 2, 2), &err), nn_shape_of(1, 5, 2, 1)));
    CHECK_TEXT(t, err.message, "");
}

TEST_MAIN(TEST(networks_match_reference), TEST(parameter_counts), TEST(generator_sides), TEST(discriminator_sides))

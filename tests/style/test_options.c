/* The config of style transfer and its presets. */
#include "style/list.h"
#include "style/options.h"
#include "test.h"

static status read_options(const char *const *settings, style_options *o, config **c, error *err)
{
    config_table table = {style_fields, style_field_count, o};
    static const char *const needed[] = {"content.path=c", "style.path=s", "output.path=o"};
    TRY(config_create(&table, 1, c, err));
    for (size_t i = 0; i < 3; i++) TRY(config_set(*c, needed[i], err));
    for (; *settings; settings++) TRY(config_set(*c, *settings, err));
    return style_options_finish(o, *c, err);
}

static void has_presets(test *t)
{
    style_options o;
    config *c;
    error err = {0};
    REQUIRE_OK(t, read_options((const char *[]){"preset=keras", NULL}, &o, &c, &err), err);
    CHECK(t, o.content_form == STYLE_CONTENT_SUM && o.gram == STYLE_GRAM_KERAS && o.content_weight == 0.025);
    CHECK(t, o.style_weight == 1 && o.variation_weight == 1e-4 && o.variation_exponent == 2.5);
    CHECK_TEXT(t, o.content_layers, "block5_conv2");
    CHECK(t, !o.style_weights); /* 1 / 5 each */
    config_destroy(c);
    REQUIRE_OK(t, read_options((const char *[]){"preset=gatys", "style.weight=7", NULL}, &o, &c, &err), err);
    CHECK(t, o.content_form == STYLE_CONTENT_MEAN && o.gram == STYLE_GRAM_GATYS && o.size == 512);
    CHECK(t, o.style_weight == 7); /* what was given goes before the preset */
    double weights[5];
    static const double channels[5] = {64, 128, 256, 512, 512};
    REQUIRE_OK(t, style_weights_read("style.weights", o.style_weights, 1, weights, 5, &err), err);
    for (int i = 0; i < 5; i++) CHECK_NEAR(t, weights[i] / 4, 1000 / (channels[i] * channels[i]), 1e-12);
    config_destroy(c);
    REQUIRE_OK(t, read_options((const char *[]){"preset=gatys", "style.layers=relu1_1", NULL}, &o, &c, &err), err);
    CHECK(t, !o.style_weights);
    config_destroy(c);
    /* The complete config reads back to itself. */
    REQUIRE_OK(t, read_options((const char *[]){NULL}, &o, &c, &err), err);
    text dump = {0};
    config_dump(c, &dump);
    config_destroy(c);
    config_table table = {style_fields, style_field_count, &o};
    REQUIRE_OK(t, config_create(&table, 1, &c, &err), err);
    REQUIRE_OK(t, config_read_text(c, "dump", dump.data, dump.length, &err), err);
    CHECK(t, o.iterations == 200 && o.gram == STYLE_GRAM_RELATIVE && strcmp(o.features, "random") == 0);
    text_free(&dump);
    config_destroy(c);
}

static void refuses(test *t)
{
    style_options o;
    config *c;
    error err = {0};
    CHECK(t, read_options((const char *[]){"content.weight=0", "style.weight=0", NULL}, &o, &c, &err) == STATUS_USAGE);
    CHECK_CONTAINS(t, err.message, "there is nothing to do");
    config_destroy(c);
    CHECK(t, read_options((const char *[]){"features=", NULL}, &o, &c, &err) == STATUS_USAGE);
    CHECK_CONTAINS(t, err.message, "features must be a file, or random");
    config_destroy(c);
}

static void reads_lists(test *t)
{
    style_list list;
    error err = {0};
    REQUIRE_OK(t, style_list_read(&list, " relu1_1,relu 2 , ,\tx ", &err), err);
    REQUIRE(t, list.count == 3);
    CHECK_TEXT(t, list.items[0], "relu1_1");
    CHECK_TEXT(t, list.items[1], "relu 2");
    CHECK_TEXT(t, list.items[2], "x");
    style_list_free(&list);
    REQUIRE_OK(t, style_list_read(&list, NULL, &err), err);
    CHECK(t, list.count == 0);
    style_list_free(&list);
    double weights[2];
    REQUIRE_OK(t, style_weights_read("k", "0, 2.5", 1, weights, 2, &err), err);
    CHECK(t, weights[0] == 0 && weights[1] == 2.5);
    CHECK(t, style_weights_read("k", "-1, 2", 1, weights, 2, &err) == STATUS_USAGE);
    CHECK(t, style_weights_read("k", "nan, 2", 1, weights, 2, &err) == STATUS_USAGE);
    CHECK(t, style_weights_read("k", "0, 0", 1, weights, 2, &err) == STATUS_USAGE);
}

TEST_MAIN(TEST(has_presets), TEST(refuses), TEST(reads_lists))

/* The whole of evaluate on folders: its numbers (expected.h has them from Python), what it leaves out, what it refuses,
 * and the program's output. */
#include <jansson.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/program.h"
#include "compare/evaluate.h"
#include "compare/metrics/vectors.h"
#include "compare/metrics/wasserstein.h"
#include "expected.h"
#include "inputs.h"
#include "nn/cpu/cpu.h"
#include "test.h"

static const char tiny[] = "tests/fixtures/vgg_tiny.safetensors"; /* up to conv3_1 */

typedef struct scene {
    char folder[64], paths[4][128];
    nn_backend *backend;
    log_sink log;
    FILE *said;
    error err;
} scene;

static const char *const folder_names[] = {"real", "fake", "content", "train"};

static void write_picture(scene *s, const char *folder, const char *name, size_t set, size_t index)
{
    char path[256];
    image picture = {0};
    snprintf(path, sizeof path, "%s/%s/%s", s->folder, folder, name);
    if (image_create(&picture, SIDE, SIDE, &s->err) != STATUS_OK) return;
    input_picture(set, index, picture.pixels);
    image_write(path, &picture, NULL, &s->err);
    image_free(&picture);
}

/* real/ and train/: set 0. fake/: set 1, one of it in a folder below. content/: set 0 under the outputs' names. */
static scene begin(void)
{
    scene s = {.folder = "/tmp/cyclegan-test-XXXXXX"};
    char path[256], name[32];
    s.said = tmpfile();
    s.log = log_create(s.said, false);
    if (!mkdtemp(s.folder)) s.err.code = STATUS_FAILED;
    for (size_t i = 0; i < 4; i++) {
        snprintf(s.paths[i], sizeof s.paths[i], "%s/%s", s.folder, folder_names[i]);
        snprintf(path, sizeof path, "%s/sub", s.paths[i]);
        file_make_folders(path, &s.err);
    }
    for (size_t i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "r%zu.png", i);
        write_picture(&s, "real", name, 0, i);
        write_picture(&s, "train", name, 0, i);
    }
    for (size_t i = 0; i < 5; i++) {
        snprintf(name, sizeof name, i < 4 ? "o%zu.png" : "sub/o%zu.PNG", i); /* "sub" comes after the files of fake/ */
        write_picture(&s, "fake", name, 1, i);
        snprintf(name, sizeof name, i < 4 ? "o%zu.png" : "sub/o%zu.png", i);
        write_picture(&s, "content", name, 0, i);
    }
    nn_cpu_create(1, &s.backend, &s.err);
    return s;
}

static void end(scene *s)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", s->folder);
    if (system(command) != 0) printf("%s: cannot remove\n", s->folder);
    nn_backend_destroy(s->backend);
    fclose(s->said);
}

/* What the log said. */
static const char *said(scene *s, char buffer[4096])
{
    rewind(s->said);
    buffer[fread(buffer, 1, 4095, s->said)] = '\0';
    return buffer;
}

static compare_request request_of(const scene *s)
{
    return (compare_request){.real = s->paths[0], .fake = s->paths[1], .side = SIDE, .seed = 5};
}

static void check_number(test *t, const compare_evaluation *e, const char *key, const double expected[3], double bound)
{
    const compare_estimate *found = compare_evaluation_find(e, key);
    double allowed = bound * fabs(expected[0]);
    if (!found || !(fabs(found->value - expected[0]) <= allowed && fabs(found->low - expected[1]) <= allowed &&
                    fabs(found->high - expected[2]) <= allowed))
        test_failed(t, __FILE__, __LINE__, "%s is %g [%g, %g], expected %g [%g, %g]", key, found ? found->value : NAN,
                    found ? found->low : NAN, found ? found->high : NAN, expected[0], expected[1], expected[2]);
}

static compare_network *tiny_network(scene *s)
{
    const compare_network_options options = {.file = tiny, .layer = "relu3_1", .side = SIDE};
    compare_network *network = NULL;
    compare_network_create(s->backend, &options, &network, &s->err);
    return network;
}

static void check_numbers(test *t, const compare_evaluation *e)
{
    check_number(t, e, "kid", expected_evaluation_kid, 1e-4);
    check_number(t, e, "content", expected_evaluation_content, 1e-5);
    check_number(t, e, "style_nearest", expected_evaluation_style_nearest, 1e-5);
    check_number(t, e, "style_mean", expected_evaluation_style_mean, 1e-5);
    check_number(t, e, "diversity", expected_evaluation_diversity, 1e-5);
    check_number(t, e, "diversity_real", expected_evaluation_diversity_real, 1e-5);
    check_number(t, e, "nearest", expected_evaluation_nearest, 1e-5);
    check_number(t, e, "ssim", expected_evaluation_ssim, 1e-9);
    CHECK(t, !compare_evaluation_find(e, "sdw") && compare_evaluation_find(e, "swd_16"));
}

static void measures_folders(test *t)
{
    scene s = begin();
    compare_request request = request_of(&s);
    request.content = s.paths[2];
    request.train = s.paths[3];
    request.network = tiny_network(&s);
    REQUIRE_OK(t, s.err.code, s.err);
    compare_evaluation e;
    REQUIRE_OK(t, compare_evaluate(&request, &s.log, &e, &s.err), s.err);
    check_numbers(t, &e);
    REQUIRE(t, e.output_count == 5 && e.pairs == 5 && e.left_out == 0);
    CHECK(t, compare_network_style_layers(request.network) == 3);
    for (size_t i = 0; i < 5; i++) {
        const compare_output *o = &e.outputs[i];
        size_t number = (size_t)(strrchr(o->name, 'o')[1] - '0');
        if (number < 3) CHECK_NEAR(t, o->ssim, expected_ssim[number], 1e-9);
        CHECK(t, o->content > 0 && o->style > 0 && o->features.name && o->pixels.name);
    }
    compare_evaluation_free(&e);
    /* Outputs that are training pictures: no change, no style distance, copies all. */
    request.fake = request.content = request.real;
    REQUIRE_OK(t, compare_evaluate(&request, &s.log, &e, &s.err), s.err);
    const char *const zero[] = {"content", "style_nearest", "nearest", "pixel_nearest"};
    const char *const one[] = {"ssim", "copies", "pixel_copies"};
    for (size_t i = 0; i < 4; i++) CHECK_NEAR(t, compare_evaluation_find(&e, zero[i])->value, 0, 1e-9);
    for (size_t i = 0; i < 3; i++) CHECK_NEAR(t, compare_evaluation_find(&e, one[i])->value, 1, 1e-9);
    CHECK_TEXT(t, e.outputs[3].features.name, "r3.png");
    compare_evaluation_free(&e);
    compare_network_destroy(request.network);
    end(&s);
}

static void check_equal(test *t, const compare_evaluation *a, const compare_evaluation *b)
{
    REQUIRE(t, a->count == b->count);
    for (size_t i = 0; i < a->count; i++)
        if (memcmp(&a->measures[i].estimate, &b->measures[i].estimate, sizeof(compare_estimate)))
            test_failed(t, __FILE__, __LINE__, "%s differs", a->measures[i].key);
}

/* The bits are those without a cache; what is in it is not computed again, but where pictures have changed. */
static void keeps_features(test *t)
{
    scene s = begin();
    compare_cache cache = {0};
    compare_evaluation alone, first, later;
    compare_request request = request_of(&s), cached;
    request.train = s.paths[3];
    request.network = tiny_network(&s);
    cached = request;
    cached.cache = &cache;
    REQUIRE_OK(t, compare_evaluate(&request, &s.log, &alone, &s.err), s.err);
    REQUIRE_OK(t, compare_evaluate(&cached, &s.log, &first, &s.err), s.err);
    check_equal(t, &alone, &first);
    const compare_features before = cache.sets[COMPARE_REAL];
    REQUIRE_OK(t, compare_evaluate(&cached, &s.log, &later, &s.err), s.err);
    check_equal(t, &alone, &later);
    CHECK(t, cache.sets[COMPARE_REAL].grams == before.grams && !cache.sets[COMPARE_FAKE].pooled);
    compare_evaluation_free(&later);
    cache.sets[COMPARE_TRAIN].pooled[0] += 100; /* would be seen, so it is the cache that is read */
    cache.sets[COMPARE_REAL].pooled[0] += 100;
    REQUIRE_OK(t, compare_evaluate(&cached, &s.log, &later, &s.err), s.err);
    const char *const keys[] = {"kid", "nearest"};
    for (size_t i = 0; i < 2; i++)
        CHECK(t, compare_evaluation_find(&later, keys[i])->value != compare_evaluation_find(&alone, keys[i])->value);
    compare_evaluation_free(&later);
    compare_evaluation_free(&alone);
    write_picture(&s, "real", "r1.png", 1, 3);
    write_picture(&s, "train", "r2.png", 1, 4);
    REQUIRE_OK(t, compare_evaluate(&request, &s.log, &alone, &s.err), s.err);
    REQUIRE_OK(t, compare_evaluate(&cached, &s.log, &later, &s.err), s.err);
    check_equal(t, &alone, &later);
    compare_evaluation_free(&later);
    compare_evaluation_free(&first);
    compare_evaluation_free(&alone);
    compare_cache_free(&cache);
    compare_network_destroy(request.network);
    end(&s);
}

static void needs_no_network(test *t)
{
    scene s = begin();
    compare_request request = request_of(&s);
    compare_evaluation e;
    compare_wasserstein w;
    REQUIRE_OK(t, compare_evaluate(&request, &s.log, &e, &s.err), s.err);
    CHECK(t, e.count == 5 && !compare_evaluation_find(&e, "kid") && !compare_evaluation_find(&e, "ssim"));
    compare_pictures real = input_set(0), fake = input_set(1);
    const compare_wasserstein_options options = {.seed = 5};
    REQUIRE_OK(t, compare_wasserstein_measure(&real, &fake, &options, &w, &s.err), s.err);
    CHECK_NEAR(t, compare_evaluation_find(&e, "swd")->value, w.mean.value, 0);
    CHECK(t, isnan(e.outputs[0].ssim) && isnan(e.outputs[0].style) && !e.outputs[0].pixels.name);
    compare_pictures_free(&real);
    compare_pictures_free(&fake);
    compare_evaluation_free(&e);
    end(&s);
}

static void leaves_out(test *t)
{
    scene s = begin();
    char path[256], buffer[4096];
    compare_request request = request_of(&s);
    request.content = s.paths[2];
    snprintf(path, sizeof path, "%s/r2.png", s.paths[0]);
    REQUIRE_OK(t, file_write_all(path, "rubbish", 7, &s.err), s.err);
    snprintf(path, sizeof path, "%s/o1.png", s.paths[2]);
    unlink(path);
    compare_evaluation e;
    REQUIRE_OK(t, compare_evaluate(&request, &s.log, &e, &s.err), s.err);
    CHECK(t, e.left_out == 1 && e.folders[COMPARE_REAL].left_out_count == 1 && e.pairs == 4);
    CHECK(t, compare_evaluation_find(&e, "ssim")->n == 4 && compare_evaluation_find(&e, "swd")->n == 5);
    CHECK_CONTAINS(t, said(&s, buffer), "r2.png: expected a PNG, JPEG or WebP picture");
    CHECK_CONTAINS(t, said(&s, buffer), "; left out\n");
    CHECK_CONTAINS(t, said(&s, buffer), "o1.png: no input of this name; left out");
    compare_evaluation_free(&e);
    end(&s);
}

static void check_refused(test *t, scene *s, const compare_request *request, const char *part)
{
    compare_evaluation e;
    if (compare_evaluate(request, &s->log, &e, &s->err) == STATUS_OK) {
        test_failed(t, __FILE__, __LINE__, "accepted; expected: %s", part);
        compare_evaluation_free(&e);
        return;
    }
    CHECK_CONTAINS(t, s->err.message, part);
}

static void refuses(test *t)
{
    scene s = begin();
    char path[256];
    compare_request request = request_of(&s);
    request.content = s.paths[0];
    check_refused(t, &s, &request, "/real: 0 inputs with the names of outputs, expected 2 at least");
    snprintf(path, sizeof path, "%s/sub", s.paths[0]);
    request.real = path;
    check_refused(t, &s, &request, "/real/sub: no pictures");
    request = request_of(&s);
    request.train = path;
    check_refused(t, &s, &request, "/real/sub: no pictures");
    snprintf(path, sizeof path, "%s/sub", s.paths[1]);
    request.train = path;
    check_refused(t, &s, &request, "/fake/sub: 1 training pictures, expected 2 at least");
    request.train = NULL;
    request.fake = path;
    check_refused(t, &s, &request, "/fake/sub: 1 outputs, expected 4 at least");
    request.fake = "/nonexistent";
    check_refused(t, &s, &request, "/nonexistent");
    const compare_network_options behind = {.file = tiny, .layer = "relu4_2", .side = SIDE};
    compare_network *network;
    CHECK(t, compare_network_create(s.backend, &behind, &network, &s.err) == STATUS_USAGE && !network);
    CHECK_CONTAINS(t, s.err.message, "'relu4_2' is not in this file, which ends at conv3_1");
    const compare_network_options small = {.file = tiny, .layer = "relu3_1", .side = 2};
    CHECK(t, compare_network_create(s.backend, &small, &network, &s.err) != STATUS_OK && !network);
    CHECK_CONTAINS(t, s.err.message, "2x2");
    end(&s);
}

/* Standard output of the program; its exit status in *code. Empty when it is not built. */
static char *run(const char *words, int *code)
{
    static char output[1 << 16];
    char command[1200];
    snprintf(command, sizeof command, "'%s' evaluate %s", program(), words);
    FILE *pipe = popen(command, "r");
    size_t used = pipe ? fread(output, 1, sizeof output - 1, pipe) : 0;
    output[used] = '\0';
    int result = pipe ? pclose(pipe) : -1;
    *code = WIFEXITED(result) ? WEXITSTATUS(result) : -1;
    return output;
}

static double number_at(const json_t *root, const char *key, const char *part)
{
    return json_number_value(json_object_get(json_object_get(json_object_get(root, "measures"), key), part));
}

static void prints_json(test *t)
{
    scene s = begin();
    char words[1024], odd[256];
    int code;
    if (access("build/cyclegan", X_OK) != 0 && !getenv("CYCLEGAN")) SKIP(t, "the program is not built");
    snprintf(odd, sizeof odd, "%s/\xff\".png", s.paths[1]); /* neither UTF-8 nor printable */
    REQUIRE_OK(t, file_write_all(odd, "rubbish", 7, &s.err), s.err);
    snprintf(words, sizeof words, "--real %s --fake %s --content %s --train %s --size %d --features %s --layer relu3_1 "
             "--json --threads 1 2>/dev/null", s.paths[0], s.paths[1], s.paths[2], s.paths[3], SIDE, tiny);
    json_t *root = json_loads(run(words, &code), 0, NULL);
    REQUIRE(t, root);
    CHECK(t, code == 1); /* one was left out */
    CHECK_NEAR(t, number_at(root, "style_mean", "value"), expected_evaluation_style_mean[0], 1e-4);
    CHECK_NEAR(t, number_at(root, "style_mean", "low"), expected_evaluation_style_mean[1], 1e-4);
    CHECK_NEAR(t, number_at(root, "style_mean", "high"), expected_evaluation_style_mean[2], 1e-4);
    CHECK(t, number_at(root, "style_mean", "n") == 5 && number_at(root, "style_mean", "m") == 6);
    CHECK(t, json_is_false(json_object_get(json_object_get(root, "features"), "random")));
    const json_t *fake = json_object_get(json_object_get(root, "folders"), "fake");
    const char *left_out = json_string_value(json_array_get(json_object_get(fake, "left_out"), 0));
    CHECK_TEXT(t, left_out ? left_out : "", "\\xff\".png");
    CHECK(t, json_integer_value(json_object_get(fake, "pictures")) == 5);
    const json_t *output = json_array_get(json_object_get(root, "outputs"), 0);
    CHECK(t, json_is_string(json_object_get(json_object_get(output, "nearest"), "training")));
    CHECK(t, json_is_real(json_object_get(output, "ssim")));
    json_decref(root);
    end(&s);
}

static void prints_a_table(test *t)
{
    scene s = begin();
    char words[1024];
    int code;
    if (access("build/cyclegan", X_OK) != 0 && !getenv("CYCLEGAN")) SKIP(t, "the program is not built");
    snprintf(words, sizeof words, "--real %s --fake %s --train %s --size %d --features none --quiet 2>&1", s.paths[0],
             s.paths[0], s.paths[0], SIDE);
    const char *output = run(words, &code);
    CHECK(t, code == 0);
    CHECK_CONTAINS(t, output, "features: none\n");
    CHECK_CONTAINS(t, output, "\npixel_copies                    1  0.6097 to 1");
    CHECK_CONTAINS(t, output, "\nr2.png is close to the training picture r2.png: distance in pixels 0\n");
    snprintf(words, sizeof words, "--real %s --fake %s --size %d --features random --layer relu1_1 --quiet 2>&1",
             s.paths[0], s.paths[1], SIDE);
    output = run(words, &code);
    CHECK(t, code == 0);
    CHECK_CONTAINS(t, output, "features: relu1_1 of VGG-19 with random weights (seed 1)");
    CHECK_CONTAINS(t, output, "RANDOM weights");
    snprintf(words, sizeof words, "--real %s --fake %s --layer relu1_7 2>&1", s.paths[0], s.paths[1]);
    CHECK_CONTAINS(t, run(words, &code), "has no layer 'relu1_7'; did you mean '");
    CHECK(t, code == 2);
    CHECK_CONTAINS(t, run("--real a --fake b --features none --layer relu1_1 2>&1", &code), "has no meaning with");
    CHECK(t, code == 2);
    CHECK_CONTAINS(t, run("--real a --fake b --size 100 2>&1", &code), "expected one of 16, 32");
    CHECK(t, code == 2);
    end(&s);
}

/* Of 30 outputs that are copies and 3 that are none. */
static void lists_some_of_many_copies(test *t)
{
    enum { OUTPUTS = 33, LISTED = 20 };
    compare_output outputs[OUTPUTS] = {0};
    compare_evaluation e = {.outputs = outputs};
    for (size_t i = 0; i < OUTPUTS; i++) {
        outputs[i].name = "out.png";
        outputs[i].pixels = (compare_match){.name = "training.png", .distance = 0.5, .close = i % 11 != 10};
    }
    for (size_t count = LISTED; count <= OUTPUTS; count += OUTPUTS - LISTED) {
        text lines = {0};
        size_t listed = 0;
        e.output_count = count;
        compare_evaluation_print(&e, NULL, NULL, &lines);
        for (const char *at = text_get(&lines); (at = strstr(at, "out.png is close")); at++) listed++;
        CHECK(t, listed == (count == LISTED ? LISTED - 1 : LISTED));
        CHECK(t, !strstr(text_get(&lines), " more") == (count == LISTED));
        if (count == OUTPUTS) CHECK_CONTAINS(t, text_get(&lines), "distance in pixels 0.5\nand 10 more, which --json lists\n");
        text_free(&lines);
    }
}

TEST_MAIN(TEST(measures_folders), TEST(keeps_features), TEST(needs_no_network), TEST(leaves_out), TEST(refuses), TEST(prints_json),
          TEST(prints_a_table), TEST(lists_some_of_many_copies))

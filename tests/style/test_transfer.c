/* Style transfer over files and folders, with a tiny network: results, caches, and what is refused. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "image/image.h"
#include "style/gatys.h"
#include "style/transfer.h"
#include "test.h"

static const char tiny[] = "tests/fixtures/vgg_tiny.safetensors";

typedef struct place {
    char folder[64], paths[8][200];
    int next;
    FILE *messages;
    char said[8192];
    log_sink log;
    error err;
} place;

static place begin(void)
{
    place p = {.folder = "/tmp/cyclegan-style-XXXXXX"};
    if (!mkdtemp(p.folder)) perror(p.folder);
    p.messages = tmpfile();
    p.log = log_create(p.messages, false);
    return p;
}

static void end(place *p)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", p->folder);
    if (system(command) != 0) perror(command);
    fclose(p->messages);
}

__attribute__((format(printf, 2, 3))) static const char *at(place *p, const char *format, ...)
{
    char *out = p->paths[p->next++ % 8], folder[sizeof p->folder];
    memcpy(folder, p->folder, sizeof folder);
    int used = snprintf(out, sizeof p->paths[0], "%s/", folder);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out + used, sizeof p->paths[0] - (size_t)used, format, arguments);
    va_end(arguments);
    return out;
}

static image make_picture(size_t width, size_t height, unsigned seed)
{
    image picture = {0};
    error err = {0};
    if (image_create(&picture, width, height, &err) != STATUS_OK) return picture;
    for (size_t i = 0; i < width * height * 3; i++)
        picture.pixels[i] = (uint8_t)(128 + 100 * sin((double)(i / 3 % width) / (3 + seed) + (double)(i % 3)) *
                                                cos((double)(i / 3 / width) / (2 + seed)));
    return picture;
}

static void save_picture(place *p, const char *path, size_t width, size_t height, unsigned seed)
{
    image picture = make_picture(width, height, seed);
    if (file_make_parent(path, &p->err) != STATUS_OK || image_write(path, &picture, NULL, &p->err) != STATUS_OK)
        printf("%s\n", p->err.message);
    image_free(&picture);
}

/* Settings after those for a short run with the tiny network; ends with NULL. */
static status transfer(place *p, ...)
{
    const char *settings[24] = {"content.layers=relu2_2", "style.layers=relu1_1, relu2_1", "optimiser.iterations=4"};
    char features[128];
    size_t count = 3;
    snprintf(features, sizeof features, "features=%s", tiny);
    settings[count++] = features;
    va_list arguments;
    va_start(arguments, p);
    for (const char *s; (s = va_arg(arguments, const char *)) != NULL;) settings[count++] = s;
    va_end(arguments);
    style_transfer_request request = {.settings = settings, .setting_count = count, .threads = 2};
    p->err = (error){0};
    rewind(p->messages);
    if (ftruncate(fileno(p->messages), 0) != 0) perror("ftruncate");
    status result = style_transfer(&request, &p->log, &p->err);
    fflush(p->messages);
    rewind(p->messages);
    p->said[fread(p->said, 1, sizeof p->said - 1, p->messages)] = '\0';
    return result;
}

/* "KEY=FOLDER/NAME" */
static const char *set(place *p, char buffer[256], const char *key, const char *name)
{
    snprintf(buffer, 256, "%s=%s/%s", key, p->folder, name);
    return buffer;
}

static void makes_a_picture(test *t)
{
    place p = begin();
    char a[256], b[256], c[256];
    image picture = {0};
    save_picture(&p, at(&p, "c.png"), 40, 30, 1);
    save_picture(&p, at(&p, "s.png"), 33, 35, 4);
    set(&p, a, "content.path", "c.png");
    set(&p, b, "style.path", "s.png");
    set(&p, c, "output.path", "deep/out.png");
    REQUIRE_OK(t, transfer(&p, a, b, c, "output.every=2", NULL), p.err);
    REQUIRE_OK(t, image_read(at(&p, "deep/out.png"), NULL, &picture, &p.err), p.err);
    CHECK(t, picture.width == 40 && picture.height == 30);
    image_free(&picture);
    CHECK(t, file_exists(at(&p, "deep/out_000002.png")) && file_exists(at(&p, "deep/out_000004.png")));
    CHECK(t, !file_exists(at(&p, "deep/out_000001.png")) && !file_exists(at(&p, "deep/gatys.yaml")));
    CHECK_CONTAINS(t, p.said, "features: VGG-19 up to conv3_1");
    CHECK_CONTAINS(t, p.said, "deep/out.png: 40x30 in ");
    CHECK_CONTAINS(t, p.said, "4 iterations of ");
    /* It is left alone, unless it may be replaced. */
    CHECK(t, transfer(&p, a, b, c, NULL) == STATUS_FAILED);
    CHECK_CONTAINS(t, p.err.message, "deep/out.png exists, and is left alone; --overwrite replaces it");
    REQUIRE_OK(t, transfer(&p, a, b, c, "output.overwrite=true", "image.size=20", NULL), p.err);
    REQUIRE_OK(t, image_read(at(&p, "deep/out.png"), NULL, &picture, &p.err), p.err);
    CHECK(t, picture.width == 27 && picture.height == 20); /* never squashed */
    image_free(&picture);
    /* Into a folder that exists, under the content's name. */
    REQUIRE_OK(t, file_make_folders(at(&p, "there"), &p.err), p.err);
    set(&p, c, "output.path", "there");
    REQUIRE_OK(t, transfer(&p, a, b, c, NULL), p.err);
    CHECK(t, file_exists(at(&p, "there/c.png")));
    end(&p);
}

static void does_folders(test *t)
{
    place p = begin();
    char a[256], b[256], c[256];
    for (unsigned i = 1; i <= 2; i++) save_picture(&p, at(&p, "in/%u.png", i), 30, 24, i);
    for (unsigned i = 1; i <= 3; i++) save_picture(&p, at(&p, "styles/%u.jpg", i), 24 + i, 26, i + 3);
    set(&p, a, "content.path", "in");
    set(&p, b, "style.path", "styles");
    set(&p, c, "output.path", "in/out");
    REQUIRE_OK(t, transfer(&p, a, b, c, NULL), p.err);
    CHECK_CONTAINS(t, p.said, "style: 3 pictures");
    CHECK_CONTAINS(t, p.said, "2 pictures made, 0 there already, 0 failed");
    CHECK(t, file_exists(at(&p, "in/out/1.png")) && file_exists(at(&p, "in/out/2.png")));
    CHECK(t, file_exists(at(&p, "in/out/gatys.yaml")));
    /* Again: what is there stays; the results are no contents; the style is known. */
    REQUIRE(t, unlink(at(&p, "in/out/2.png")) == 0);
    REQUIRE_OK(t, transfer(&p, a, b, c, NULL), p.err);
    CHECK_CONTAINS(t, p.said, "1 pictures made, 1 there already, 0 failed");
    CHECK_CONTAINS(t, p.said, "the mean of 3 pictures at 24, computed before");
    CHECK(t, !file_exists(at(&p, "in/out/out")));
    /* A changed style picture changes the cache's name. */
    save_picture(&p, at(&p, "styles/2.jpg"), 31, 26, 9);
    CHECK(t, transfer(&p, a, b, c, NULL) == STATUS_FAILED);
    CHECK_CONTAINS(t, p.err.message, "in/out/1.png exists, and was not made with these settings, network and style");
    REQUIRE_OK(t, transfer(&p, a, b, c, "output.overwrite=true", NULL), p.err);
    CHECK(t, !strstr(p.said, "computed before"));
    REQUIRE_OK(t, transfer(&p, a, b, c, NULL), p.err);
    CHECK_CONTAINS(t, p.said, "0 pictures made, 2 there already, 0 failed");
    /* A content, or the network, under the same name. */
    save_picture(&p, at(&p, "in/2.png"), 30, 24, 7);
    CHECK(t, transfer(&p, a, b, c, NULL) == STATUS_FAILED);
    CHECK_CONTAINS(t, p.err.message, "in/out/2.png exists, and its content has changed since it was made");
    REQUIRE_OK(t, transfer(&p, a, b, c, "output.overwrite=true", NULL), p.err);
    CHECK_CONTAINS(t, p.said, "2 pictures made");
    char *bytes, file[220] = "features=";
    size_t size;
    strcat(file, at(&p, "vgg.safetensors"));
    REQUIRE_OK(t, file_read_all(tiny, 1 << 20, &bytes, &size, &p.err), p.err);
    REQUIRE_OK(t, file_write_all(file + 9, bytes, size, &p.err), p.err);
    REQUIRE_OK(t, transfer(&p, a, b, c, file, "output.overwrite=true", NULL), p.err);
    REQUIRE_OK(t, transfer(&p, a, b, c, file, NULL), p.err);
    CHECK_CONTAINS(t, p.said, "0 pictures made, 2 there already, 0 failed");
    uint64_t header;
    memcpy(&header, bytes, sizeof header);
    bytes[8 + header] ^= 1; /* the last bit of the first weight */
    REQUIRE_OK(t, file_write_all(file + 9, bytes, size, &p.err), p.err);
    free(bytes);
    CHECK(t, transfer(&p, a, b, c, file, NULL) == STATUS_FAILED);
    CHECK_CONTAINS(t, p.err.message, "in/out/1.png exists, and was not made with these settings, network and style");
    REQUIRE_OK(t, transfer(&p, a, b, c, "output.overwrite=true", NULL), p.err);
    /* Inputs are never overwritten. */
    char one[256], same[256];
    set(&p, one, "content.path", "in/1.png");
    set(&p, same, "output.path", "in/1.png");
    CHECK(t, transfer(&p, one, b, same, "output.overwrite=true", NULL) == STATUS_FAILED);
    CHECK_CONTAINS(t, p.err.message, "in/1.png would overwrite the input ");
    REQUIRE(t, symlink("1.jpg", at(&p, "styles/link.jpg")) == 0);
    set(&p, same, "output.path", "styles/link.jpg");
    CHECK(t, transfer(&p, one, b, same, "output.overwrite=true", NULL) == STATUS_FAILED);
    CHECK_CONTAINS(t, p.err.message, "styles/link.jpg would overwrite the input ");
    REQUIRE(t, unlink(at(&p, "styles/link.jpg")) == 0);
    /* Other settings. */
    CHECK(t, transfer(&p, a, b, c, "style.weight=3", NULL) == STATUS_FAILED);
    CHECK_CONTAINS(t, p.err.message, "in/out/1.png exists, and was not made with these settings, network and style;");
    /* One broken picture on each side. */
    REQUIRE_OK(t, file_write_all(at(&p, "styles/4.jpg"), "no picture", 10, &p.err), p.err);
    REQUIRE_OK(t, file_write_all(at(&p, "in/3.png"), "no picture", 10, &p.err), p.err);
    set(&p, c, "output.path", "other");
    CHECK(t, transfer(&p, a, b, c, NULL) == STATUS_FAILED);
    CHECK_CONTAINS(t, p.err.message, "1 of 5 pictures failed");
    CHECK_CONTAINS(t, p.said, "styles/4.jpg");
    CHECK_CONTAINS(t, p.said, "in/3.png");
    CHECK(t, file_exists(at(&p, "other/1.png")) && file_exists(at(&p, "other/2.png")));
    REQUIRE(t, unlink(at(&p, "in/3.png")) == 0);
    CHECK(t, transfer(&p, a, b, c, "output.overwrite=true", NULL) == STATUS_FAILED);
    CHECK_CONTAINS(t, p.err.message, "1 of 4 style pictures could not be used");
    end(&p);
}

static bool is_text(place *p, const char *name, const char *expected)
{
    char *bytes;
    size_t size;
    if (file_read_all(at(p, "%s", name), 1 << 20, &bytes, &size, &p->err) != STATUS_OK) return false;
    bool same = size == strlen(expected) && memcmp(bytes, expected, size) == 0;
    free(bytes);
    return same;
}

/* Intermediate pictures are kept from what is there as results are. */
static void spares_files(test *t)
{
    place p = begin();
    char a[256], b[256], c[256];
    save_picture(&p, at(&p, "c.png"), 20, 16, 1);
    save_picture(&p, at(&p, "s.png"), 20, 16, 4);
    set(&p, a, "content.path", "c.png");
    set(&p, b, "style.path", "s.png");
    set(&p, c, "output.path", "out.png");
    REQUIRE_OK(t, file_write_all(at(&p, "out_000004.png"), "mine", 4, &p.err), p.err);
    CHECK(t, transfer(&p, a, b, c, "output.every=2", NULL) == STATUS_FAILED);
    CHECK_CONTAINS(t, p.err.message, "out_000004.png exists, and is left alone; --overwrite replaces it");
    CHECK(t, is_text(&p, "out_000004.png", "mine") && !file_exists(at(&p, "out.png")));
    REQUIRE_OK(t, transfer(&p, a, b, c, "output.every=3", NULL), p.err);
    CHECK(t, is_text(&p, "out_000004.png", "mine"));
    REQUIRE_OK(t, transfer(&p, a, b, c, "output.every=2", "output.overwrite=true", NULL), p.err);
    CHECK(t, !is_text(&p, "out_000004.png", "mine"));
    /* Nor an input, whatever is allowed. */
    set(&p, a, "content.path", "out_000002.png");
    CHECK(t, transfer(&p, a, b, c, "output.every=1", "output.overwrite=true", NULL) == STATUS_FAILED);
    CHECK_CONTAINS(t, p.err.message, "out_000002.png would overwrite the input ");
    CHECK(t, transfer(&p, a, b, c, "output.every=1", "optimiser.iterations=1", "image.scales=2",
                      "output.overwrite=true", NULL) == STATUS_FAILED); /* they are counted over all scales */
    CHECK_CONTAINS(t, p.err.message, "out_000002.png would overwrite the input ");
    end(&p);
}

/* A folder's are its own: a run that was cut off goes on, and no content's result is another's intermediate picture. */
static void knows_intermediate_pictures(test *t)
{
    place p = begin();
    char a[256], b[256], c[256];
    save_picture(&p, at(&p, "in/1.png"), 20, 16, 1);
    save_picture(&p, at(&p, "s.png"), 20, 16, 4);
    set(&p, a, "content.path", "in");
    set(&p, b, "style.path", "s.png");
    set(&p, c, "output.path", "out");
    REQUIRE_OK(t, transfer(&p, a, b, c, "output.every=2", NULL), p.err);
    REQUIRE(t, unlink(at(&p, "out/1.png")) == 0);
    REQUIRE_OK(t, transfer(&p, a, b, c, "output.every=2", NULL), p.err);
    CHECK_CONTAINS(t, p.said, "1 pictures made");
    REQUIRE(t, unlink(at(&p, "out/1.png")) == 0);
    CHECK(t, transfer(&p, a, b, c, "output.every=1", NULL) == STATUS_FAILED);
    CHECK_CONTAINS(t, p.err.message, "out/1_000002.png exists, and was not made with these settings, network and style");
    save_picture(&p, at(&p, "in/1_000002.png"), 20, 16, 1);
    CHECK(t, transfer(&p, a, b, c, "output.every=2", "output.overwrite=true", NULL) == STATUS_FAILED);
    CHECK_CONTAINS(t, p.err.message, "out/1_000002.png would be a result, and an intermediate picture of ");
    REQUIRE_OK(t, transfer(&p, a, b, c, "output.every=3", "output.overwrite=true", NULL), p.err);
    CHECK_CONTAINS(t, p.said, "2 pictures made");
    end(&p);
}

static void keeps_the_config(test *t)
{
    static const char mine[] = "optimiser: {iterations: 1} # mine\n";
    place p = begin();
    char a[256], b[256], c[256], features[128];
    save_picture(&p, at(&p, "in/1.png"), 20, 16, 1);
    save_picture(&p, at(&p, "s.png"), 20, 16, 4);
    REQUIRE_OK(t, file_make_folders(at(&p, "out"), &p.err), p.err);
    REQUIRE_OK(t, file_write_all(at(&p, "out/gatys.yaml"), mine, strlen(mine), &p.err), p.err);
    snprintf(features, sizeof features, "features=%s", tiny);
    const char *const settings[] = {set(&p, a, "content.path", "in"), set(&p, b, "style.path", "s.png"),
                                    set(&p, c, "output.path", "out"), features, "style.layers=relu1_1",
                                    "content.layers=relu2_2"};
    style_transfer_request request = {.config_path = at(&p, "out/gatys.yaml"), .settings = settings,
                                      .setting_count = sizeof settings / sizeof *settings, .threads = 1};
    REQUIRE_OK(t, style_transfer(&request, &p.log, &p.err), p.err);
    CHECK(t, file_exists(at(&p, "out/1.png")) && is_text(&p, "out/gatys.yaml", mine));
    end(&p);
}

static void refuses(test *t)
{
    static const struct {
        const char *setting;
        status result;
        const char *message;
    } wrong[] = {
        {"content.layers=relu4_9", STATUS_USAGE, "content.layers: VGG-19 has no layer 'relu4_9'; did you mean 'relu4_"},
        {"style.layers=relu1_1, relu5_1", STATUS_USAGE, "'relu5_1' is not in this file, which ends at conv3_1"},
        {"style.weights=1", STATUS_USAGE, "style.weights: expected 2 numbers, found 1"},
        {"style.weights=1, x", STATUS_USAGE, "style.weights: expected a number of at least 0, found 'x'"},
        {"style.blend=1, 2", STATUS_USAGE, "style.blend: expected 1 number, found 2"},
        {"style.blend=0", STATUS_USAGE, "style.blend: expected a number above 0"},
        {"image.init=image", STATUS_USAGE, "image needs image.start"},
        {"image.size=1", STATUS_FAILED, "is too small for relu2_1: expected at least 2x2"},
        {"features=/nowhere.safetensors", STATUS_FAILED, "/nowhere.safetensors"},
        {"content.path=/nowhere", STATUS_FAILED, "/nowhere"},
        {"style.path=/nowhere.png", STATUS_FAILED, "/nowhere.png"},
        {"output.path=/tmp/x.gif", STATUS_USAGE, "the output must be .png"},
        {"style.gram=kera", STATUS_USAGE, "did you mean 'keras'?"},
        {"preset=gatys", STATUS_OK, ""}, /* what was given goes before it */
    };
    place p = begin();
    char a[256], b[256], c[256];
    save_picture(&p, at(&p, "c.png"), 16, 12, 1);
    set(&p, a, "content.path", "c.png");
    set(&p, b, "style.path", "c.png");
    set(&p, c, "output.path", "out.png");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        status result = transfer(&p, a, b, c, wrong[i].setting, NULL);
        if (result != wrong[i].result || !strstr(p.err.message, wrong[i].message))
            test_failed(t, __FILE__, __LINE__, "%s: status %d, %s", wrong[i].setting, result, p.err.message);
        CHECK(t, file_exists(at(&p, "out.png")) == (wrong[i].result == STATUS_OK));
    }
    end(&p);
}

/* A run through the library, of a content at 32x24. */
static status run_with(place *p, const char *const *settings, image *out, style_result *result)
{
    style_options o;
    config_table table = {style_fields, style_field_count, &o};
    config *c;
    nn_backend *backend;
    style_gatys *g;
    image content = make_picture(32, 24, 2);
    char line[256];
    TRY(config_create(&table, 1, &c, &p->err));
    const char *const common[] = {"content.layers=relu2_2", "style.layers=relu1_1, relu2_1", "content.path=-",
                                  "output.path=-", "optimiser.iterations=20"};
    for (size_t i = 0; i < sizeof common / sizeof *common; i++) TRY(config_set(c, common[i], &p->err));
    snprintf(line, sizeof line, "features=%s", tiny);
    TRY(config_set(c, line, &p->err));
    snprintf(line, sizeof line, "style.path=%s/s.png, %s/s2.png", p->folder, p->folder);
    TRY(config_set(c, line, &p->err));
    for (; *settings; settings++) TRY(config_set(c, *settings, &p->err));
    TRY(style_options_finish(&o, c, &p->err));
    TRY(nn_cpu_create(2, &backend, &p->err));
    status ended = style_gatys_create(&o, backend, NULL, &p->log, &g, &p->err);
    if (ended == STATUS_OK) {
        ended = style_gatys_run(g, &content, NULL, out, result, &p->err);
        style_gatys_destroy(g);
    }
    nn_backend_destroy(backend);
    config_destroy(c);
    image_free(&content);
    return ended;
}

static void lowers_the_loss_in_every_way(test *t)
{
    static const char *const ways[][3] = {
        {"style.weight=10", NULL},        {"optimiser.method=adam", NULL},
        {"image.init=noise", NULL},       {"image.colour=histogram", NULL},
        {"image.colour=luminance", NULL}, {"style.scale=0.5", "style.blend=1, 3", NULL},
        {"network.pool=average", NULL},   {"total_variation.weight=1e-9", NULL},
        {"image.scales=3", NULL},         {"content.weight=0", NULL},
    };
    place p = begin();
    save_picture(&p, at(&p, "s.png"), 33, 35, 4);
    save_picture(&p, at(&p, "s2.png"), 24, 24, 7);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        image out = {0};
        style_result r;
        REQUIRE_OK(t, run_with(&p, ways[i], &out, &r), p.err);
        size_t scales = strcmp(ways[i][0], "image.scales=3") == 0 ? 3 : 1;
        if (!(r.end.total < 0.7 * r.start.total) || r.iterations != 20 * scales)
            test_failed(t, __FILE__, __LINE__, "%s: %zu iterations from %g to %g", ways[i][0], r.iterations,
                        r.start.total, r.end.total);
        CHECK(t, out.width == 32 && out.height == 24 && r.seconds > 0 && r.optimising > 0);
        CHECK_NEAR(t, r.end.total, r.end.content + r.end.style + r.end.variation, 1e-6 * r.end.total);
        if (strcmp(ways[i][0], "image.colour=luminance") == 0) { /* differences of colours are the content's */
            image content = make_picture(32, 24, 2);
            size_t near = 0;
            for (size_t k = 0; k < 32 * 24 * 3; k += 3)
                near += abs((out.pixels[k] - out.pixels[k + 1]) - (content.pixels[k] - content.pixels[k + 1])) <= 1;
            CHECK(t, near > 32 * 24 * 3 / 4 / 3); /* those that were not clipped */
            image_free(&content);
        }
        image_free(&out);
    }
    end(&p);
}

static void repeats(test *t)
{
    place p = begin();
    image a = {0}, b = {0};
    style_result r;
    const char *const noise[] = {"image.init=noise", "image.seed=5", NULL};
    save_picture(&p, at(&p, "s.png"), 33, 35, 4);
    save_picture(&p, at(&p, "s2.png"), 24, 24, 7);
    REQUIRE_OK(t, run_with(&p, noise, &a, &r), p.err);
    REQUIRE_OK(t, run_with(&p, noise, &b, &r), p.err);
    CHECK(t, memcmp(a.pixels, b.pixels, 32 * 24 * 3) == 0);
    image_free(&a);
    image_free(&b);
    end(&p);
}

static void says_that_features_are_random(test *t)
{
    place p = begin();
    char a[256], b[256], c[256];
    save_picture(&p, at(&p, "in/c.png"), 16, 16, 1);
    set(&p, a, "content.path", "in");
    set(&p, b, "style.path", "in/c.png");
    set(&p, c, "output.path", "out");
    REQUIRE_OK(t, transfer(&p, a, b, c, "features=random", "optimiser.iterations=1", NULL), p.err);
    CHECK_CONTAINS(t, p.said, "features: VGG-19 with random weights (seed 1)");
    CHECK_CONTAINS(t, p.said, "; random features");
    char *bytes;
    size_t size;
    REQUIRE_OK(t, file_read_all(at(&p, "out/gatys.yaml"), 1 << 16, &bytes, &size, &p.err), p.err);
    CHECK_CONTAINS(t, bytes, "features: random");
    free(bytes);
    end(&p);
}

TEST_MAIN(TEST(makes_a_picture), TEST(does_folders), TEST(spares_files),
          TEST(knows_intermediate_pictures), TEST(keeps_the_config), TEST(refuses),
          TEST(lowers_the_loss_in_every_way), TEST(repeats), TEST(says_that_features_are_random))

/* The memory that the program really takes, as the system counts it, against --max-memory; and that a picture in strips
 * is the picture as a whole. */
#define _DEFAULT_SOURCE /* wait4 */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "../translate/fixture.h"
#include "base/rng.h"
#include "program.h"

enum { MEBIBYTE = 1 << 20, MOST_WORDS = 12 };

/* Runs the program with these words, its output thrown away; returns its peak in bytes, or 0 when it failed. */
static double peak_of(const char *const *words)
{
    const char *arguments[MOST_WORDS + 2] = {program()};
    for (size_t i = 0; i < MOST_WORDS && words[i]; i++) arguments[i + 1] = words[i];
    pid_t child = fork();
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, STDOUT_FILENO);
        execv(program(), (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    int state = 1;
    struct rusage used = {0};
    if (child < 0 || wait4(child, &state, 0, &used) != child) return 0;
    return WIFEXITED(state) && WEXITSTATUS(state) == 0 ? 1024.0 * (double)used.ru_maxrss : 0;
}

/* As the translator is asked to: into out, with at most so many MiB. */
static double translate(fixture *f, const char *in, const char *out, int mebibytes)
{
    char folder[256], input[256], model[256], limit[32];
    snprintf(model, sizeof model, "%s", fixture_path(f, "model.safetensors"));
    snprintf(input, sizeof input, "%s", fixture_path(f, "%s", in));
    snprintf(folder, sizeof folder, "%s", fixture_path(f, "%s", out));
    snprintf(limit, sizeof limit, "%dM", mebibytes);
    const char *words[] = {"translate", "--quiet", "--model", model, "--max-memory", limit, "--threads", "2", input,
                           "-o", folder, NULL};
    return peak_of(words);
}

/* Of the file of this name in both folders. */
static void check_alike(test *t, fixture *f, const char *a, const char *b, const char *name)
{
    image first = {0}, second = {0};
    REQUIRE_OK(t, image_read(fixture_path(f, "%s/%s", a, name), NULL, &first, &f->err), f->err);
    REQUIRE_OK(t, image_read(fixture_path(f, "%s/%s", b, name), NULL, &second, &f->err), f->err);
    REQUIRE(t, first.width == second.width && first.height == second.height);
    int largest = 0;
    double sum = 0;
    size_t count = first.width * first.height * 3;
    for (size_t i = 0; i < count; i++) {
        int d = abs(first.pixels[i] - second.pixels[i]);
        if (d > largest) largest = d;
        sum += d;
    }
    if (largest > 2 || sum > 0.2 * (double)count)
        test_failed(t, __FILE__, __LINE__, "%s differs by up to %d, %.3f on average", name, largest, sum / (double)count);
    CHECK(t, (first.alpha != NULL) == (second.alpha != NULL));
    CHECK(t, !first.alpha || memcmp(first.alpha, second.alpha, first.width * first.height) == 0);
    image_free(&first);
    image_free(&second);
}

static void keeps_to_the_limit(test *t, model_upsample upsample)
{
    enum { LIMIT = 150, PLENTY = 4000 };
    const model_generator_options options = {.kind = MODEL_RESNET_6, .ngf = 24, .in_channels = 3, .out_channels = 3,
                                             .upsample = upsample};
    fixture f = fixture_begin();
    fixture_save(&f, fixture_path(&f, "model.safetensors"), &options, 3, (char *)NULL);
    image picture = fixture_image(983, 777, 2);
    picture.alpha = malloc(picture.width * picture.height);
    for (size_t i = 0; i < picture.width * picture.height; i++) picture.alpha[i] = (uint8_t)(i % 251);
    REQUIRE_OK(t, image_write(fixture_path(&f, "in.png"), &picture, NULL, &f.err), f.err);
    image_free(&picture);
    double strips = translate(&f, "in.png", "strips", LIMIT), whole = translate(&f, "in.png", "whole", PLENTY);
    CHECK(t, strips > 0 && strips <= (double)LIMIT * MEBIBYTE);
    CHECK(t, whole > (double)LIMIT * MEBIBYTE); /* else it would show nothing */
    check_alike(t, &f, "strips", "whole", "in.png");
    fixture_end(&f);
}

#ifdef __SANITIZE_ADDRESS__
#define NEED_HONEST_MEMORY(t) SKIP(t, "the sanitizer takes memory of its own")
#else
#define NEED_HONEST_MEMORY(t) NEED_PROGRAM(t)
#endif

static void keeps_to_the_limit_with_resize_conv(test *t)
{
    NEED_HONEST_MEMORY(t);
    keeps_to_the_limit(t, MODEL_RESIZE_CONV);
}

static void keeps_to_the_limit_with_transpose(test *t)
{
    NEED_HONEST_MEMORY(t);
    keeps_to_the_limit(t, MODEL_TRANSPOSE);
}

/* Pictures that are big for this limit, and small ones between them, so that what is read ahead counts. */
static void keeps_to_the_limit_in_a_folder(test *t)
{
    NEED_HONEST_MEMORY(t);
    enum { LIMIT = 110, PLENTY = 4000, PICTURES = 5 };
    const model_generator_options options = {.kind = MODEL_RESNET_6, .ngf = 4, .in_channels = 3, .out_channels = 3,
                                             .upsample = MODEL_RESIZE_CONV};
    fixture f = fixture_begin();
    fixture_save(&f, fixture_path(&f, "model.safetensors"), &options, 3, (char *)NULL);
    for (unsigned i = 0; i < PICTURES; i++)
        fixture_picture(&f, fixture_path(&f, "in/%u.png", i), i % 3 == 1 ? 40 : 2003, i % 3 == 1 ? 30 : 601, i);
    double strips = translate(&f, "in", "strips", LIMIT), whole = translate(&f, "in", "whole", PLENTY);
    CHECK(t, strips > 0 && strips <= (double)LIMIT * MEBIBYTE);
    CHECK(t, whole > (double)LIMIT * MEBIBYTE);
    for (unsigned i = 0; i < PICTURES; i++) {
        char name[32];
        snprintf(name, sizeof name, "%u.png", i);
        check_alike(t, &f, "strips", "whole", name);
    }
    fixture_end(&f);
}

/* Of noise, whose file is as large as its pixels. */
static void write_noise(fixture *f, const char *path, size_t width, size_t height)
{
    image picture = fixture_image(width, height, 1);
    for (size_t i = 0; i < width * height * 3; i++)
        picture.pixels[i] = (uint8_t)(256 * rng_uniform(1, RNG_TEST, 0, (uint32_t)i));
    file_make_parent(path, NULL);
    image_write(path, &picture, NULL, &f->err);
    image_free(&picture);
}

/* Neither files nor what was freed, nor anything that was made for pictures of other sizes, stays in memory. */
static void a_folder_takes_no_more_than_its_largest_picture(test *t)
{
    NEED_HONEST_MEMORY(t);
    enum { LIMIT = 100, PICTURES = 4, MORE = 6 };
    const model_generator_options options = {.kind = MODEL_RESNET_6, .ngf = 4, .in_channels = 3, .out_channels = 3,
                                             .upsample = MODEL_RESIZE_CONV};
    fixture f = fixture_begin();
    fixture_save(&f, fixture_path(&f, "model.safetensors"), &options, 3, (char *)NULL);
    for (size_t i = 0; i < PICTURES; i++) write_noise(&f, fixture_path(&f, "in/%zu.png", i), 2000 - 52 * i, 1500 - 36 * i);
    double one = translate(&f, "in/0.png", "one", LIMIT), all = translate(&f, "in", "all", LIMIT);
    if (!(one > 0 && all > 0 && all <= one + (double)MORE * MEBIBYTE))
        test_failed(t, __FILE__, __LINE__, "one picture takes %.1f MiB, with three others %.1f", one / MEBIBYTE, all / MEBIBYTE);
    fixture_end(&f);
}

TEST_MAIN(TEST(keeps_to_the_limit_with_resize_conv), TEST(keeps_to_the_limit_with_transpose),
          TEST(keeps_to_the_limit_in_a_folder), TEST(a_folder_takes_no_more_than_its_largest_picture))

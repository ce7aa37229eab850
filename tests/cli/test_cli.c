/* The program itself: its output and exit statuses. $CYCLEGAN, else build/cyclegan. */
#include <sys/stat.h>

#include "../translate/fixture.h"
#include "cli/run.h"

static void helps(test *t)
{
    NEED_PROGRAM(t);
    check_run(t, "--help", 0, "translate");
    check_run(t, "-h", 0, "usage: cyclegan COMMAND");
    check_run(t, "--help 2>/dev/null", 0, "train");
    check_run(t, "--version", 0, "cyclegan ");
    check_run(t, "translate --help 2>/dev/null", 0, "--overwrite");
    check_run(t, "train --help 2>/dev/null", 0, "--resume");
    check_run(t, "train --help 2>/dev/null", 0, "loss.lambda_cycle");
    check_run(t, "train --help-markdown 2>/dev/null", 0, "loss.lambda_cycle");
    check_run(t, "--help 2>&1 >/dev/full", 1, "cannot write");
    check_run(t, "train --help 2>&1 >/dev/full", 1, "cannot write"); /* more than a buffer */
    check_run(t, "--help 2>&1 >&-", 1, "cannot write");
}

/* docs/configuration.md is what the program's tables say. */
static void documents_its_configs(test *t)
{
    NEED_PROGRAM(t);
    char line[512];
    snprintf(line, sizeof line, "tools/configuration.sh '%s' | cmp - docs/configuration.md", program());
    if (system(line) != 0)
        test_failed(t, __FILE__, __LINE__, "docs/configuration.md is not what the program says: make configuration");
}

static void refuses_wrong_usage(test *t)
{
    NEED_PROGRAM(t);
    check_run(t, "", 2, "a command is missing");
    check_run(t, "trian", 2, "unknown command 'trian'; did you mean 'train'?");
    check_run(t, "zzzzzzzzzz", 2, "unknown command 'zzzzzzzzzz'");
    check_run(t, "--hepl", 2, "did you mean '--help'?");
    check_run(t, "train", 2, "CONFIG.yaml is missing");
    check_run(t, "train x.yaml --deivce cpu", 2, "did you mean '--device'?");
    check_run(t, "train x.yaml --device gpu", 2, "expected one of auto, cpu, cuda");
    check_run(t, "train x.yaml --threads many", 2, "expected a whole number");
    check_run(t, "translate x.png -o out", 2, "--model FILE is missing");
    check_run(t, "translate x.png --model m", 2, "--out DIR is missing");
    check_run(t, "translate x.png --model m -o out --quality 0", 2, "from 1 to 100");
    check_run(t, "train x.yaml --out=", 2, "expected a folder, found ''");
}

static void fails(test *t)
{
    NEED_PROGRAM(t);
    check_run(t, "translate x.png --model m.safetensors -o out --device cuda", 1, "no CUDA device");
    check_run(t, "translate x.png --model /nonexistent/model.safetensors -o out", 1,
              "cyclegan: /nonexistent/model.safetensors: ");
}

static void translates(test *t)
{
    NEED_PROGRAM(t);
    fixture f = fixture_begin();
    const char *model = fixture_path(&f, "model.safetensors");
    fixture_save(&f, model, &tiny, 1, "cyclegan_format", "1", "kind", "generator", "from", "snacks", "to", "fractals",
                 "direction", "a_to_b", (char *)NULL);
    fixture_picture(&f, fixture_path(&f, "in/1.png"), 13, 7, 1);
    char line[512];
    snprintf(line, sizeof line, "translate --model %s %s/in -o %s/out", model, f.folder, f.folder);
    check_run(t, line, 0, "1 picture in ");
    CHECK(t, file_exists(fixture_path(&f, "out/1.png")));
    check_run(t, line, 0, "snacks to fractals");
    snprintf(line, sizeof line, "translate --model %s %s/in -o %s/out --sheet %s/sheet.jpg", model, f.folder, f.folder,
             f.folder);
    check_run(t, line, 0, "contact sheet: ");
    CHECK(t, file_exists(fixture_path(&f, "sheet.jpg")));
    snprintf(line, sizeof line, "translate --model %s %s/in -o ''", model, f.folder);
    check_run(t, line, 2, "expected the name of a folder, found ''");
    snprintf(line, sizeof line, "translate --model %s %s/in -o %s/out --to snacks", model, f.folder, f.folder);
    check_run(t, line, 2, "this generator makes fractals from snacks");
    file_write_all(fixture_path(&f, "in/2.png"), "rubbish", 7, &f.err);
    snprintf(line, sizeof line, "translate --quiet --model %s %s/in -o %s/out2 --threads 1", model, f.folder,
             f.folder);
    check_run(t, line, 1, "1 of 2 pictures failed");
    fixture_end(&f);
}

static void renders_fractals(test *t)
{
    NEED_PROGRAM(t);
    fixture f = fixture_begin();
    char line[512];
    snprintf(line, sizeof line, "fractals -o %s/deep/set -n 2 --size 16 --seed 7", f.folder);
    check_run(t, line, 0, "2 pictures in ");
    for (int i = 1; i <= 2; i++) {
        image picture = {0};
        REQUIRE_OK(t, image_read(fixture_path(&f, "deep/set/fractal_00%d.jpg", i), NULL, &picture, &f.err), f.err);
        CHECK(t, picture.width == 16 && picture.height == 16);
        image_free(&picture);
    }
    CHECK(t, !file_exists(fixture_path(&f, "deep/set/fractal_003.jpg")));
    check_run(t, "fractals -n 3", 2, "--out DIR is missing");
    check_run(t, "fractals -o out --size 15", 2, "from 16 to 4096");
    check_run(t, "fractals -o out -n 0", 2, "from 1 to 100000");
    check_run(t, "fractals -o /dev/null/set -n 1", 1, "/dev/null");
    check_run(t, "fractals --help 2>/dev/null", 0, "--seed N");
    fixture_end(&f);
}

/* With stderr closed, the log would be file number 2, and get the messages too. */
static void keeps_messages_out_of_files(test *t)
{
    NEED_PROGRAM(t);
    fixture f = fixture_begin();
    char line[1024], *bytes;
    size_t size;
    fixture_picture(&f, fixture_path(&f, "in/1.png"), 16, 16, 1);
    int length = snprintf(line, sizeof line,
                          "name: x\ndomains: {a: {train: %s/in}, b: {train: %s/in}}\n"
                          "data: {load_size: 16, crop_size: 16}\n"
                          "model: {generator: resnet_6blocks, ngf: 1, discriminator: pixel, ndf: 1}\n"
                          "train: {steps: 1}\noutput: {sample_every: 0}\n", f.folder, f.folder);
    REQUIRE_OK(t, file_write_all(fixture_path(&f, "c.yaml"), line, (size_t)length, &f.err), f.err);
    snprintf(line, sizeof line, "train %s/c.yaml --out %s/run 2>&-", f.folder, f.folder);
    check_run(t, line, 0, "");
    REQUIRE_OK(t, file_read_all(fixture_path(&f, "run/log.jsonl"), 4096, &bytes, &size, &f.err), f.err);
    CHECK(t, size && bytes[0] == '{' && strchr(bytes, '\n') == bytes + size - 1); /* a single line */
    free(bytes);
    fixture_end(&f);
}

/* A file system of 128 KiB. */
static void survives_a_full_disk(test *t)
{
    NEED_PROGRAM(t);
    fixture f = fixture_begin();
    char command[512], line[512];
    fixture_save(&f, fixture_path(&f, "model.safetensors"), &tiny, 1, (char *)NULL);
    for (int i = 0; i < 8; i++) fixture_picture(&f, fixture_path(&f, "in/%d.png", i), 100, 100, (unsigned)i);
    file_make_folders(fixture_path(&f, "out"), &f.err);
    snprintf(command, sizeof command, "mount -t tmpfs -o size=128k none %s/out 2>/dev/null", f.folder);
    if (system(command) != 0) {
        fixture_end(&f);
        SKIP(t, "cannot mount a file system");
    }
    static char output[65536];
    snprintf(line, sizeof line, "translate --model %s/model.safetensors %s/in -o %s/out", f.folder, f.folder, f.folder);
    int result = run(line, output);
    int whole = 0;
    for (int i = 0; i < 8; i++) {
        image picture = {0};
        if (!file_exists(fixture_path(&f, "out/%d.png", i))) continue;
        whole++;
        REQUIRE_OK(t, image_read(fixture_path(&f, "out/%d.png", i), NULL, &picture, &f.err), f.err);
        image_free(&picture);
    }
    snprintf(command, sizeof command, "ls -A %s/out | grep -q part", f.folder);
    CHECK(t, system(command) != 0); /* nothing half-written stays */
    snprintf(command, sizeof command, "umount %s/out", f.folder);
    CHECK(t, system(command) == 0);
    CHECK(t, result == 1 && whole > 0 && whole < 8);
    CHECK(t, strstr(output, "cannot write: No space left on device"));
    fixture_end(&f);
}

/* Names of domains in a model file are shown, harmlessly, and nothing else. */
static void shows_hostile_names(test *t)
{
    NEED_PROGRAM(t);
    fixture f = fixture_begin();
    char line[512];
    static char output[65536];
    fixture_save(&f, fixture_path(&f, "model.safetensors"), &tiny, 1, "cyclegan_format", "1", "kind", "generator",
                 "from", "../../\x1b[31m\xc2\x9b", "to", "../up\x07\n", "direction", "a_to_b", (char *)NULL);
    fixture_picture(&f, fixture_path(&f, "in/\x1b[2J\xff.png"), 16, 16, 1);
    snprintf(line, sizeof line, "translate --model %s/model.safetensors %s/in -o %s/out --sheet %s/sheet.png", f.folder,
             f.folder, f.folder, f.folder);
    CHECK(t, run(line, output) == 0);
    CHECK_CONTAINS(t, output, "../../\\x1b[31m\\xc2\\x9b to ../up\\x07\\x0a\n");
    CHECK(t, !strchr(output, '\x1b') && !strchr(output, '\x9b') && !strchr(output, '\x07'));
    CHECK(t, file_exists(fixture_path(&f, "sheet.png")));
    snprintf(line, sizeof line, "translate --model %s/model.safetensors %s/in -o %s/out --to x", f.folder, f.folder,
             f.folder);
    CHECK(t, run(line, output) == 2 && !strchr(output, '\x1b'));
    CHECK_CONTAINS(t, output, "this generator makes ../up\\x07\\x0a from ../../\\x1b[31m");
    snprintf(line, sizeof line, "cd %s && rm -r in out sheet.png model.safetensors && rmdir %s && mkdir %s", f.folder,
             f.folder, f.folder);
    CHECK(t, system(line) == 0); /* nothing else was made there */
    fixture_end(&f);
}

static void takes_translation_options(test *t)
{
    NEED_PROGRAM(t);
    fixture f = fixture_begin();
    char line[512];
    fixture_save(&f, fixture_path(&f, "model.safetensors"), &tiny, 1, (char *)NULL);
    fixture_picture(&f, fixture_path(&f, "in/1.png"), 1200, 1000, 1);
    int used = snprintf(line, sizeof line, "translate --model %s/model.safetensors %s/in -o %s/out ", f.folder,
                        f.folder, f.folder);
    static const struct {
        const char *options;
        int result;
        const char *part;
    } cases[] = {
        {"--size 7", 2, "--size: expected a whole number from 8 to 16384"},
        {"--size 16385", 2, "from 8 to 16384"},
        {"--format gif", 2, "expected one of png, jpeg, webp, found 'gif'"},
        {"--quality 101 --format webp", 2, "from 1 to 100"},
        {"--max-megapixels 0", 2, "from 1 to 100000"},
        {"--max-megapixels 1", 1, "in/1.png: a picture of 1200x1000 is over the limit of 1000000 pixels"},
        {"--max-megapixels 2 --size 24 --format webp --quality 50", 0, "1 picture in"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(line + used, sizeof line - (size_t)used, "%s", cases[i].options);
        check_run(t, line, cases[i].result, cases[i].part);
    }
    image picture = {0};
    REQUIRE_OK(t, image_read(fixture_path(&f, "out/1.webp"), NULL, &picture, &f.err), f.err);
    CHECK(t, picture.width == 29 && picture.height == 24);
    image_free(&picture);
    fixture_end(&f);
}

/* A limit on the size of files is an error like a full disk, not the end of the program. */
static void survives_a_limit_on_files(test *t)
{
    NEED_PROGRAM(t);
    fixture f = fixture_begin();
    fixture_save(&f, fixture_path(&f, "model.safetensors"), &tiny, 1, (char *)NULL);
    fixture_picture(&f, fixture_path(&f, "in/1.png"), 64, 64, 1);
    char command[1024];
    snprintf(command, sizeof command, "(ulimit -f 1; exec '%s' translate --model %s/model.safetensors %s/in -o %s/out) "
             ">/dev/null 2>&1", program(), f.folder, f.folder, f.folder);
    int result = system(command);
    CHECK(t, WIFEXITED(result) && WEXITSTATUS(result) == 1);
    CHECK(t, !file_exists(fixture_path(&f, "out/1.png")));
    fixture_end(&f);
}

/* A library of the driver's name stands for a driver without a GPU. */
static void tells_why_no_gpu_computes(test *t)
{
    NEED_PROGRAM(t);
    fixture f = fixture_begin();
    char line[1024], model[256], in[256];
    snprintf(model, sizeof model, "%s", fixture_path(&f, "model.safetensors"));
    snprintf(in, sizeof in, "%s", fixture_path(&f, "in.png"));
    fixture_save(&f, model, &tiny, 1, (char *)NULL);
    fixture_picture(&f, in, 16, 16, 1);
    snprintf(line, sizeof line, "echo 'int nothing;' | cc -shared -fPIC -x c -o '%s' - 2>/dev/null",
             fixture_path(&f, "libcuda.so.1"));
    if (system(line) != 0) {
        fixture_end(&f);
        SKIP(t, "no compiler");
    }
    setenv("LD_LIBRARY_PATH", f.folder, 1);
    snprintf(line, sizeof line, "translate --model %s %s -o %s/auto", model, in, f.folder);
    check_run(t, line, 0, "device: the CPU, since ");
    snprintf(line, sizeof line, "translate --model %s %s -o %s/cpu --device cpu 2>&1 | grep -c device:", model, in,
             f.folder);
    check_run(t, line, 1, "0");
    snprintf(line, sizeof line, "translate --model %s %s -o %s/cuda --device cuda", model, in, f.folder);
    check_run(t, line, 1, "cyclegan: ");
    unsetenv("LD_LIBRARY_PATH");
    fixture_end(&f);
}

/* The program, with a file that stands for a module of the CUDA backend, beside a file that stands for the driver. */
static void tells_what_is_wrong_with_a_driver(test *t)
{
    NEED_PROGRAM(t);
    static const struct {
        const char *driver; /* in C, or else no library */
        const char *message;
    } cases[] = {
        {"", "the NVIDIA driver does not open: "},
        {"int nothing;", "the NVIDIA driver is damaged: "},
        {"int cuInit(unsigned flags) { return 999 + flags; }", "cuInit: error 999\n"},
        {"int cuInit(unsigned flags) { return 100 + flags; }"
         "int cuGetErrorName(int code, const char **name) { *name = \"CUDA_ERROR_NO_DEVICE\"; return code - 100; }"
         "int cuGetErrorString(int code, const char **text) { *text = \"nothing there\"; return code - 100; }",
         "cuInit: error 100, CUDA_ERROR_NO_DEVICE: nothing there\n"},
        {"int cuInit(unsigned flags) { return flags; }", "the CUDA backend does not open: "},
    };
    fixture f = fixture_begin();
    char command[1024], line[512];
    static char output[65536];
    snprintf(command, sizeof command, "cp '%s' %s/cyclegan && touch %s/cyclegan-cuda.so && command -v cc >/dev/null",
             program(), f.folder, f.folder);
    if (system(command) != 0) {
        fixture_end(&f);
        SKIP(t, "no compiler");
    }
    snprintf(line, sizeof line, "translate x.png --model m -o out --device cuda 2>&1");
    char *old = text_copy(program());
    setenv("CYCLEGAN", fixture_path(&f, "cyclegan"), 1);
    setenv("LD_LIBRARY_PATH", f.folder, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *source = cases[i].driver;
        snprintf(command, sizeof command,
                 *source ? "cd %s && echo '%s' | cc -shared -fPIC -x c -o libcuda.so.1 -" : "touch %s/libcuda.so.1 %s",
                 f.folder, source);
        CHECK(t, system(command) == 0);
        CHECK(t, run(line, output) == 1);
        CHECK(t, strncmp(output, "cyclegan: ", 10) == 0 && strchr(output, '\n') == strrchr(output, '\n'));
        CHECK_CONTAINS(t, output, cases[i].message);
    }
    setenv("CYCLEGAN", old, 1);
    free(old);
    unsetenv("LD_LIBRARY_PATH");
    fixture_end(&f);
}

TEST_MAIN(TEST(helps), TEST(documents_its_configs), TEST(refuses_wrong_usage), TEST(fails), TEST(translates),
          TEST(renders_fractals), TEST(keeps_messages_out_of_files),
          TEST(survives_a_limit_on_files), TEST(survives_a_full_disk),
          TEST(shows_hostile_names), TEST(takes_translation_options),
          TEST(tells_why_no_gpu_computes), TEST(tells_what_is_wrong_with_a_driver))

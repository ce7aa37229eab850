/* The program itself: its output and exit statuses. $CYCLEGAN, else build/cyclegan. */
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "../translate/fixture.h"

static const char *program(void)
{
    const char *path = getenv("CYCLEGAN");
    return path ? path : "build/cyclegan";
}

#define NEED_PROGRAM(t)                                                                                               \
    do {                                                                                                              \
        if (access(program(), X_OK) != 0) SKIP(t, "the program is not built");                                        \
    } while (0)

/* Runs the program with `line`; output: stdout and stderr together, unless `line` redirects one. */
static int run(const char *line, char output[65536])
{
    char command[2048];
    snprintf(command, sizeof command, "'%s' %s%s", program(), line, strchr(line, '>') ? "" : " 2>&1");
    FILE *pipe = popen(command, "r");
    if (!pipe) return -1;
    size_t used = 0, n;
    while ((n = fread(output + used, 1, 65535 - used, pipe)) > 0) used += n;
    output[used] = '\0';
    int result = pclose(pipe);
    return WIFEXITED(result) ? WEXITSTATUS(result) : -1;
}

static void check_run(test *t, const char *line, int expected, const char *part)
{
    static char output[65536];
    int found = run(line, output);
    if (found != expected || !strstr(output, part))
        test_failed(t, __FILE__, __LINE__, "cyclegan %s: status %d, expected %d with '%s'; it wrote: %s", line, found,
                    expected, part, output);
}

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
    check_run(t, "train x.yaml --device cuda", 1, "no CUDA backend");
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

static void wait_milliseconds(long n) { nanosleep(&(struct timespec){.tv_nsec = n * 1000000}, NULL); }

/* Begins to translate a thousand names of one picture, sends the signal once one is made. */
static int interrupted_by(int number, const char *model, const char *in, const char *out)
{
    pid_t child = fork();
    if (child == 0) {
        signal(number, SIG_DFL); /* in the background of a shell, SIGINT comes ignored, and the program leaves it so */
        execl(program(), "cyclegan", "translate", "--quiet", "--model", model, in, "-o", out, (char *)NULL);
        _exit(127);
    }
    char first[512];
    snprintf(first, sizeof first, "%s/0.png", out);
    int result = 0;
    for (int i = 0; i < 10000 && !file_exists(first) && waitpid(child, &result, WNOHANG) == 0; i++)
        wait_milliseconds(1);
    kill(child, number);
    waitpid(child, &result, 0);
    return WIFEXITED(result) ? WEXITSTATUS(result) : -1;
}

static void tells_signals(test *t)
{
    NEED_PROGRAM(t);
    fixture f = fixture_begin();
    fixture_save(&f, fixture_path(&f, "model.safetensors"), &tiny, 1, (char *)NULL);
    fixture_picture(&f, fixture_path(&f, "in/0.png"), 200, 200, 1);
    for (int i = 1; i < 1000; i++)
        if (symlink("0.png", fixture_path(&f, "in/%d.png", i)) != 0) perror("symlink");
    const char *model = fixture_path(&f, "model.safetensors"), *in = fixture_path(&f, "in");
    CHECK(t, interrupted_by(SIGINT, model, in, fixture_path(&f, "out1")) == 130);
    CHECK(t, interrupted_by(SIGTERM, model, in, fixture_path(&f, "out2")) == 143);
    CHECK(t, interrupted_by(SIGHUP, model, in, fixture_path(&f, "out3")) == 129);
    /* What was made before the signal is in the manifest. */
    CHECK(t, file_exists(fixture_path(&f, "out1/.cyclegan-manifest.json")));
    CHECK(t, !file_exists(fixture_path(&f, "out1/999.png")));
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

TEST_MAIN(TEST(helps), TEST(refuses_wrong_usage), TEST(fails), TEST(translates), TEST(renders_fractals), TEST(tells_signals),
          TEST(keeps_messages_out_of_files), TEST(survives_a_limit_on_files))

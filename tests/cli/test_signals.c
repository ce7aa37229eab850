/* Signals and kills while the program translates. $CYCLEGAN, else build/cyclegan. */
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "../translate/fixture.h"
#include "cli/run.h"

static void wait_milliseconds(long n) { nanosleep(&(struct timespec){.tv_nsec = n * 1000000}, NULL); }

/* Sends the signal some time after the file is there, and waits: the child's exit status, -1 for another end. */
static int status_after(pid_t child, const char *file, int milliseconds, int number)
{
    int result = 0;
    for (int i = 0; i < 10000 && !file_exists(file) && waitpid(child, &result, WNOHANG) == 0; i++)
        wait_milliseconds(1);
    if (milliseconds > 0) wait_milliseconds(milliseconds);
    kill(child, number);
    waitpid(child, &result, 0);
    return WIFEXITED(result) ? WEXITSTATUS(result) : -1;
}

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
    return status_after(child, first, 0, number);
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
    /* What was made before the signal is in the manifest, and nothing else. */
    char command[256];
    snprintf(command, sizeof command, "cd %s/out1 && test $(ls | wc -l) = $(grep -c made_by .cyclegan-manifest.json)",
             f.folder);
    CHECK(t, system(command) == 0);
    CHECK(t, !file_exists(fixture_path(&f, "out1/999.png")));
    fixture_end(&f);
}

/* Begins to translate one large picture, sends the signal while it is computed. */
static int interrupted_amid(const char *model, const char *in, const char *out, const char *memory, const char *temporary)
{
    pid_t child = fork();
    if (child == 0) {
        signal(SIGINT, SIG_DFL);
        setenv("TMPDIR", temporary, 1);
        execl(program(), "cyclegan", "translate", "--quiet", "--threads", "1", "--device", "cpu", "--model", model, in, "-o", out,
              "--max-memory", memory, (char *)NULL);
        _exit(127);
    }
    char manifest[512];
    snprintf(manifest, sizeof manifest, "%s/.cyclegan-manifest.json", out); /* it is there before the picture is read */
    return status_after(child, manifest, 300, SIGINT);
}

/* As a whole and in strips, from a file too. */
static void gives_a_large_picture_up(test *t)
{
    NEED_PROGRAM(t);
    static const char *const memories[] = {"8G", "800M", "150M"};
    const model_generator_options options = {.kind = MODEL_RESNET_9, .ngf = 16, .in_channels = 3, .out_channels = 3,
                                             .upsample = MODEL_RESIZE_CONV};
    fixture f = fixture_begin();
    char model[128], in[128], out[128], temporary[128], command[512];
    snprintf(model, sizeof model, "%s/model.safetensors", f.folder);
    snprintf(in, sizeof in, "%s/in.jpg", f.folder);
    snprintf(temporary, sizeof temporary, "%s/temporary", f.folder);
    fixture_save(&f, model, &options, 1, (char *)NULL);
    fixture_picture(&f, in, 3000, 2000, 1);
    REQUIRE(t, mkdir(temporary, 0755) == 0);
    for (size_t i = 0; i < sizeof memories / sizeof *memories; i++) {
        snprintf(out, sizeof out, "%s/out%zu", f.folder, i);
        CHECK(t, interrupted_amid(model, in, out, memories[i], temporary) == 130);
        snprintf(command, sizeof command, "test \"$(ls -A %s)\" = .cyclegan-manifest.json && rmdir %s && mkdir %s", out,
                 temporary, temporary);
        CHECK(t, system(command) == 0);
        snprintf(command, sizeof command, "translate --model %s %s -o %s --size 16", model, in, out);
        check_run(t, command, 0, "1 picture in "); /* not taken for one that is there */
    }
    fixture_end(&f);
}

/* Sends a signal to the translation of a folder some milliseconds after `awaited` is there, or after ten seconds. */
static void stop_midway(int number, const char *awaited, long milliseconds, const char *model, const char *in,
                        const char *out)
{
    pid_t child = fork(), ended = 0;
    if (child == 0) {
        signal(SIGINT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr)) _exit(127);
        execl(program(), "cyclegan", "translate", "--quiet", "--threads", "1", "--model", model, in, "-o", out,
              (char *)NULL);
        _exit(127);
    }
    int result = 0;
    for (int i = 0; i < 10000 && !file_exists(awaited) && (ended = waitpid(child, &result, WNOHANG)) == 0; i++)
        wait_milliseconds(1);
    if (ended) return;
    wait_milliseconds(milliseconds);
    kill(child, number);
    waitpid(child, &result, 0);
}

/* Every picture that is there is whole; returns how many. */
static int count_whole(test *t, const char *folder, int pictures)
{
    int count = 0;
    for (int i = 0; i < pictures; i++) {
        char path[512];
        image picture = {0};
        error err = {0};
        snprintf(path, sizeof path, "%s/%d/%d.png", folder, i / 20, i);
        if (!file_exists(path)) continue;
        if (image_read(path, NULL, &picture, &err) != STATUS_OK) test_failed(t, __FILE__, __LINE__, "%s", err.message);
        count++;
        image_free(&picture);
    }
    return count;
}

/* Killed again and again, the folder is done in the end: no picture half, none left out, none taken for another's. */
static void survives_kills(test *t)
{
    NEED_PROGRAM(t);
    enum { PICTURES = 60, KILLS = 12 };
    fixture f = fixture_begin();
    char model[128], in[128], out[128], line[512], command[256];
    snprintf(model, sizeof model, "%s/model.safetensors", f.folder);
    snprintf(in, sizeof in, "%s/in", f.folder);
    snprintf(out, sizeof out, "%s/out", f.folder);
    fixture_save(&f, model, &tiny, 1, (char *)NULL);
    for (int i = 0; i < PICTURES; i++)
        fixture_picture(&f, fixture_path(&f, "in/%d/%d.png", i / 20, i), 96, 96, (unsigned)i);
    int midway = 0;
    for (int i = 0; i < KILLS; i++) {
        int awaited = i * PICTURES / KILLS;
        stop_midway(i % 3 == 2 ? SIGINT : SIGKILL, fixture_path(&f, "out/%d/%d.png", awaited / 20, awaited), i * 7 % 13,
                    model, in, out);
        int whole = count_whole(t, out, PICTURES);
        midway += whole > 0 && whole < PICTURES;
    }
    CHECK(t, midway > 0);
    snprintf(line, sizeof line, "translate --model %s %s -o %s", model, in, out);
    static char output[65536];
    CHECK(t, run(line, output) == 0);
    CHECK(t, strstr(output, " pictures in ") || strstr(output, "1 picture in ")); /* the kills may have left one */
    CHECK(t, count_whole(t, out, PICTURES) == PICTURES);
    CHECK(t, run(line, output) == 0);
    CHECK(t, strstr(output, "60 there already") && !strstr(output, "left alone"));
    snprintf(command, sizeof command, "! find %s -name '*.part' | grep -q .", out);
    CHECK(t, system(command) == 0);
    fixture_end(&f);
}

TEST_MAIN(TEST(tells_signals), TEST(gives_a_large_picture_up), TEST(survives_kills))

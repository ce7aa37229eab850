/* `cyclegan gatys` itself: its output and exit statuses. $CYCLEGAN, else build/cyclegan. */
#define _DEFAULT_SOURCE /* mkdtemp, popen */
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/program.h"
#include "image/image.h"
#include "test.h"

static void check_run(test *t, const char *line, int expected, const char *part)
{
    static char output[65536];
    char command[2048];
    snprintf(command, sizeof command, "'%s' gatys %s 2>&1", program(), line);
    FILE *pipe = popen(command, "r");
    REQUIRE(t, pipe);
    size_t used = 0, n;
    while ((n = fread(output + used, 1, sizeof output - 1 - used, pipe)) > 0) used += n;
    output[used] = '\0';
    int result = pclose(pipe);
    if (!WIFEXITED(result) || WEXITSTATUS(result) != expected || !strstr(output, part))
        test_failed(t, __FILE__, __LINE__, "cyclegan gatys %s: status %d, expected %d with '%s'; it wrote: %s", line,
                    WIFEXITED(result) ? WEXITSTATUS(result) : -1, expected, part, output);
}

static void helps(test *t)
{
    NEED_PROGRAM(t);
    check_run(t, "--help", 0, "--content FILE|DIR");
    check_run(t, "--help", 0, "total_variation.exponent: a number from 1 to 4 (default 2.5)");
    check_run(t, "--help-markdown", 0, "| `style.gram` | ");
    check_run(t, "", 2, "--content FILE|DIR is missing");
    check_run(t, "--content a.png -o b.png", 2, "--style FILE|DIR is missing");
    check_run(t, "--set content.path=a.png", 2, "required keys are missing: 'style.path', 'output.path'");
    check_run(t, "--content a --style b -o c.png --iterations 0", 2, "an integer from 1 to 1000000");
    check_run(t, "nowhere.yaml", 2, "nowhere.yaml");
    check_run(t, "--content nowhere.png --style b -o c.png", 1, "nowhere.png");
}

static void works(test *t)
{
    NEED_PROGRAM(t);
    char folder[] = "/tmp/cyclegan-gatys-XXXXXX", path[128], line[1024], yaml[512];
    image picture = {0};
    error err = {0};
    REQUIRE(t, mkdtemp(folder));
    snprintf(path, sizeof path, "%s/c.png", folder);
    REQUIRE_OK(t, image_create(&picture, 24, 16, &err), err);
    for (size_t i = 0; i < 24 * 16 * 3; i++) picture.pixels[i] = (uint8_t)(i * i * 7);
    REQUIRE_OK(t, image_write(path, &picture, NULL, &err), err);
    image_free(&picture);
    snprintf(line, sizeof line, "--content %s --style %s -o %s/o.png --features tests/fixtures/vgg_tiny.safetensors "
             "--iterations 2 --set content.layers=relu2_2 --set style.layers=relu1_1", path, path, folder);
    check_run(t, line, 0, "/o.png: 24x16 in ");
    check_run(t, line, 1, "/o.png exists, and is left alone; --overwrite replaces it");
    strcat(line, " --overwrite --size 12");
    check_run(t, line, 0, "/o.png: 18x12 in ");
    strcat(line, " --set style.layers=relu1_3");
    check_run(t, line, 2, "style.layers: VGG-19 has no layer 'relu1_3'; did you mean 'relu1_");
    int length = snprintf(yaml, sizeof yaml, "content: {path: %s, layers: relu2_2}\nstyle: {path: %s, layers: pool1}\n"
                          "features: tests/fixtures/vgg_tiny.safetensors\noptimiser: {iterations: 1}\n"
                          "output: {path: %s/y.jpg}\n", path, path, folder);
    snprintf(path, sizeof path, "%s/c.yaml", folder);
    REQUIRE_OK(t, file_write_all(path, yaml, (size_t)length, &err), err);
    check_run(t, path, 0, "/y.jpg: 24x16 in ");
    snprintf(line, sizeof line, "%s --set stile.weight=3", path);
    check_run(t, line, 2, "did you mean 'style.weight'?");
    snprintf(line, sizeof line, "rm -rf %s", folder);
    CHECK(t, system(line) == 0);
}

TEST_MAIN(TEST(helps), TEST(works))

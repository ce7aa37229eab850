/* `cyclegan compare` itself: methods in processes of their own, one of them killed, an interrupt; and its page in a
 * browser. $CYCLEGAN, else build/cyclegan. */
#include <jansson.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "../translate/fixture.h"
#include "cli/program.h"

#define HOSTILE "\"><script>document.title=1<x>"
static const char hostile_picture[] = "\"><img src=x onerror=document.title=1>#?%41.png";
static const char features[] = "tests/fixtures/vgg_tiny.safetensors"; /* up to conv3_1 */

enum { NO_BROWSER = 77 };

static void make_inputs(fixture *f)
{
    for (unsigned i = 0; i < 4; i++) {
        fixture_picture(f, fixture_path(f, "real/%u.png", i), 40, 40, i);
        fixture_picture(f, fixture_path(f, "train/%u.png", i), 40, 40, 100 + i);
    }
    fixture_picture(f, fixture_path(f, "in/a.png"), 48, 64, 7);
    fixture_picture(f, fixture_path(f, "in/b/c.jpg"), 500, 400, 8);
    fixture_picture(f, fixture_path(f, "in/%s", hostile_picture), 48, 48, 9);
    fixture_picture(f, fixture_path(f, "in/\xff.png"), 48, 48, 10);
    fixture_save(f, fixture_path(f, "model.safetensors"), &tiny, 1, "cyclegan_format", "1", "kind", "generator",
                 "direction", "a_to_b", "from", "in", "to", "out", "seconds", "90.5", (char *)NULL);
}

/* gatys first, then a generator. */
static const char *make_config(fixture *f, const char *name, int iterations)
{
    const char *path = fixture_path(f, "compare.yaml"), *settings = fixture_path(f, "gatys.yaml");
    text yaml = {0};
    text_format(&yaml, "content: {path: x, layers: relu2_1}\nstyle: {path: x, layers: 'relu1_1, relu2_1'}\n"
                       "output: {path: x}\nfeatures: %s\n", features);
    file_write_all(settings, text_get(&yaml), yaml.length, &f->err);
    text_clear(&yaml);
    text_format(&yaml, "name: page\ninputs: %s/in\ntargets: %s/real\ntrain: %s/train\n"
                       "measures: {features: %s, layer: relu2_1, side: 32}\nmethods:\n"
                       "  1: {kind: gatys, name: gatys, settings: %s, style: %s/real, iterations: %d}\n"
                       "  2: {kind: gan, name: '%s', model: %s/model.safetensors}\n",
                f->folder, f->folder, f->folder, features, settings, f->folder, iterations, name, f->folder);
    file_write_all(path, text_get(&yaml), yaml.length, &f->err);
    text_free(&yaml);
    return path;
}

/* Begins a comparison; what it says goes to FOLDER/said. */
static pid_t begin(fixture *f, const char *config)
{
    const char *said = fixture_path(f, "said"), *out = fixture_path(f, "out");
    pid_t child = fork();
    if (child != 0) return child;
    signal(SIGINT, SIG_DFL); /* in the background of a shell it comes ignored, and the program leaves it so */
    if (!freopen(said, "w", stderr)) _exit(126);
    execl(program(), "cyclegan", "compare", config, "--out", out, "--threads", "2", (char *)NULL);
    _exit(127);
}

static int end(pid_t child)
{
    int result = 0;
    waitpid(child, &result, 0);
    return WIFEXITED(result) ? WEXITSTATUS(result) : -1;
}

static json_t *method_at(json_t *root, size_t i) { return json_array_get(json_object_get(root, "methods"), i); }

static double number(json_t *object, const char *key) { return json_number_value(json_object_get(object, key)); }

static void compares_in_processes(test *t)
{
    NEED_PROGRAM(t);
    fixture f = fixture_begin();
    make_inputs(&f);
    CHECK(t, end(begin(&f, make_config(&f, "plain", 3))) == 0);
    json_t *root = json_load_file(fixture_path(&f, "out/metrics.json"), 0, NULL);
    REQUIRE(t, root);
    for (size_t i = 0; i < 2; i++) {
        json_t *m = method_at(root, i), *measures = json_object_get(m, "measures");
        CHECK(t, number(m, "made") == 4);
        CHECK(t, number(m, "peak_bytes") > 1e6 && number(m, "peak_bytes") < 4e9);
        CHECK(t, number(json_object_get(m, "seconds_per_picture"), "value") > 0);
        CHECK(t, json_object_get(measures, "style_nearest") && json_object_get(measures, "kid"));
        CHECK(t, json_object_get(measures, "copies") && json_object_get(measures, "ssim"));
    }
    CHECK_NEAR(t, number(method_at(root, 1), "training_seconds"), 90.5, 1e-9);
    CHECK_NEAR(t, number(method_at(root, 0), "training_seconds"), 0, 0);
    json_decref(root);
    image made = {0};
    REQUIRE_OK(t, image_read(fixture_path(&f, "out/images/gatys/b/c.png"), NULL, &made, &f.err), f.err);
    CHECK(t, made.width == 500 && made.height == 400);
    image_free(&made);
    CHECK(t, end(begin(&f, make_config(&f, "plain", 3))) == 1); /* it is there already */
    fixture_end(&f);
}

/* The first child of a process, waited for; 0: it has none. */
static pid_t child_of(pid_t parent)
{
    char path[64];
    int child = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
    for (int i = 0; i < 3000 && child == 0; i++) {
        FILE *file = fopen(path, "r");
        if (!file || fscanf(file, "%d", &child) != 1) child = 0;
        if (file) fclose(file);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return child;
}

static char *read_file(fixture *f, const char *name)
{
    char *bytes = NULL;
    size_t size;
    if (file_read_all(fixture_path(f, "%s", name), 1 << 26, &bytes, &size, &f->err) != STATUS_OK) return text_copy("");
    return bytes;
}

static void survives_a_method(test *t)
{
    NEED_PROGRAM(t);
    fixture f = fixture_begin();
    make_inputs(&f);
    pid_t program_id = begin(&f, make_config(&f, "plain", 1000000)), method = child_of(program_id);
    REQUIRE(t, method > 0 && kill(method, SIGKILL) == 0);
    CHECK(t, end(program_id) == 1);
    char *said = read_file(&f, "said"), *page = read_file(&f, "out/index.html");
    CHECK_CONTAINS(t, said, "warning: gatys: its process was killed (signal 9)");
    CHECK_CONTAINS(t, said, "1 of 2 methods failed");
    CHECK(t, strstr(page, "<strong>gatys failed:</strong>") != NULL);
    CHECK(t, file_exists(fixture_path(&f, "out/images/plain/a.png")));
    free(said);
    free(page);
    fixture_end(&f);
}

static void is_interrupted(test *t)
{
    NEED_PROGRAM(t);
    fixture f = fixture_begin();
    make_inputs(&f);
    pid_t program_id = begin(&f, make_config(&f, "plain", 1000000)), method = child_of(program_id);
    REQUIRE(t, method > 0);
    kill(program_id, SIGINT); /* to it alone: the method must hear of it */
    CHECK(t, end(program_id) == 130);
    CHECK(t, kill(method, 0) != 0);
    CHECK(t, !file_exists(fixture_path(&f, "out/index.html")));
    char *said = read_file(&f, "said");
    CHECK_CONTAINS(t, said, "interrupted; pictures made so far are in");
    free(said);
    fixture_end(&f);
}

static void works_in_a_browser(test *t)
{
    NEED_PROGRAM(t);
    fixture f = fixture_begin();
    make_inputs(&f);
    CHECK(t, end(begin(&f, make_config(&f, HOSTILE, 3))) == 0);
    char command[512];
    snprintf(command, sizeof command, "tests/compare/browser.py '%s' 2", fixture_path(&f, "out/index.html"));
    int result = system(command);
    fixture_end(&f);
    if (WIFEXITED(result) && WEXITSTATUS(result) == NO_BROWSER) SKIP(t, "chromium and chromium-driver are not installed");
    CHECK(t, WIFEXITED(result) && WEXITSTATUS(result) == 0);
}

TEST_MAIN(TEST(compares_in_processes), TEST(survives_a_method), TEST(is_interrupted), TEST(works_in_a_browser))

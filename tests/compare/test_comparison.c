/* Configs, medians, and whole comparisons of tiny generators, the methods run in this process. */
#include <jansson.h>
#include <unistd.h>

#include "../translate/fixture.h"
#include "compare/comparison.h"
#include "compare/result.h"

#define HOSTILE "\"><script>alert(1)<x>"
#define HOSTILE_PICTURE "\"><img src=x onerror=alert(1)>#?%41.png"

/* A whole page is too much for CHECK_CONTAINS to print. */
#define CHECK_PAGE(part) CHECK(t, strstr(page, part) != NULL)

static const char base[] = "name: c\ninputs: in\ntargets: real\n";

/* Reads and checks a config; its message in f->err. */
static status check_config(fixture *f, const char *rest)
{
    comparison_options o;
    config_table table;
    config *c;
    char *whole = text_printf("%s%s", base, rest);
    comparison_options_table(&o, COMPARISON_METHODS, &table);
    status result = config_create(&table, 1, &c, &f->err);
    if (result == STATUS_OK) result = config_read_text(c, "x.yaml", whole, strlen(whole), &f->err);
    if (result == STATUS_OK) result = config_finish(c, &f->err);
    if (result == STATUS_OK) result = comparison_options_check(&o, c, &f->err);
    config_destroy(c);
    free(whole);
    return result;
}

static void checks_configs(test *t)
{
    static const struct { const char *rest, *message; } wrong[] = {
        {"", "x.yaml:1:7: no method is given"},
        {"methods: {1: {name: x}}\n", "x.yaml:4:21: methods.1 needs a kind: gan"},
        {"methods: {1: {kind: gan}}\n", "x.yaml:4:21: methods.1 needs a name"},
        {"methods: {1: {kind: gan, name: x}}\n", "methods.1 needs a model"},
        {"methods: {1: {kind: gan, name: a/b, model: m}}\n", "x.yaml:4:32: methods.1.name must be the name of a folder"},
        {"methods: {1: {kind: gan, name: .., model: m}}\n", "methods.1.name must be the name of a folder"},
        {"methods: {1: {kind: gan, name: input, model: m}}\n", "must not be 'input'"},
        {"methods: {1: {kind: gatys, name: x}, 3: {kind: gatys, name: x}}\n",
         "x.yaml:4:61: methods.3.name is the name of another method"},
        {"methods: {1: {kind: gatys, name: x, model: m}}\n", "methods.1.model is for gan and feedforward"},
        {"methods: {1: {kind: gan, name: x, model: m, iterations: 3}}\n", "methods.1.iterations is for gatys alone"},
        {"methods: {1: {kind: gone, name: x}}\n", "x.yaml:4:21: 'methods.1.kind' expects one of gan"},
        {"methods: {9: {kind: gan, name: x, model: m}}\n", "unknown key '9'"},
        {"methods: {1: {kind: gatys, name: x}}\nmeasures: {side: 100}\n", "x.yaml:5:18: measures.side must be a power of two"},
    };
    fixture f = fixture_begin();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK(t, check_config(&f, wrong[i].rest) == STATUS_USAGE);
        CHECK_CONTAINS(t, f.err.message, wrong[i].message);
    }
    CHECK(t, check_config(&f, "methods: {2: {kind: gatys, name: x}, 8: {kind: gan, name: y, model: m}}\n") == STATUS_OK);
    fixture_end(&f);
}

/* n over k by Pascal's rule, in exact doubles for n up to 50. */
static double choose(size_t n, size_t k)
{
    double row[64] = {1};
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j > 0; j--) row[j] += row[j - 1];
    return row[k];
}

static void finds_medians(test *t)
{
    double few[] = {3, NAN, 1, 2, 10};
    compare_estimate e = comparison_median(few, 5);
    CHECK_NEAR(t, e.value, 2.5, 0);
    CHECK(t, e.n == 4 && isnan(e.low) && isnan(e.high));
    CHECK(t, comparison_median(few, 0).n == 0);
    for (size_t n = 6; n <= 50; n++) {
        double values[50], outside = 0, next;
        for (size_t i = 0; i < n; i++) values[i] = (double)((i * 7) % n) + 1; /* 1 .. n where 7 does not divide n */
        if (n % 7 == 0) continue;
        e = comparison_median(values, n);
        size_t k = (size_t)e.low;
        for (size_t i = 0; i < k; i++) outside += choose(n, i) / pow(2, (double)n);
        next = outside + choose(n, k) / pow(2, (double)n);
        CHECK(t, e.low + e.high == (double)(n + 1) && k >= 1);
        CHECK(t, 1 - 2 * outside >= 0.95 && 1 - 2 * next < 0.95); /* covers, and no narrower one does */
    }
}

static status launch_here(void *context, const comparison_job *job, const comparison_listener *listener, double *bytes,
                          error *err)
{
    ++*(int *)context;
    *bytes = 123456;
    return comparison_method_run(job, listener, err);
}

static void make_inputs(fixture *f)
{
    for (unsigned i = 0; i < 4; i++) {
        fixture_picture(f, fixture_path(f, "real/%u.png", i), 40, 40, i);
        fixture_picture(f, fixture_path(f, "train/%u.png", i), 40, 40, 100 + i);
    }
    fixture_picture(f, fixture_path(f, "in/a.png"), 24, 32, 7);
    fixture_picture(f, fixture_path(f, "in/b/c.jpg"), 32, 24, 8);
    fixture_picture(f, fixture_path(f, "in/%s", HOSTILE_PICTURE), 24, 24, 9);
    fixture_picture(f, fixture_path(f, "in/\xff.png"), 24, 24, 10);
    fixture_save(f, fixture_path(f, "model.safetensors"), &tiny, 1, "cyclegan_format", "1", "kind", "generator",
                 "direction", "a_to_b", "from", "<in>", "to", "out", "seconds", "90.5", "step", "12", (char *)NULL);
    file_write_all(fixture_path(f, "broken.safetensors"), "rubbish", 7, &f->err);
}

/* A comparison in the fixture's folder; `methods` in YAML, $ stands for the folder. */
static status compare_as(fixture *f, const char *methods, const char *out, bool overwrite, int *launches)
{
    text yaml = {0};
    text_format(&yaml, "name: '<b>c'\ninputs: %s/in\ntargets: %s/real\ntrain: %s/train\n"
                       "measures: {features: none, side: 32}\nmethods:\n", f->folder, f->folder, f->folder);
    for (; *methods; methods++) {
        if (*methods == '$')
            text_add(&yaml, f->folder);
        else
            text_append(&yaml, methods, 1);
    }
    const char *path = fixture_path(f, "compare.yaml");
    file_write_all(path, text_get(&yaml), yaml.length, &f->err);
    text_free(&yaml);
    log_sink quiet = log_create(stderr, true);
    quiet.stream = fopen("/dev/null", "w");
    comparison_request request = {.config_path = path, .out = out, .overwrite = overwrite, .threads = 2, .launch = launch_here,
                                  .launch_context = launches};
    status result = comparison_run(&request, &quiet, &f->err);
    fclose(quiet.stream);
    return result;
}

static status compare(fixture *f, const char *methods, const char *out, int *launches)
{
    return compare_as(f, methods, out, false, launches);
}

static char *read_file(fixture *f, const char *name)
{
    char *bytes = NULL;
    size_t size;
    if (file_read_all(fixture_path(f, "out/%s", name), 1 << 26, &bytes, &size, &f->err) != STATUS_OK) return NULL;
    return bytes;
}

static json_t *find_method(json_t *root, const char *name)
{
    size_t i;
    json_t *method;
    json_array_foreach(json_object_get(root, "methods"), i, method)
        if (strcmp(json_string_value(json_object_get(method, "name")), name) == 0) return method;
    return NULL;
}

static void check_numbers(test *t, fixture *f)
{
    json_t *root = json_load_file(fixture_path(f, "out/metrics.json"), 0, NULL), *m = find_method(root, HOSTILE);
    REQUIRE(t, m);
    CHECK(t, json_integer_value(json_object_get(m, "made")) == 4);
    CHECK(t, json_array_size(json_object_get(m, "outputs")) == 4);
    CHECK_NEAR(t, json_real_value(json_object_get(m, "training_seconds")), 90.5, 1e-9);
    CHECK_NEAR(t, json_real_value(json_object_get(m, "peak_bytes")), 123456, 0);
    CHECK(t, json_real_value(json_object_get(json_object_get(m, "seconds_per_picture"), "value")) > 0);
    json_t *ssim = json_object_get(json_object_get(m, "measures"), "ssim");
    double mean = 0;
    size_t i;
    json_t *output;
    json_array_foreach(json_object_get(m, "outputs"), i, output)
        mean += json_real_value(json_object_get(output, "ssim")) / 4;
    CHECK_NEAR(t, json_real_value(json_object_get(ssim, "value")), mean, 1e-6);
    CHECK(t, json_real_value(json_object_get(ssim, "low")) < mean && json_is_real(json_object_get(ssim, "high")));
    json_t *other = find_method(root, "longer");
    CHECK_NEAR(t, json_real_value(json_object_get(other, "training_seconds")), 3600, 0);
    json_decref(root);
}

static void compares(test *t)
{
    fixture f = fixture_begin();
    int launches = 0;
    make_inputs(&f);
    REQUIRE_OK(t, compare(&f, "  1: {kind: gan, name: '" HOSTILE "', model: $/model.safetensors}\n"
                              "  4: {kind: feedforward, name: longer, model: $/model.safetensors, training_seconds: 3600}\n",
                          fixture_path(&f, "out"), &launches), f.err);
    CHECK(t, launches == 2);
    CHECK(t, file_exists(fixture_path(&f, "out/images/%s/%s", HOSTILE, HOSTILE_PICTURE)));
    CHECK(t, file_exists(fixture_path(&f, "out/images/longer/b/c.png")));
    CHECK(t, file_exists(fixture_path(&f, "out/images/input/\xff.png")));
    CHECK(t, file_exists(fixture_path(&f, "out/contact_sheet.png")) && file_exists(fixture_path(&f, "out/config.yaml")));
    check_numbers(t, &f);
    char *csv = read_file(&f, "metrics.csv"), *page = read_file(&f, "index.html");
    REQUIRE(t, csv && page);
    CHECK(t, text_starts_with(csv, "input,method,measure,value,low,high,n\r\n"));
    CHECK_CONTAINS(t, csv, "\"\"\"><img src=x onerror=alert(1)>#?%41.png\",\"\"\"><script>alert(1)<x>\",ssim,");
    CHECK_CONTAINS(t, csv, ",longer,training,3600,,,1\r\n");
    CHECK(t, !strstr(page, "<script>alert") && !strstr(page, "<img src=x") && !strstr(page, "<b>c") && !strstr(page, "<in>"));
    CHECK_PAGE("&quot;&gt;&lt;script&gt;alert(1)&lt;x&gt;");
    CHECK_PAGE("href=\"images/longer/%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E%23%3F%2541.png\"");
    CHECK_PAGE("href=\"images/input/%FF.png\"");
    CHECK(t, !strstr(page, "http:") && !strstr(page, "https:") && !strstr(page, "src=\"images"));
    free(csv);
    free(page);
    fixture_end(&f);
}

static void goes_on_without_a_method(test *t)
{
    fixture f = fixture_begin();
    int launches = 0;
    make_inputs(&f);
    file_write_all(fixture_path(&f, "in/rubbish.png"), "rubbish", 7, &f.err);
    CHECK(t, compare(&f, "  1: {kind: gan, name: bad, model: $/broken.safetensors}\n"
                         "  2: {kind: gan, name: good, model: $/model.safetensors}\n",
                     fixture_path(&f, "out"), &launches) == STATUS_FAILED);
    CHECK_CONTAINS(t, f.err.message, "1 of 2 methods failed");
    CHECK(t, launches == 1 && file_exists(fixture_path(&f, "out/images/good/a.png")));
    char *page = read_file(&f, "index.html");
    REQUIRE(t, page);
    CHECK_PAGE("<strong>bad failed:</strong>");
    CHECK_PAGE("1 inputs could not be read");
    free(page);
    fixture_end(&f);
}

static void refuses_before_it_begins(test *t)
{
    fixture f = fixture_begin();
    int launches = 0;
    make_inputs(&f);
    const char *good = "  1: {kind: gan, name: good, model: $/model.safetensors}\n";
    CHECK(t, compare(&f, good, fixture_path(&f, "in"), &launches) == STATUS_FAILED);
    CHECK_CONTAINS(t, f.err.message, "holds something already");
    CHECK(t, compare(&f, good, fixture_path(&f, "in/a.png"), &launches) == STATUS_FAILED);
    CHECK(t, compare(&f, "  1: {kind: gan, name: good, model: $/model.safetensors, to: elsewhere}\n",
                     fixture_path(&f, "out"), &launches) == STATUS_USAGE);
    CHECK(t, compare(&f, "  1: {kind: gatys, name: g, settings: $/in/a.png}\n", fixture_path(&f, "out"), &launches) ==
                 STATUS_USAGE);
    CHECK(t, launches == 0 && !file_exists(fixture_path(&f, "out")));
    fixture_end(&f);
}

/* A comparison is replaced with all its pictures; what is none is left alone, and so is what no comparison makes. */
static void overwrites(test *t)
{
    fixture f = fixture_begin();
    int launches = 0;
    make_inputs(&f);
    const char *two = "  1: {kind: gan, name: one, model: $/model.safetensors}\n"
                      "  2: {kind: gan, name: two, model: $/model.safetensors}\n";
    const char *one = "  1: {kind: gan, name: one, model: $/model.safetensors}\n";
    char out[256];
    snprintf(out, sizeof out, "%s", fixture_path(&f, "out"));
    REQUIRE_OK(t, compare(&f, two, out, &launches), f.err);
    CHECK(t, compare(&f, one, out, &launches) == STATUS_FAILED);
    CHECK_CONTAINS(t, f.err.message, "holds a comparison already; choose another name, or --out DIR; --overwrite");
    file_write_all(fixture_path(&f, "out/notes.txt"), "mine", 4, &f.err);
    file_write_all(fixture_path(&f, "out/images/one/notes.txt"), "mine", 4, &f.err);
    unlink(fixture_path(&f, "in/a.png"));
    REQUIRE_OK(t, compare_as(&f, one, out, true, &launches), f.err);
    CHECK(t, launches == 3);
    CHECK(t, !file_exists(fixture_path(&f, "out/images/one/a.png")));
    CHECK(t, !file_exists(fixture_path(&f, "out/images/two/b/c.png")));
    CHECK(t, file_exists(fixture_path(&f, "out/images/one/b/c.png")) && file_exists(fixture_path(&f, "out/index.html")));
    CHECK(t, file_exists(fixture_path(&f, "out/notes.txt")));
    CHECK(t, file_exists(fixture_path(&f, "out/images/one/notes.txt")));
    CHECK(t, compare_as(&f, "  1: {kind: gan, name: one, model: $/model.safetensors, to: elsewhere}\n", out, true,
                        &launches) == STATUS_USAGE);
    CHECK(t, compare_as(&f, one, fixture_path(&f, "in"), true, &launches) == STATUS_FAILED);
    CHECK_CONTAINS(t, f.err.message, "holds something already");
    CHECK(t, file_exists(fixture_path(&f, "in/b/c.jpg")) && file_exists(fixture_path(&f, "out/images/one/b/c.png")));
    char command[512]; /* inputs that would be removed */
    snprintf(command, sizeof command, "cd '%s' && rm -r in && ln -s out/images/one in", f.folder);
    REQUIRE(t, system(command) == 0);
    CHECK(t, compare_as(&f, one, out, true, &launches) == STATUS_FAILED);
    CHECK_CONTAINS(t, f.err.message, "among the pictures of the comparison that would be replaced");
    CHECK(t, file_exists(fixture_path(&f, "out/images/one/b/c.png")));
    fixture_end(&f);
}

/* Pictures of targets or a style that cannot be read: the rest is done, and the status says so. */
static void tells_of_broken_targets(test *t)
{
    fixture f = fixture_begin();
    int launches = 0;
    make_inputs(&f);
    for (unsigned i = 5; i < 7; i++) fixture_picture(&f, fixture_path(&f, "real/%u.png", i), 40, 40, i);
    file_write_all(fixture_path(&f, "real/x.png"), "rubbish", 7, &f.err);
    CHECK(t, compare(&f, "  1: {kind: gan, name: good, model: $/model.safetensors}\n", fixture_path(&f, "out"),
                     &launches) == STATUS_FAILED);
    CHECK_CONTAINS(t, f.err.message, "1 target or training pictures could not be read; the numbers are over the others");
    CHECK(t, file_exists(fixture_path(&f, "out/index.html")));
    fixture_end(&f);
}

TEST_MAIN(TEST(checks_configs), TEST(finds_medians), TEST(compares), TEST(goes_on_without_a_method),
          TEST(refuses_before_it_begins), TEST(overwrites), TEST(tells_of_broken_targets))

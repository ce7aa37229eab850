/* `cyclegan export`: the file's contents, refusals, and what onnxruntime makes of the file, where Python has it
 * ($ONNX_PYTHON, else python3; it checks the file with onnx, too, where it has that). */
#include <sys/stat.h>

#include "../translate/fixture.h"
#include "base/pixels.h"
#include "cli/run.h"
#include "models/onnx_reader.h"

static void save_generator(fixture *f, const char *name, const char *from, const char *to)
{
    fixture_save(f, fixture_path(f, "%s", name), &tiny, 1, "cyclegan_format", "1", "kind", "generator", "from", from,
                 "to", to, "direction", "a_to_b", (char *)NULL);
}

/* `line` with the test's folder in place of every @. */
static void check_export(test *t, const fixture *f, const char *line, int expected, const char *part)
{
    char whole[1024] = "export ";
    size_t used = strlen(whole);
    for (; *line && used + sizeof f->folder < sizeof whole; line++) {
        bool folder = *line == '@';
        used += (size_t)snprintf(whole + used, sizeof whole - used, "%.*s", folder ? 63 : 1, folder ? f->folder : line);
    }
    check_run(t, whole, expected, part);
}

static void writes_a_file(test *t)
{
    NEED_PROGRAM(t);
    fixture f = fixture_begin();
    char version[65536];
    save_generator(&f, "m.safetensors", "snacks", "fractals");
    check_export(t, &f, "@/m.safetensors -o @/new/m.onnx", 0,
                 "/new/m.onnx: snacks to fractals; sides must be multiples of 4, at least 8\n");
    onnx_model *m = onnx_read(t, fixture_path(&f, "new/m.onnx"));
    REQUIRE(t, m && run("--version 2>/dev/null", version) == 0);
    version[strcspn(version, "\n")] = '\0';
    CHECK_TEXT(t, m->producer, "cyclegan");
    CHECK_TEXT(t, m->version, version + strlen("cyclegan "));
    CHECK_TEXT(t, m->description,
               "Translates pictures from snacks to fractals. Input and output: RGB from -1 to 1, (batch, 3, height, "
               "width); the sides must be multiples of 4, and at least 8.");
    CHECK_TEXT(t, onnx_property(m, "from"), "snacks");
    CHECK_TEXT(t, onnx_property(m, "to"), "fractals");
    CHECK_TEXT(t, onnx_property(m, "sides_multiple_of"), "4");
    CHECK_TEXT(t, onnx_property(m, "sides_at_least"), "8");
    onnx_free(m);
    check_export(t, &f, "@/m.safetensors -o @/new/m.onnx", 1,
                 "/new/m.onnx exists, and is left alone; --overwrite replaces it");
    check_export(t, &f, "@/m.safetensors -o @/2.ONNX --quiet 2>&1 | grep -c .; cmp @/new/m.onnx @/2.ONNX", 0, "0\n");
    check_export(t, &f, "@/m.safetensors -o @/new/m.onnx --to fractals --overwrite", 0, "fractals");
    fixture_end(&f);
}

/* A training state's generators, without metadata. */
static void save_state(fixture *f, const char *path, nn_parameters *const sets[2])
{
    safetensors_writer *w;
    model_weights weights[2] = {{sets[0], NN_DATA, "", "G_A."}, {sets[1], NN_DATA, "", "G_B."}};
    status result = safetensors_writer_create(&w, &f->err);
    for (int i = 0; i < 2 && result == STATUS_OK; i++)
        result = model_weights_declare(&weights[i], w, SAFETENSORS_F32, &f->err);
    if (result == STATUS_OK) result = safetensors_begin(w, path, &f->err);
    for (int i = 0; i < 2 && result == STATUS_OK; i++) result = model_weights_put(&weights[i], w, &f->err);
    if (result != STATUS_OK || safetensors_commit(w, &f->err) != STATUS_OK) fprintf(stderr, "%s\n", f->err.message);
}

static void takes_a_direction_of_a_state(test *t)
{
    NEED_PROGRAM(t);
    fixture f = fixture_begin();
    model_generator_options unet = {.kind = MODEL_UNET_128, .ngf = 2, .in_channels = 3, .out_channels = 3};
    nn_parameters *sets[2] = {fixture_weights(&f, &unet, 1), fixture_weights(&f, &unet, 2)};
    save_state(&f, fixture_path(&f, "s.safetensors"), sets);
    check_export(t, &f, "@/s.safetensors -o @/s.onnx", 2,
                 "/s.safetensors: a training state holds two generators; choose one with --to b or --to a");
    check_export(t, &f, "@/s.safetensors -o @/s.onnx --to a", 0, "b to a; sides must be multiples of 128, at least 128");
    onnx_model *m = onnx_read(t, fixture_path(&f, "s.onnx"));
    REQUIRE(t, m);
    const onnx_tensor *w = onnx_find(m, sets[1]->tensors[0].name);
    float values[1024];
    REQUIRE(t, w && w->count <= 1024 && w->count == nn_count(sets[1]->tensors[0].shape));
    nn_parameters_read(sets[1], NN_DATA, 0, values);
    for (size_t i = 0; i < w->count; i++) CHECK(t, w->values[i] == (double)values[i]);
    CHECK_TEXT(t, onnx_property(m, "sides_at_least"), "128");
    onnx_free(m);
    for (int i = 0; i < 2; i++) nn_parameters_destroy(sets[i]);
    fixture_end(&f);
}

static void refuses(test *t)
{
    NEED_PROGRAM(t);
    fixture f = fixture_begin();
    static const struct {
        const char *line;
        int result;
        const char *part;
    } cases[] = {
        {"@/m.safetensors", 2, "export: --out FILE is missing"},
        {"-o @/m.onnx", 2, "export: MODEL is missing"},
        {"@/m.safetensors @/m.safetensors -o @/x.onnx", 2, "export: expected 1 argument, found also '"},
        {"@/m.safetensors -o @/m.safetensors --overwrite", 2, "/m.safetensors: the name of an ONNX file ends in .onnx"},
        {"@/m.safetensors -o ''", 2, ": the name of an ONNX file ends in .onnx"},
        {"@/m.onnx -o @/m.onnx --overwrite", 1, "m.onnx would overwrite the input "},
        {"@/m.safetensors -o @/x.onnx --to snacks", 2, "--to snacks: this generator makes cakes from snacks"},
        {"@/none.safetensors -o @/x.onnx", 1, "/none.safetensors: cannot open: No such file or directory"},
        {"@/rubbish -o @/x.onnx", 1, "/rubbish: not a safetensors file: "},
        {"@/m.safetensors -o @/rubbish/x.onnx", 1, "/rubbish: cannot create the folder: Not a directory"},
        {"@/m.safetensors -o @/folder.onnx --overwrite", 1, "/folder.onnx: cannot write: Is a directory"},
    };
    save_generator(&f, "m.safetensors", "snacks", "cakes");
    save_generator(&f, "m.onnx", "snacks", "cakes");
    file_make_folders(fixture_path(&f, "folder.onnx"), &f.err);
    file_write_all(fixture_path(&f, "rubbish"), "rubbish", 7, &f.err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_export(t, &f, cases[i].line, cases[i].result, cases[i].part);
    CHECK(t, !file_exists(fixture_path(&f, "x.onnx")));
    fixture_end(&f);
}

/* A limit on files, like a full disk, leaves what was there; names from a model are printable in the file. */
static void does_no_harm(test *t)
{
    NEED_PROGRAM(t);
    fixture f = fixture_begin();
    char command[1024], *bytes;
    size_t size;
    save_generator(&f, "m.safetensors", "\x1b[2J\xc2\x9b", "../up\n");
    file_write_all(fixture_path(&f, "m.onnx"), "before", 6, &f.err);
    snprintf(command, sizeof command, "(ulimit -f 8; exec '%s' export %s/m.safetensors -o %s/m.onnx --overwrite 2>&1) "
             ">/dev/null", program(), f.folder, f.folder);
    int result = system(command);
    CHECK(t, WIFEXITED(result) && WEXITSTATUS(result) == 1);
    REQUIRE_OK(t, file_read_all(fixture_path(&f, "m.onnx"), 100, &bytes, &size, &f.err), f.err);
    CHECK_TEXT(t, bytes, "before");
    free(bytes);
    check_export(t, &f, "@/m.safetensors -o @/m.onnx --overwrite", 0, "\\x1b[2J\\xc2\\x9b to ../up\\x0a; ");
    onnx_model *m = onnx_read(t, fixture_path(&f, "m.onnx"));
    REQUIRE(t, m);
    CHECK_TEXT(t, onnx_property(m, "from"), "\\x1b[2J\\xc2\\x9b");
    CHECK_TEXT(t, onnx_property(m, "to"), "../up\\x0a");
    CHECK_CONTAINS(t, m->description, "pictures from \\x1b[2J\\xc2\\x9b to ../up\\x0a. Input");
    onnx_free(m);
    snprintf(command, sizeof command, "ls -A %s | grep -q part", f.folder);
    CHECK(t, system(command) != 0);
    fixture_end(&f);
}

/* The output of `input`, floats of the shape (count, 3, height, width), in both files. */
static const char run_model[] =
    "import sys, numpy, onnxruntime\n"
    "try:\n"
    "    import onnx\n"
    "    onnx.checker.check_model(sys.argv[1], full_check=True)\n"
    "except ImportError:\n"
    "    pass\n"
    "x = numpy.fromfile(sys.argv[2], numpy.float32).reshape([int(n) for n in sys.argv[4:]])\n"
    "session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])\n"
    "session.run(['output'], {'input': x})[0].tofile(sys.argv[3])\n";

/* Two pictures through the exported file, into `out`: grey levels in (2, height, width, 3). */
static status run_python(fixture *f, const char *python, size_t width, size_t height, uint8_t *out, error *err)
{
    size_t pixels = width * height, count = 6 * pixels, bytes = count * sizeof(float), size = 0;
    float *x = malloc(2 * bytes), *y = x + count;
    char command[1024], *result = NULL;
    for (size_t i = 0; i < 2; i++) {
        image picture = fixture_image(width, height, (unsigned)i);
        pixels_to_floats(picture.pixels, 3 * pixels, y);
        for (size_t k = 0; k < 3 * pixels; k++) x[(i * 3 + k % 3) * pixels + k / 3] = y[k];
        image_free(&picture);
    }
    status done = file_write_all(fixture_path(f, "x.raw"), x, bytes, err);
    snprintf(command, sizeof command, "'%s' %s/run.py %s/m.onnx %s/x.raw %s/y.raw 2 3 %zu %zu", python, f->folder,
             f->folder, f->folder, f->folder, height, width);
    if (done == STATUS_OK && system(command) != 0) done = error_set(err, STATUS_FAILED, "%s failed", command);
    if (done == STATUS_OK) done = file_read_all(fixture_path(f, "y.raw"), bytes, &result, &size, err);
    if (done == STATUS_OK && size != bytes) done = error_set(err, STATUS_FAILED, "%zu bytes, expected %zu", size, bytes);
    if (done == STATUS_OK) {
        memcpy(x, result, bytes);
        for (size_t i = 0; i < count; i++) y[i] = x[(i / (3 * pixels) * 3 + i % 3) * pixels + i / 3 % pixels];
        pixels_from_floats(y, count, out);
    }
    free(result);
    free(x);
    return done;
}

/* onnxruntime's pictures are translate's, but for a last digit before rounding. */
static void compare(test *t, fixture *f, const char *python, const char *model, size_t width, size_t height)
{
    char line[1024];
    size_t count = width * height * 3, differ = 0;
    uint8_t *found = malloc(2 * count);
    snprintf(line, sizeof line, "export %s -o %s/m.onnx --overwrite", model, f->folder);
    check_run(t, line, 0, "");
    for (int i = 0; i < 2; i++) fixture_picture(f, fixture_path(f, "in/%d.png", i), width, height, (unsigned)i);
    snprintf(line, sizeof line, "translate --model %s %s/in -o %s/out --overwrite --device cpu", model, f->folder,
             f->folder);
    check_run(t, line, 0, "2 pictures in ");
    REQUIRE_OK(t, run_python(f, python, width, height, found, &f->err), f->err);
    for (size_t i = 0; i < 2; i++) {
        image expected = {0};
        REQUIRE_OK(t, image_read(fixture_path(f, "out/%zu.png", i), NULL, &expected, &f->err), f->err);
        REQUIRE(t, expected.width == width && expected.height == height);
        for (size_t k = 0; k < count; k++) {
            int difference = abs((int)found[i * count + k] - (int)expected.pixels[k]);
            CHECK(t, difference <= 1);
            differ += difference != 0;
        }
        image_free(&expected);
    }
    if (differ * 100 > 2 * count)
        test_failed(t, __FILE__, __LINE__, "%s: %zu of %zu grey levels differ", model, differ, 2 * count);
    free(found);
}

static void onnxruntime_agrees(test *t)
{
    NEED_PROGRAM(t);
    fixture f = fixture_begin();
    const char *python = getenv("ONNX_PYTHON");
    char line[256];
    if (!python) python = "python3";
    snprintf(line, sizeof line, "'%s' -c 'import numpy, onnxruntime' 2>/dev/null", python);
    if (system(line) != 0) {
        fixture_end(&f);
        SKIP(t, "Python has no onnxruntime (ONNX_PYTHON names another interpreter)");
    }
    model_generator_options transposed = {.kind = MODEL_RESNET_6, .ngf = 8, .in_channels = 3, .out_channels = 3,
                                          .upsample = MODEL_TRANSPOSE};
    model_generator_options unet = {.kind = MODEL_UNET_128, .ngf = 4, .in_channels = 3, .out_channels = 3};
    char model[256];
    REQUIRE_OK(t, file_write_all(fixture_path(&f, "run.py"), run_model, sizeof run_model - 1, &f.err), f.err);
    compare(t, &f, python, "checkpoints/snacks2fractals.safetensors", 160, 128);
    snprintf(model, sizeof model, "%s", fixture_path(&f, "t.safetensors"));
    fixture_save(&f, model, &transposed, 3, (char *)NULL);
    compare(t, &f, python, model, 64, 48);
    compare(t, &f, python, model, 8, 12);
    fixture_save(&f, model, &unet, 3, (char *)NULL);
    compare(t, &f, python, model, 256, 128);
    fixture_end(&f);
}

TEST_MAIN(TEST(writes_a_file), TEST(takes_a_direction_of_a_state), TEST(refuses), TEST(does_no_harm),
          TEST(onnxruntime_agrees))

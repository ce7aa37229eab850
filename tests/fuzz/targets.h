/* What is fuzzed: everything that reads bytes from outside. Each target takes any bytes at all; a crash, a sanitizer's
 * report, an error without its one line, or memory beyond the fuzzer's limit is a finding.
 *
 * tests/fuzz/driver.c gives the targets to libFuzzer (`make fuzz`); tests/fuzz/test_fuzz.c replays the files under
 * seeds/ and found/ in `make test`.
 */
#ifndef TESTS_FUZZ_TARGETS_H
#define TESTS_FUZZ_TARGETS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "gan/options.h"
#include "image/codec.h"
#include "models/infer.h"
#include "training/options.h"
#include "translate/choice.h"
#include "translate/manifest.h"

enum { FUZZ_PIXELS = 1 << 20, FUZZ_TENSOR = 1 << 20 };

/* An error is one line that a terminal can show; no error has none. */
static inline void fuzz_check(status result, const error *err)
{
    bool said = err->message[0] != '\0';
    if ((result != STATUS_OK) == said && !strpbrk(err->message, "\n\r\033")) return;
    fprintf(stderr, "status %d with the message \"%s\"\n", (int)result, err->message);
    __builtin_trap();
}

static inline void fuzz_image(const uint8_t *bytes, size_t size)
{
    image_limits limits = {.max_pixels = FUZZ_PIXELS};
    image picture = {0}, small = {0};
    error err = {0};
    status result = image_decode("f", bytes, size, &limits, &picture, &err);
    fuzz_check(result, &err);
    if (result == STATUS_OK && picture.width * picture.height > FUZZ_PIXELS) __builtin_trap();
    if (result == STATUS_OK) fuzz_check(image_resize(&picture, 9, 7, &small, &err), &err);
    image_free(&picture);
    image_free(&small);
}

static inline void fuzz_exif(const uint8_t *bytes, size_t size)
{
    int orientation = image_exif_orientation(bytes, size);
    if (orientation < 0 || orientation > 8) __builtin_trap();
}

static inline void fuzz_tensors(const safetensors_file *file)
{
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const safetensors_entry *e = safetensors_at(file, i);
        if (safetensors_find(file, e->name) != e) __builtin_trap();
        if (e->count > FUZZ_TENSOR) continue;
        error err = {0};
        float *values = malloc((e->count + 1) * sizeof *values);
        if (values) fuzz_check(safetensors_read_f32(file, e, values, &err), &err);
        free(values);
    }
}

static inline void fuzz_safetensors(const uint8_t *bytes, size_t size)
{
    static const char *const domains[] = {NULL, "a", "dots"};
    safetensors_file *file;
    error err = {0};
    status result = safetensors_open_memory("f", bytes, size, &file, &err);
    fuzz_check(result, &err);
    if (result != STATUS_OK) return;
    fuzz_check(safetensors_verify(file, &err), &err);
    fuzz_tensors(file);
    for (int i = 0; i < 3; i++) {
        generator_choice choice = {.prefix = ""};
        model_generator_options options;
        error problem = {0};
        result = generator_choose(file, domains[i], &choice, &problem);
        fuzz_check(result, &problem);
        if (result == STATUS_OK) fuzz_check(model_generator_infer(file, choice.prefix, &options, &problem), &problem);
    }
    safetensors_close(file);
}

static inline void fuzz_config(const uint8_t *bytes, size_t size)
{
    training_options training = {0};
    gan_options gan = {0};
    int kind;
    static const config_field method = {"method", CONFIG_CHOICE, 0, "cyclegan", .choices = training_kind_names};
    config *of_method; /* only that key */
    error unknown = {0};
    if (config_create(&(config_table){&method, 1, &kind}, 1, &of_method, &unknown) != STATUS_OK) __builtin_trap();
    config_pass_over_unknown(of_method);
    fuzz_check(config_read_text(of_method, "f", (const char *)bytes, size, &unknown), &unknown);
    config_destroy(of_method);
    config_table tables[] = {{training_fields, training_field_count, &training}, {gan_fields, gan_field_count, &gan}};
    config *c;
    error err = {0};
    if (config_create(tables, 2, &c, &err) != STATUS_OK) __builtin_trap();
    status result = config_read_text(c, "f", (const char *)bytes, size, &err);
    if (result == STATUS_OK) result = config_finish(c, &err);
    if (result == STATUS_OK) result = training_options_check(&training, c, &err);
    if (result == STATUS_OK) result = gan_options_check(&gan, c, training.crop_size, &err);
    fuzz_check(result, &err);
    text dump = {0};
    if (result == STATUS_OK) config_dump(c, &dump); /* what was read can be written */
    text_free(&dump);
    config_destroy(c);
}

static inline void fuzz_manifest(const uint8_t *bytes, size_t size)
{
    char folder[] = "/tmp/cyclegan-fuzz-XXXXXX", path[64];
    if (!mkdtemp(folder)) return;
    snprintf(path, sizeof path, "%s/.cyclegan-manifest.json", folder);
    FILE *nowhere = fopen("/dev/null", "w"), *file = fopen(path, "wb"); /* without the sync of an atomic write */
    if (file) {
        fwrite(bytes, 1, size, file);
        fclose(file);
    }
    log_sink log = log_create(nowhere, true);
    manifest *m = NULL;
    manifest_entry entry = {.made_by = "af63dc4c8601ec8c png", .source_bytes = 81234};
    error err = {0};
    if (manifest_open(folder, &log, &m, &err) == STATUS_OK) {
        (void)manifest_compare(m, "cakes/1.png", &entry);
        fuzz_check(manifest_record(m, "cakes/1.png", &entry, &err), &err);
        if (manifest_compare(m, "cakes/1.png", &entry) != MANIFEST_SAME) __builtin_trap();
    }
    fuzz_check(m ? STATUS_OK : STATUS_FAILED, &err);
    manifest_destroy(m);
    if (nowhere) fclose(nowhere);
    unlink(path);
    rmdir(folder);
}

typedef struct fuzz_target {
    const char *name;
    void (*run)(const uint8_t *bytes, size_t size);
} fuzz_target;

static const fuzz_target fuzz_targets[] = {
    {"image", fuzz_image},   {"exif", fuzz_exif},         {"safetensors", fuzz_safetensors},
    {"config", fuzz_config}, {"manifest", fuzz_manifest},
};
enum { FUZZ_TARGETS = sizeof fuzz_targets / sizeof *fuzz_targets };

static inline const fuzz_target *fuzz_find(const char *name)
{
    for (size_t i = 0; name && i < FUZZ_TARGETS; i++)
        if (strcmp(fuzz_targets[i].name, name) == 0) return &fuzz_targets[i];
    return NULL;
}

#endif

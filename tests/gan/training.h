/* The training command on made pictures, in a folder of a test's own. */
#ifndef TESTS_GAN_TRAINING_H
#define TESTS_GAN_TRAINING_H

#include <unistd.h>

#include "../training/compare.h"
#include "../training/pictures.h"
#include "gan/train.h"

typedef struct bench {
    workplace place;
    char config[160];
    log_sink log;
    FILE *messages;
    error err;
} bench;

static inline bool set_up(bench *b, const char *extra)
{
    *b = (bench){0};
    if (!workplace_create(&b->place)) return false;
    if (!workplace_pictures(&b->place, "a", 3, 20, 24, -1)) return false;
    if (!workplace_pictures(&b->place, "b", 4, 24, 20, -1)) return false;
    char yaml[2048];
    const char *r = b->place.root;
    snprintf(b->config, sizeof b->config, "%s/c.yaml", r);
    int length = snprintf(yaml, sizeof yaml,
                          "name: tiny\n"
                          "domains:\n  a: {name: snacks, train: %s/a}\n  b: {name: fractals, train: %s/b}\n"
                          "data: {load_size: 20, crop_size: 16, workers: 2}\n"
                          "model: {generator: resnet_6blocks, ngf: 4, discriminator: n_layers, discriminator_layers: 1, "
                          "ndf: 4}\n"
                          "train: {steps: 6, schedule: constant, pool_size: 2, augment: true, ema: 0.9, clip_norm: 5}\n"
                          "output: {folder: %s/runs, checkpoint_every: 3, sample_every: 3, sample_count: 2, log_every: 1}\n%s",
                          r, r, r, extra);
    b->messages = tmpfile();
    b->log = log_create(b->messages, true);
    return b->messages && file_write_all(b->config, yaml, (size_t)length, NULL) == STATUS_OK;
}

static inline void tear_down(bench *b)
{
    if (b->messages) fclose(b->messages);
    workplace_remove(&b->place);
}

/* settings: NULL-terminated. */
static inline status train(bench *b, const char *out, bool resume, const char *const *settings)
{
    char folder[128];
    size_t count = 0;
    while (settings && settings[count]) count++;
    snprintf(folder, sizeof folder, "%s/%s", b->place.root, out);
    training_request request = {.config_path = b->config, .settings = settings, .setting_count = count,
                                 .resume = resume, .out = folder, .threads = 2};
    b->err = (error){0};
    return training_train(&request, &gan_trainer, &b->log, &b->err);
}

static inline void path_of(const bench *b, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", b->place.root, name);
}

static inline void compare_files(test *t, const bench *b, const char *one, const char *two)
{
    char path[2][160];
    path_of(b, one, path[0], sizeof path[0]);
    path_of(b, two, path[1], sizeof path[1]);
    compare_tensors(t, path[0], path[1]);
}

static inline size_t lines_of(const bench *b, const char *name)
{
    char path[160], *bytes;
    size_t size, lines = 0;
    path_of(b, name, path, sizeof path);
    if (file_read_all(path, 1 << 20, &bytes, &size, NULL) != STATUS_OK) return 0;
    for (size_t i = 0; i < size; i++) lines += bytes[i] == '\n';
    free(bytes);
    return lines;
}

static inline size_t said(const bench *b, char *out, size_t size)
{
    rewind(b->messages);
    size_t used = fread(out, 1, size - 1, b->messages);
    out[used] = '\0';
    return used;
}

static inline bool there(const bench *b, const char *name)
{
    char path[160];
    path_of(b, name, path, sizeof path);
    return file_exists(path);
}

#endif

#include "compare/evaluate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare/evaluate_internal.h"
#include "compare/metrics/wasserstein.h"

enum { SMALL = 32 }; /* side of the pictures whose pixels are compared */

static const char *const folder_words[COMPARE_FOLDERS] = {"real pictures", "outputs", "inputs", "training pictures"};

void compare_evaluation_free(compare_evaluation *e)
{
    for (size_t i = 0; i < COMPARE_FOLDERS; i++) compare_folder_free(&e->folders[i]);
    free(e->outputs);
    *e = (compare_evaluation){0};
}

const compare_estimate *compare_evaluation_find(const compare_evaluation *e, const char *key)
{
    for (size_t i = 0; i < e->count; i++)
        if (strcmp(e->measures[i].key, key) == 0) return &e->measures[i].estimate;
    return NULL;
}

void compare_add(compare_evaluation *e, const char *key, const char *meaning, compare_estimate estimate)
{
    compare_measure *m = &e->measures[e->count++];
    snprintf(m->key, sizeof m->key, "%s", key);
    m->meaning = meaning;
    m->estimate = estimate;
}

static status load_folders(compare_evaluation *e, const compare_request *request, log_sink *log, error *err)
{
    const char *const paths[COMPARE_FOLDERS] = {request->real, request->fake, request->content, request->train};
    const size_t fewest[COMPARE_FOLDERS] = {COMPARE_FEWEST, request->few ? 2 : COMPARE_FEWEST, 1, 2};
    char shown[300];
    for (size_t i = 0; i < COMPARE_FOLDERS; i++) {
        compare_folder *folder = &e->folders[i];
        if (!paths[i]) continue;
        TRY(compare_folder_load(paths[i], request->side, log, folder, err));
        e->left_out += folder->left_out_count;
        text_printable(paths[i], shown, sizeof shown);
        if (folder->set.count < fewest[i])
            return error_set(err, STATUS_FAILED, "%s: %zu %s, expected %zu at least for numbers with an interval",
                             shown, folder->set.count, folder_words[i], fewest[i]);
        log_info(log, "%s: %zu %s", shown, folder->set.count, folder_words[i]);
    }
    return STATUS_OK;
}

/* inputs: (outputs), see compare_evaluate_features. */
static status find_pairs(compare_evaluation *e, size_t *inputs, log_sink *log, error *err)
{
    const compare_folder *content = &e->folders[COMPARE_CONTENT];
    char shown[300];
    for (size_t i = 0; i < e->output_count; i++) {
        inputs[i] = content->path ? compare_folder_find(content, e->outputs[i].name) : SIZE_MAX;
        e->pairs += inputs[i] != SIZE_MAX;
        if (content->path && inputs[i] == SIZE_MAX)
            log_warn(log, "%s: no input of this name; left out where outputs are compared with inputs",
                     text_printable(e->outputs[i].name, shown, sizeof shown));
    }
    if (content->path && e->pairs < 2)
        return error_set(err, STATUS_FAILED, "%s: %zu inputs with the names of outputs, expected 2 at least",
                         text_printable(content->path, shown, sizeof shown), e->pairs);
    return STATUS_OK;
}

static status start_outputs(compare_evaluation *e, error *err)
{
    const compare_folder *fake = &e->folders[COMPARE_FAKE];
    e->output_count = fake->set.count;
    e->outputs = calloc(e->output_count, sizeof *e->outputs);
    if (!e->outputs) return error_no_memory(err, "an evaluation", e->output_count * sizeof *e->outputs);
    for (size_t i = 0; i < e->output_count; i++)
        e->outputs[i] =
            (compare_output){.name = compare_folder_name(fake, i), .ssim = NAN, .content = NAN, .style = NAN};
    return STATUS_OK;
}

static status add_wasserstein(compare_evaluation *e, error *err)
{
    const compare_wasserstein_options options = {.seed = e->seed};
    compare_wasserstein w;
    TRY(compare_wasserstein_measure(&e->folders[COMPARE_REAL].set, &e->folders[COMPARE_FAKE].set, &options, &w, err));
    compare_add(e, "swd", "sliced Wasserstein distance of patches x 1000, mean of its levels; less is nearer", w.mean);
    for (size_t l = 0; l < w.levels; l++) {
        char key[32];
        snprintf(key, sizeof key, "swd_%zu", w.side[l]);
        compare_add(e, key, "the same, details seen at this size", w.level[l]);
    }
    return STATUS_OK;
}

static status add_similarity(compare_evaluation *e, const size_t *inputs, error *err)
{
    const compare_pictures *content = &e->folders[COMPARE_CONTENT].set, *fake = &e->folders[COMPARE_FAKE].set;
    double *values = malloc(e->output_count * sizeof *values);
    size_t count = 0;
    if (!values) return error_no_memory(err, "structural similarity", e->output_count * sizeof *values);
    status result = STATUS_OK;
    for (size_t i = 0; i < e->output_count && result == STATUS_OK; i++) {
        if (inputs[i] == SIZE_MAX) continue;
        double *ssim = &e->outputs[i].ssim;
        result = compare_ssim(compare_picture(content, inputs[i]), compare_picture(fake, i), fake->side, ssim, err);
        values[count++] = *ssim;
    }
    if (result == STATUS_OK)
        compare_add(e, "ssim", "structural similarity of input and output; 1 is equal",
                    compare_within(compare_mean(values, count), -1, 1));
    free(values);
    return result;
}

status compare_add_memorisation(compare_evaluation *e, const compare_vectors *outputs, const compare_vectors *training,
                                const compare_memory_words *words, error *err)
{
    compare_neighbour *found = malloc(e->output_count * sizeof *found);
    compare_memorisation m;
    if (!found) return error_no_memory(err, "nearest pictures", e->output_count * sizeof *found);
    status result = compare_memorised(outputs, training, found, &m, err);
    for (size_t i = 0; i < e->output_count && result == STATUS_OK; i++) {
        compare_match *match = (compare_match *)(void *)((char *)&e->outputs[i] + words->offset);
        *match = (compare_match){compare_folder_name(&e->folders[COMPARE_TRAIN], found[i].nearest), found[i].distance,
                                 found[i].close};
    }
    if (result == STATUS_OK) {
        compare_add(e, words->distance_key, words->distance, m.distance);
        compare_add(e, words->close_key, words->close, m.close);
    }
    free(found);
    return result;
}

/* New memory; NULL without. */
static float *small_pictures(const compare_pictures *set, size_t small)
{
    float *values = calloc(set->count, small * small * 3 * sizeof *values);
    if (values) compare_pictures_shrink(set, small, values);
    return values;
}

static status add_small(compare_evaluation *e, float *const values[COMPARE_FOLDERS], size_t dimension, error *err)
{
    static const compare_memory_words words = {
        "pixel_nearest", "distance of an output to the nearest training picture, 32 x 32 pixels of 0 to 255",
        "pixel_copies", "share of outputs closer to a training picture than those are to each other",
        offsetof(compare_output, pixels)};
    compare_vectors sets[COMPARE_FOLDERS];
    compare_estimate estimate;
    for (size_t i = 0; i < COMPARE_FOLDERS; i++)
        sets[i] = (compare_vectors){values[i], e->folders[i].set.count, dimension};
    if (e->output_count >= COMPARE_FEWEST) {
        TRY(compare_diversity(&sets[COMPARE_FAKE], &estimate, err));
        compare_add(e, "pixel_diversity", "distance of two outputs, 32 x 32 pixels of 0 to 255; more is more varied",
                    estimate);
    }
    TRY(compare_diversity(&sets[COMPARE_REAL], &estimate, err));
    compare_add(e, "pixel_diversity_real", "the same of two real pictures", estimate);
    if (!values[COMPARE_TRAIN]) return STATUS_OK;
    return compare_add_memorisation(e, &sets[COMPARE_FAKE], &sets[COMPARE_TRAIN], &words, err);
}

static status add_pixels(compare_evaluation *e, error *err)
{
    size_t small = e->side < SMALL ? e->side : SMALL;
    float *values[COMPARE_FOLDERS] = {0};
    status result = STATUS_OK;
    for (size_t i = 0; i < COMPARE_FOLDERS && result == STATUS_OK; i++) {
        if (i == COMPARE_CONTENT || !e->folders[i].path) continue;
        values[i] = small_pictures(&e->folders[i].set, small);
        if (!values[i]) result = error_no_memory(err, "small pictures", small * small * 3 * sizeof(float));
    }
    if (result == STATUS_OK) result = add_small(e, values, small * small * 3, err);
    for (size_t i = 0; i < COMPARE_FOLDERS; i++) free(values[i]);
    return result;
}

static status measure(compare_evaluation *e, const compare_request *request, log_sink *log, error *err)
{
    size_t *inputs = malloc(e->output_count * sizeof *inputs);
    if (!inputs) return error_no_memory(err, "an evaluation", e->output_count * sizeof *inputs);
    status result = find_pairs(e, inputs, log, err);
    if (result == STATUS_OK && request->network) result = compare_evaluate_features(e, request, inputs, log, err);
    if (result == STATUS_OK && e->pairs) result = add_similarity(e, inputs, err);
    if (result == STATUS_OK) log_info(log, "sliced Wasserstein distance");
    if (result == STATUS_OK) result = add_wasserstein(e, err);
    if (result == STATUS_OK) result = add_pixels(e, err);
    free(inputs);
    return result;
}

status compare_evaluate(const compare_request *request, log_sink *log, compare_evaluation *out, error *err)
{
    *out = (compare_evaluation){.side = request->side, .seed = request->seed};
    status result = load_folders(out, request, log, err);
    if (result == STATUS_OK) result = start_outputs(out, err);
    if (result == STATUS_OK) result = measure(out, request, log, err);
    if (result != STATUS_OK) compare_evaluation_free(out);
    return result;
}

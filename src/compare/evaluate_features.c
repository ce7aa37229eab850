#include <stddef.h>
#include <stdlib.h>

#include "base/hash.h"
#include "compare/evaluate_internal.h"

typedef struct feature_job {
    compare_evaluation *e;
    compare_network *network;
    const size_t *inputs;
    compare_cache own, *kept; /* kept: the caller's, or `own` */
    float *map, *input_map;
    double *content; /* (pairs) */
    size_t content_count;
    progress bar;
    uint64_t done;
} feature_job;

/* What stays for other evaluations: all but the outputs. */
static compare_features *set_of(feature_job *job, size_t folder)
{
    return folder == COMPARE_FAKE ? &job->own.sets[folder] : &job->kept->sets[folder];
}

static void free_features(compare_features *set)
{
    free(set->pooled);
    free(set->grams);
    *set = (compare_features){0};
}

void compare_cache_free(compare_cache *cache)
{
    for (size_t i = 0; i < COMPARE_FOLDERS; i++) free_features(&cache->sets[i]);
}

static uint64_t checksum(const compare_pictures *set)
{
    hash64 h = hash64_start(0);
    hash64_add(&h, set->pixels, set->count * set->side * set->side * 3);
    return hash64_value(&h);
}

static bool is_known(feature_job *job, size_t folder)
{
    const compare_features *set = set_of(job, folder);
    return set->pooled && set->count == job->e->folders[folder].set.count &&
           set->pixels == checksum(&job->e->folders[folder].set);
}

static void run(feature_job *job, size_t folder, size_t picture, float *map, float *pooled, float *gram)
{
    compare_network_run(job->network, compare_picture(&job->e->folders[folder].set, picture), map, pooled, gram);
    progress_update(&job->bar, ++job->done, NULL);
}

/* An output's features stand in job->map. */
static void compare_with_input(feature_job *job, size_t output)
{
    run(job, COMPARE_CONTENT, job->inputs[output], job->input_map, NULL, NULL);
    double distance = compare_relative(job->input_map, job->map, compare_network_map_size(job->network));
    job->e->outputs[output].content = distance;
    job->content[job->content_count++] = distance;
}

static status create(feature_job *job, size_t folder, compare_features *set, error *err)
{
    size_t count = job->e->folders[folder].set.count, pooled = compare_network_pooled_size(job->network);
    size_t gram = folder == COMPARE_TRAIN ? 0 : compare_network_gram_size(job->network);
    free_features(set);
    set->pooled = malloc(count * pooled * sizeof *set->pooled);
    set->grams = gram ? malloc(count * gram * sizeof *set->grams) : NULL;
    if (set->pooled && (!gram || set->grams)) return STATUS_OK;
    free_features(set);
    return error_no_memory(err, "features", count * (pooled + gram) * sizeof *set->grams);
}

/* The real pictures come first: the outputs' Gram matrices are scaled as theirs. */
static void scale(feature_job *job, size_t folder, compare_features *set)
{
    double *factors = job->kept->factors;
    if (folder == COMPARE_REAL) compare_network_gram_factors(job->network, set->grams, set->count, factors);
    compare_network_scale_grams(job->network, factors, set->grams, set->count);
}

static status extract(feature_job *job, size_t folder, error *err)
{
    const compare_pictures *pictures = &job->e->folders[folder].set;
    size_t pooled = compare_network_pooled_size(job->network), gram = compare_network_gram_size(job->network);
    compare_features *set = set_of(job, folder);
    TRY(create(job, folder, set, err));
    for (size_t i = 0; i < pictures->count; i++) {
        run(job, folder, i, job->map, set->pooled + i * pooled, set->grams ? set->grams + i * gram : NULL);
        if (folder == COMPARE_FAKE && job->inputs[i] != SIZE_MAX) compare_with_input(job, i);
    }
    set->count = pictures->count;
    set->pixels = checksum(pictures);
    if (set->grams) scale(job, folder, set);
    return STATUS_OK;
}

static compare_vectors pooled_of(feature_job *job, size_t folder)
{
    return (compare_vectors){set_of(job, folder)->pooled, job->e->folders[folder].set.count,
                             compare_network_pooled_size(job->network)};
}

static compare_vectors grams_of(feature_job *job, size_t folder)
{
    return (compare_vectors){set_of(job, folder)->grams, job->e->folders[folder].set.count,
                             compare_network_gram_size(job->network)};
}

static status add_style(feature_job *job, error *err)
{
    compare_evaluation *e = job->e;
    compare_vectors real = grams_of(job, COMPARE_REAL), fake = grams_of(job, COMPARE_FAKE);
    compare_estimate estimate;
    double *nearest = malloc(fake.count * sizeof *nearest);
    if (!nearest) return error_no_memory(err, "style distances", fake.count * sizeof *nearest);
    status result = compare_nearest(&fake, &real, nearest, &estimate, err);
    if (result == STATUS_OK) {
        for (size_t i = 0; i < fake.count; i++) e->outputs[i].style = nearest[i];
        compare_add(e, "style_nearest", "Gram distance of an output to the nearest real picture; 0 is equal", estimate);
        if (fake.count >= COMPARE_FEWEST) result = compare_to_mean(&fake, &real, &estimate, err);
    }
    if (result == STATUS_OK && fake.count >= COMPARE_FEWEST)
        compare_add(e, "style_mean", "Gram distance of an output to the mean of the real pictures", estimate);
    free(nearest);
    return result;
}

static status add_pooled(feature_job *job, error *err)
{
    static const compare_memory_words words = {
        "nearest", "distance of an output to the nearest training picture, pooled features",
        "copies", "share of outputs closer to a training picture than those are to each other",
        offsetof(compare_output, features)};
    compare_evaluation *e = job->e;
    compare_vectors real = pooled_of(job, COMPARE_REAL), fake = pooled_of(job, COMPARE_FAKE);
    compare_estimate estimate;
    if (fake.count >= COMPARE_FEWEST) {
        TRY(compare_diversity(&fake, &estimate, err));
        compare_add(e, "diversity", "distance of two outputs, pooled features; more is more varied", estimate);
    }
    TRY(compare_diversity(&real, &estimate, err));
    compare_add(e, "diversity_real", "the same of two real pictures", estimate);
    if (!e->folders[COMPARE_TRAIN].path) return STATUS_OK;
    compare_vectors train = pooled_of(job, COMPARE_TRAIN);
    return compare_add_memorisation(e, &fake, &train, &words, err);
}

static status add_measures(feature_job *job, error *err)
{
    compare_vectors real = pooled_of(job, COMPARE_REAL), fake = pooled_of(job, COMPARE_FAKE);
    compare_estimate estimate;
    if (fake.count >= COMPARE_FEWEST) {
        TRY(compare_kid(&real, &fake, &estimate, err));
        compare_add(job->e, "kid", "kernel distance of outputs and real pictures, pooled features; 0 is one source",
                    estimate);
    }
    TRY(add_style(job, err));
    if (job->content_count)
        compare_add(job->e, "content", "change of features from input to output; 0 is none",
                    compare_positive(compare_mean(job->content, job->content_count)));
    return add_pooled(job, err);
}

static status extract_all(feature_job *job, const bool wanted[COMPARE_FOLDERS], error *err)
{
    size_t size = compare_network_map_size(job->network);
    job->map = malloc(size * sizeof *job->map);
    job->input_map = malloc(size * sizeof *job->input_map);
    job->content = malloc(job->e->output_count * sizeof *job->content);
    if (!job->map || !job->input_map || !job->content)
        return error_no_memory(err, "features", 2 * size * sizeof *job->map);
    for (size_t i = 0; i < COMPARE_FOLDERS; i++)
        if (wanted[i]) TRY(extract(job, i, err));
    return STATUS_OK;
}

status compare_evaluate_features(compare_evaluation *e, const compare_request *request, const size_t *inputs,
                                 log_sink *log, error *err)
{
    feature_job job = {.e = e, .network = request->network, .inputs = inputs};
    uint64_t pictures = e->pairs;
    bool wanted[COMPARE_FOLDERS];
    job.kept = request->cache ? request->cache : &job.own;
    for (size_t i = 0; i < COMPARE_FOLDERS; i++) {
        wanted[i] = i != COMPARE_CONTENT && e->folders[i].path && !is_known(&job, i);
        if (wanted[i]) pictures += e->folders[i].set.count;
    }
    job.bar = progress_start(log, "features", 0, pictures);
    status result = extract_all(&job, wanted, err);
    progress_finish(&job.bar);
    if (result == STATUS_OK) result = add_measures(&job, err);
    compare_cache_free(&job.own);
    free(job.map);
    free(job.input_map);
    free(job.content);
    return result;
}

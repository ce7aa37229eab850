#include <stdlib.h>
#include <string.h>

#include "translate/internal.h"

enum { PIXELS = 1 << 21 }; /* of a batch: a guess that awaits measuring on a GPU; more cost memory */

/* Bytes of host memory for each pixel of a batch: pictures, results, the batch and what it passes through on its way back,
 * twice; on its way to the device, which keeps four. */
static const double host_bytes = 2 * (3 + 3 + 3 + 3) + 4 * 3;

size_t translate_most(const translator *t)
{
    size_t threads = (size_t)t->backend->threads;
    return translator_shares_memory(t) && threads < TRANSLATE_MOST ? threads : TRANSLATE_MOST;
}

size_t translate_batch(const translator *t, size_t width, size_t height)
{
    size_t batch = translate_most(t);
    double limit = t->limits.max_memory;
    if (translator_shares_memory(t) && !translator_fits_in_lanes(t, width, height)) return 1;
    if (translator_shares_memory(t)) return 2 * batch < TRANSLATE_MOST ? 2 * batch : TRANSLATE_MOST; /* none waits idle */
    translator_padded_size(t, &width, &height);
    double pixels = (double)width * (double)height, most = PIXELS;
    if (limit > 0 && limit / 8 / host_bytes < most) most = limit / 8 / host_bytes;
    while (batch > 1 && (double)batch * pixels > most) batch /= 2;
    return batch;
}

bool translate_alike(const translator *t, const image *a, const image *b)
{
    size_t size[2][2] = {{a->width, a->height}, {b->width, b->height}};
    bool lanes = translator_fits_in_lanes(t, a->width, a->height) && translator_fits_in_lanes(t, b->width, b->height);
    for (int i = 0; i < 2; i++) translator_padded_size(t, &size[i][0], &size[i][1]);
    return lanes || (size[0][0] == size[1][0] && size[0][1] == size[1][1]);
}

/* Programs exist for powers of two, so that few are compiled: places without a picture are black. */
static size_t places_for(size_t count)
{
    size_t places = 1;
    while (places < count) places *= 2;
    return places;
}

static status fill(translate_job *job, size_t places, error *err)
{
    size_t one = job->width * job->height * TRANSLATE_CHANNELS;
    job->places = places;
    job->pixels = malloc(places * one);
    if (!job->pixels) return error_no_memory(err, "pictures", places * one);
    for (size_t i = 0; i < job->count; i++) translator_put(&job->in[i], job->width, job->height, job->pixels + i * one);
    memset(job->pixels + job->count * one, 0, (places - job->count) * one);
    return STATUS_OK;
}

/* With the results of all on their way, or here. */
static status run(translator *t, translate_job *job, const translate_program *p, error *err)
{
    TRY(fill(job, p->batch, err));
    nn_program_write_pixels(p->program, p->x, job->pixels);
    nn_program_run(p->program);
    job->reading = nn_program_begin_read_pixels(p->program, p->y);
    if (!job->reading) nn_program_read_pixels(p->program, p->y, job->pixels, job->finite);
    return nn_backend_check(t->backend, err);
}

static void give_up_pixels(translate_job *job)
{
    free(job->pixels);
    job->pixels = NULL;
}

/* Where a batch does not fit, or is none: one by one, which may mean in strips. */
static void translate_each(translator *t, translate_job *job)
{
    for (size_t i = 0; i < job->count; i++) {
        translate_result *r = &job->done[i];
        r->result = translate_image(t, &job->in[i], &r->picture, &r->problem);
    }
}

/* False when there can be no lanes, or the pictures are too large for them. */
static bool put_in_lanes(translator *t, translate_job *job)
{
    for (size_t i = 0; i < job->count; i++)
        if (!translator_fits_in_lanes(t, job->in[i].width, job->in[i].height)) return false;
    if (!t->lanes) {
        translator_forget_programs(t);
        if (translate_lanes_create(t, translate_most(t), &t->lanes, NULL) != STATUS_OK) return false;
    }
    for (size_t i = 0; i < job->count; i++) translate_lanes_put(t->lanes, &job->in[i], &job->done[i]);
    return job->in_lanes = true;
}

void translate_begin(translator *t, const image *in, size_t count)
{
    translate_job *job = &t->jobs[(t->oldest_job + t->open_jobs++) % TRANSLATE_JOBS];
    translate_program *p = NULL;
    error problem = {0};
    *job = (translate_job){.in = in, .count = count, .width = in->width, .height = in->height};
    if (translator_shares_memory(t)) {
        if (!put_in_lanes(t, job)) translate_each(t, job);
        return;
    }
    translator_padded_size(t, &job->width, &job->height);
    status result = in->pixels ? translator_prepare(t, places_for(count), job->width, job->height, &p, &problem) : STATUS_OK;
    if (result == STATUS_OK && p) result = run(t, job, p, &problem);
    if ((result == STATUS_OK && !p) || (result == STATUS_NO_MEMORY && count > 1 && !job->reading)) {
        give_up_pixels(job);
        translate_each(t, job);
        return;
    }
    if (result == STATUS_OK) return;
    for (size_t i = 0; i < count; i++) job->done[i] = (translate_result){.result = result, .problem = problem};
    if (!job->reading) give_up_pixels(job);
}

/* What was wrong when it began is in `done`, and so in `results`. */
static void take_pictures(translator *t, translate_job *job, translate_result *results)
{
    size_t one = job->width * job->height * TRANSLATE_CHANNELS;
    error problem = {0};
    if (job->reading) t->backend->interface->end_read_pixels(t->backend, job->pixels, job->finite, job->places, one);
    status whole = nn_backend_check(t->backend, &problem);
    for (size_t i = 0; i < job->count; i++) {
        translate_result *r = &results[i];
        if (r->result != STATUS_OK) continue;
        r->result = whole;
        r->problem = problem;
        if (whole == STATUS_OK)
            r->result = translator_get(job->pixels + i * one, job->finite[i], job->width, &job->in[i], &r->picture,
                                       &r->problem);
    }
}

void translate_finish(translator *t, translate_result *results)
{
    translate_job *job = &t->jobs[t->oldest_job++ % TRANSLATE_JOBS];
    t->open_jobs--;
    if (job->in_lanes) translate_lanes_wait(t->lanes, job->count);
    memcpy(results, job->done, job->count * sizeof *results);
    if (job->pixels) take_pictures(t, job, results);
    give_up_pixels(job);
}

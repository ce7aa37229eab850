/* Mean and variance of each channel over pixels that come a piece at a time, and normalising by them: instance norm for
 * a picture of which no one holds all.
 *
 *     moments m;
 *     TRY(moments_create(&m, 64, threads, err));
 *     while (more) moments_add(&m, rows, pixels);
 *     moments_finish(&m, 1e-5f);
 *     moments_normalise(&m, rows, pixels, true, rows);
 *     moments_free(&m);
 *
 * Pixels are gathered in blocks of fixed length, each in two passes over it, and the blocks' results are merged in
 * their order (Chan, Golub, LeVeque 1979) in double: nothing cancels, and threads change nothing.
 */
#ifndef TRANSLATE_MOMENTS_H
#define TRANSLATE_MOMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

typedef struct moments {
    size_t channels;
    int threads;
    double pixels;       /* so far */
    double *mean, *sum2; /* (channels): mean, and sum of squared deviations from it */
    double *partial;     /* of blocks, before they are merged */
    float *shift, *rate; /* (channels), after moments_finish: mean, and 1 / sqrt(variance + epsilon) */
} moments;

status moments_create(moments *m, size_t channels, int threads, error *err); /* of no pixels */
void moments_free(moments *m);                                              /* accepts {0} and one that failed */
/* x: (pixels, channels). */
void moments_add(moments *m, const float *x, size_t pixels);
void moments_finish(moments *m, float epsilon);
/* y = (x - mean) * rate, negative ones made 0 if `rectify`. x, y: (pixels, channels); y may be x. */
void moments_normalise(const moments *m, const float *x, size_t pixels, bool rectify, float *y);
/* y += (x - mean) * rate. */
void moments_normalise_onto(const moments *m, const float *x, size_t pixels, float *y);

#endif

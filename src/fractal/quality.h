/* How much there is to see in a picture, and whether two pictures show the same thing. */
#ifndef FRACTAL_QUALITY_H
#define FRACTAL_QUALITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fractal_quality {
    double contrast;  /* standard deviation of luma, in 0 .. 255 */
    double entropy;   /* of luma in 64 steps, in bits: 0 .. 6 */
    double flat;      /* share of the blocks of about a sixteenth of a side that are of one tone */
    double detail;    /* share of those blocks with structure finer than a gradient of tone */
    double roughness; /* mean difference of neighbours' luma: dust when high */
    double coherence; /* 0: structure in all directions, 1: parallel lines */
    double colour;    /* Hasler's and Suesstrunk's colourfulness (2003): 0 grey, 15 a little, 60 strong */
} fractal_quality;

/* rgb: (size, size, 3), size at least 16. Roughness compares only among pictures of one size. */
fractal_quality fractal_measure(const uint8_t *rgb, size_t size);
/* Whether a draft of 64 pixels is fit for a set; *score: higher is better. */
bool fractal_good_enough(const fractal_quality *quality, double *score);

enum { FRACTAL_THUMBNAIL = 12 };
typedef struct fractal_thumbnail {
    float luma[FRACTAL_THUMBNAIL][FRACTAL_THUMBNAIL]; /* mean 0, length 1; all 0 for a flat picture */
} fractal_thumbnail;

void fractal_thumbnail_make(const uint8_t *rgb, size_t size, fractal_thumbnail *out);
/* The largest absolute correlation of a with b turned and mirrored: 1 for the same motif in whatever colours. */
double fractal_likeness(const fractal_thumbnail *a, const fractal_thumbnail *b);

#endif

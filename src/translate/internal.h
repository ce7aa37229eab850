/* Inside a translator: the networks compiled for sizes, which translate_image and translate_begin run. */
#ifndef TRANSLATE_INTERNAL_H
#define TRANSLATE_INTERNAL_H

#include "translate/lanes.h"
#include "translate/translator.h"

enum { TRANSLATE_PROGRAMS = 4, TRANSLATE_CHANNELS = 3, TRANSLATE_JOBS = 2 };

/* The network compiled for pictures of one size, so many at a time. */
typedef struct translate_program {
    size_t batch, width, height;
    nn_program *program;
    nn_value x, y;
    uint64_t used; /* when, for replacing the one that rested longest */
} translate_program;

/* A batch that has begun (batch.c). */
typedef struct translate_job {
    const image *in; /* `count` of them */
    size_t count, width, height;
    uint8_t *pixels; /* (places, height, width, 3); NULL: they were translated one by one, or not at all */
    size_t places;
    bool finite[TRANSLATE_MOST]; /* of each place */
    bool reading;  /* the pixels are still on their way */
    bool in_lanes; /* the pictures are */
    translate_result done[TRANSLATE_MOST]; /* what is known of each when it has begun */
} translate_job;

struct translator {
    nn_backend *backend;
    nn_precision precision;
    model_generator_options generator;
    nn_parameters *weights;
    char *from, *to;
    uint64_t fingerprint, clock;
    translate_program programs[TRANSLATE_PROGRAMS]; /* those with a program, then empty ones */
    nn_arena arena;
    translator_limits limits;
    size_t sharers; /* of the memory that the limits allow, and of what there is: a lane is one of them; 0 is 1 */
    translate_lanes *lanes; /* NULL: there are none, or not yet */
    translate_job jobs[TRANSLATE_JOBS]; /* in turn: those that have begun follow on oldest_job */
    unsigned oldest_job, open_jobs;
};

/* The size that the network runs on. */
void translator_padded_size(const translator *t, size_t *width, size_t *height);
/* All compiled programs and their memory. */
void translator_forget_programs(translator *t);
/* Waits until what is in lanes is done, and frees them: there need not be memory for them beside the translator's own. */
void translator_leave_lanes(translator *t);
/* Whether several pictures of a size can be in memory together with what it takes to translate them, side by side; of a
 * U-Net none, since its programs can be much larger than the pictures and there is no other way than them. */
bool translator_fits_in_lanes(const translator *t, size_t width, size_t height);
/* Programs are in the machine's memory, and not in a device's own. */
bool translator_shares_memory(const translator *t);
/* The program for `batch` pictures of a padded size, compiled now or kept from before; *out is NULL when it would take too
 * much memory. */
status translator_prepare(translator *t, size_t batch, size_t width, size_t height, translate_program **out, error *err);

/* A picture padded to (height, width, 3), and back. */
void translator_put(const image *in, size_t width, size_t height, uint8_t *to);
/* finite: whether what the pixels were made of was, else STATUS_NOT_FINITE. out: as large as `in`, whose alpha and profile it
 * gets; the caller frees it. */
status translator_get(const uint8_t *from, bool finite, size_t width, const image *in, image *out, error *err);

#endif

/* Looking through a set of pictures before it is used: what there is, and what is probably not meant to be there.
 *
 *     image_survey survey;
 *     TRY(image_survey_take(&list, &(image_survey_options){.minimum = 286, .most = 200}, &survey, err));
 *     text line = {0};
 *     for (int kind = 0; kind < IMAGE_FINDING_KINDS; kind++)
 *         if (image_survey_line(&survey, &list, kind, &line)) log_warn(log, "%s: %s", folder, text_get(&line));
 *     text_free(&line);
 *     image_survey_free(&survey);
 *
 * The result is the same for any number of threads. At a time each thread holds one picture, as image_read decodes it;
 * where two seem to be the same, two are held when the threads have ended.
 */
#ifndef IMAGE_SURVEY_H
#define IMAGE_SURVEY_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "base/text.h"
#include "image/folder.h"
#include "image/image.h"

typedef enum image_finding_kind {
    IMAGE_UNREADABLE,
    IMAGE_DUPLICATE, /* the same size, pixels and alpha as a picture before it in the list */
    IMAGE_TINY,      /* the shorter side is below the minimum */
    IMAGE_SIDEWAYS,  /* an EXIF orientation other than 1, which was applied */
    IMAGE_FLAT,      /* luminance has a standard deviation below 2 of 255 */
    IMAGE_FINDING_KINDS
} image_finding_kind;
extern const char *const image_finding_names[IMAGE_FINDING_KINDS]; /* "unreadable", ... */

typedef struct image_finding {
    image_finding_kind kind;
    size_t item;  /* in the list */
    size_t other; /* IMAGE_DUPLICATE: the first such picture; else item */
    char *detail; /* printable: the decoder's reason, "same as NAME", "31x20", "orientation 6", "deviation 0.4" */
} image_finding;

typedef struct image_survey_options {
    size_t minimum; /* of the shorter side; 0: none is tiny */
    size_t most;    /* how many pictures to look at, evenly spread over the list; 0: all */
    size_t threads; /* 0: one a processor */
    image_limits limits;
    const volatile sig_atomic_t *stop; /* NULL: nothing stops it */
} image_survey_options;

typedef struct image_survey_size {
    size_t width, height;
} image_survey_size;

typedef struct image_survey {
    size_t listed, looked_at, readable, minimum;
    size_t formats[IMAGE_WEBP + 1]; /* of the readable ones, by content, at their image_format */
    size_t with_alpha, with_profile;
    image_survey_size smallest, median, largest; /* by area, of the readable ones, orientation applied */
    image_finding *findings;                     /* by kind, then in the list's order */
    size_t finding_count;
    size_t counts[IMAGE_FINDING_KINDS];
} image_survey;

/* A picture that cannot be read is a finding. Fails without memory, without threads, and with STATUS_INTERRUPTED once
 * *stop is not 0; *out is then empty. Free with image_survey_free. */
status image_survey_take(const image_list *list, const image_survey_options *options, image_survey *out, error *err);
void image_survey_free(image_survey *survey);

/* Replaces `line` by one line, "2 pictures are nearly one grey: a.png (deviation 0.4), b.png (deviation 0.0)", with at
 * most three names; false when nothing of the kind was found. */
bool image_survey_line(const image_survey *survey, const image_list *list, image_finding_kind kind, text *line);

#endif

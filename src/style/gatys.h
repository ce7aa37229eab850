/* Style transfer by optimising the picture itself (Gatys, Ecker, Bethge 2016, "Image style transfer using convolutional
 * neural networks").
 *
 *     style_gatys *g;
 *     TRY(style_gatys_create(&options, backend, NULL, &log, &g, err));
 *     style_result result;
 *     image picture = {0};
 *     TRY(style_gatys_run(g, &content, NULL, &picture, &result, err));      as often as there are contents
 *     image_free(&picture);
 *     style_gatys_destroy(g);
 *
 * Loss: style/loss.h. It is minimised by L-BFGS or Adam, at one size or several, each starting from the result of the
 * one before, enlarged.
 */
#ifndef STYLE_GATYS_H
#define STYLE_GATYS_H

#include <signal.h>

#include "base/log.h"
#include "image/image.h"
#include "style/loss.h"

typedef struct style_gatys style_gatys;

/* Whether the network's file can be used and has the layers; its weights are not read. */
status style_gatys_check(const style_options *options, error *err);

/* Opens the network and lists the style's pictures. options: checked by style_options_finish; its texts must stay.
 * cache: an existing folder for the Gram matrices of style folders, or NULL. */
status style_gatys_create(const style_options *options, nn_backend *backend, const char *cache, log_sink *log,
                          style_gatys **out, error *err);
void style_gatys_destroy(style_gatys *g); /* accepts NULL */
/* One line about the network, which says so when its weights are random. */
const char *style_gatys_network(const style_gatys *g);
/* The style's picture, the network's file or the picture to start from that is the file `path`; NULL: none is. */
const char *style_gatys_find_input(const style_gatys *g, const char *path);
/* Changes with the network, the style's pictures and the picture to start from, under the same names too. */
uint64_t style_gatys_fingerprint(const style_gatys *g);
size_t style_gatys_style_count(const style_gatys *g);  /* pictures of the style */
size_t style_gatys_style_broken(const style_gatys *g); /* those that were reported and left out, so far */

/* Who follows a run. All may be NULL or 0. */
typedef struct style_watch {
    const volatile sig_atomic_t *stop; /* becomes non-zero when it should end: STATUS_INTERRUPTED */
    const char *label;                 /* of the progress bar */
    size_t every;                      /* iterations between intermediate pictures, counted over all scales */
    status (*intermediate)(void *context, size_t iteration, const image *picture, error *err);
    void *context;
} style_watch;

typedef struct style_result {
    style_parts start, end; /* losses at the last scale's start and end */
    size_t iterations, evaluations; /* of all scales */
    double seconds;      /* of the whole run */
    double optimising;   /* seconds spent in the iterations alone, all scales */
    size_t width, height;
} style_result;

/* content: of any size; the result has its shape, and its size unless image.size is set, and carries its alpha and
 * profile. watch may be NULL. Not finite losses are STATUS_NOT_FINITE. */
status style_gatys_run(style_gatys *g, const image *content, const style_watch *watch, image *out, style_result *result,
                       error *err);

#endif

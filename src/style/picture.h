/* Pictures at a size for the network. */
#ifndef STYLE_PICTURE_H
#define STYLE_PICTURE_H

#include "image/image.h"

/* Width and height of a picture brought to a shorter side, its shape kept. */
void style_size(size_t *width, size_t *height, size_t shorter);
/* The picture so resized (a copy when it has the size). */
status style_resize(const image *in, size_t shorter, image *out, error *err);
/* (h, w, 3) floats in [-1, 1], new; the caller frees. */
status style_to_floats(const image *in, float **out, error *err);
/* A picture of the floats' rounded and clipped values. */
status style_from_floats(const float *floats, size_t width, size_t height, image *out, error *err);

#endif

/* Rows of a picture as the network takes them, and of its result.
 *
 *     picture_row_padded(&in, y, width, row);
 *     TRY(picture_row_write(floats, &out, y, err));
 */
#ifndef TRANSLATE_PICTURE_ROWS_H
#define TRANSLATE_PICTURE_ROWS_H

#include "image/image.h"

/* to: (width, 3), row y of the picture, which is continued to the right and below by reflection, again and again if
 * need be; width is at least the picture's. */
void picture_row_padded(const image *in, size_t y, size_t width, uint8_t *to);
/* floats: (width of out, 3) -> row y of `out`. STATUS_NOT_FINITE when one is NaN or infinite: weights can be finite and
 * yet so large that the result is not. */
status picture_row_write(const float *floats, image *out, size_t y, error *err);
/* Sets that error. */
status picture_not_finite(error *err);

#endif

#include "translate/picture_rows.h"

#include <string.h>

#include "base/pixels.h"

/* Where position i of an endless reflection of `side` pixels comes from. */
static size_t reflected(size_t i, size_t side)
{
    if (side == 1) return 0;
    size_t period = 2 * side - 2, place = i % period;
    return place < side ? place : period - place;
}

void picture_row_padded(const image *in, size_t y, size_t width, uint8_t *to)
{
    const uint8_t *from = in->pixels + reflected(y, in->height) * in->width * 3;
    memcpy(to, from, in->width * 3);
    for (size_t x = in->width; x < width; x++) memcpy(to + x * 3, from + reflected(x, in->width) * 3, 3);
}

status picture_not_finite(error *err)
{
    return error_set(err, STATUS_NOT_FINITE, "the generator made a pixel that is not a finite number: its weights are damaged, "
                     "or training diverged");
}

status picture_row_write(const float *floats, image *out, size_t y, error *err)
{
    size_t count = out->width * 3;
    if (!pixels_are_finite(floats, count)) return picture_not_finite(err);
    pixels_from_floats(floats, count, out->pixels + y * count);
    return STATUS_OK;
}

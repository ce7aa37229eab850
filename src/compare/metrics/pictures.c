#include "compare/metrics/pictures.h"

#include <stdlib.h>
#include <string.h>

status compare_pictures_create(compare_pictures *set, size_t count, size_t side, error *err)
{
    *set = (compare_pictures){.count = count, .side = side, .pixels = calloc(count, side * side * 3)};
    return set->pixels ? STATUS_OK : error_no_memory(err, "a set of pictures", count * side * side * 3);
}

void compare_pictures_free(compare_pictures *set)
{
    free(set->pixels);
    *set = (compare_pictures){0};
}

const uint8_t *compare_picture(const compare_pictures *set, size_t index)
{
    return set->pixels + index * set->side * set->side * 3;
}

static void lay_over_white(image *picture)
{
    for (size_t i = 0; picture->alpha && i < picture->width * picture->height * 3; i++) {
        unsigned alpha = picture->alpha[i / 3];
        picture->pixels[i] = (uint8_t)((picture->pixels[i] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
}

status compare_pictures_put(compare_pictures *set, size_t index, const image *picture, error *err)
{
    size_t bytes = set->side * set->side * 3;
    size_t side = picture->width < picture->height ? picture->width : picture->height;
    image square = {0}, scaled = {0};
    TRY(image_crop(picture, (picture->width - side) / 2, (picture->height - side) / 2, side, side, &square, err));
    status result = image_resize(&square, set->side, set->side, &scaled, err);
    if (result == STATUS_OK) {
        lay_over_white(&scaled);
        memcpy(set->pixels + index * bytes, scaled.pixels, bytes);
    }
    image_free(&square);
    image_free(&scaled);
    return result;
}

void compare_pictures_shrink(const compare_pictures *set, size_t small, float *out)
{
    size_t block = set->side / small, rows = set->count * small;
    for (size_t row = 0; row < rows; row++) /* blocks never lie across two pictures */
        for (size_t column = 0; column < small; column++)
            for (size_t c = 0; c < 3; c++) {
                size_t sum = 0;
                for (size_t y = row * block; y < (row + 1) * block; y++)
                    for (size_t x = column * block; x < (column + 1) * block; x++)
                        sum += set->pixels[(y * set->side + x) * 3 + c];
                out[(row * small + column) * 3 + c] = (float)((double)sum / (double)(block * block));
            }
}

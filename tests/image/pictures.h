/* Pictures and files for tests of what pictures carry.
 *
 *     image picture = smooth_picture(40, 30, true, true);   with alpha and profile
 *     char path[128];
 *     if (new_path("a.webp", path)) { ... remove_path(path); }
 */
#ifndef TESTS_IMAGE_PICTURES_H
#define TESTS_IMAGE_PICTURES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/image.h"

enum { PROFILE_BYTES = 252 };

/* An ICC profile of a header and one tag (ICC.1:2010, 7): version 2.4, a monitor, RGB, white point D50. */
static inline uint8_t *new_profile(void)
{
    static const uint8_t white[] = {0, 0, 0xf6, 0xd6, 0, 1, 0, 0, 0, 0, 0xd3, 0x2d};
    uint8_t *p = calloc(1, PROFILE_BYTES);
    if (!p) return NULL;
    p[3] = PROFILE_BYTES, p[8] = 2, p[9] = 0x40;
    memcpy(p + 12, "mntrRGB XYZ ", 12);
    memcpy(p + 36, "acsp", 4);
    memcpy(p + 68, white, sizeof white);
    p[131] = 1;
    memcpy(p + 132, "cprt", 4);
    p[139] = 144, p[143] = PROFILE_BYTES - 144;
    memcpy(p + 144, "text", 4);
    for (int i = 152; i < PROFILE_BYTES; i++) p[i] = (uint8_t)(i * 7);
    return p;
}

/* Empty without memory. Alpha covers 0 to 255. */
static inline image smooth_picture(size_t width, size_t height, bool with_alpha, bool with_profile)
{
    image picture = {0};
    if (image_create(&picture, width, height, NULL) != STATUS_OK) return picture;
    if (with_alpha) picture.alpha = malloc(width * height);
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++) {
            uint8_t *p = picture.pixels + (y * width + x) * 3;
            p[0] = (uint8_t)(x * 255 / width), p[1] = (uint8_t)(y * 255 / height), p[2] = (uint8_t)((p[0] + p[1]) / 2);
            if (picture.alpha) picture.alpha[y * width + x] = (uint8_t)((x * 37 + y * 101) % 256);
        }
    if (with_profile) picture.profile = new_profile();
    if (picture.profile) picture.profile_bytes = PROFILE_BYTES;
    return picture;
}

/* `name` in a new folder. */
static inline bool new_path(const char *name, char path[128])
{
    char folder[] = "/tmp/test_picture.XXXXXX";
    if (!mkdtemp(folder)) return false;
    snprintf(path, 128, "%s/%s", folder, name);
    return true;
}

static inline void remove_path(char *path)
{
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
}

static inline bool same_profile(const image *a, const image *b)
{
    return a->profile_bytes == b->profile_bytes && memcmp(a->profile, b->profile, a->profile_bytes) == 0;
}

#endif

/* Folders of small made pictures, and configs over them, in a temporary folder. */
#ifndef TESTS_TRAINING_PICTURES_H
#define TESTS_TRAINING_PICTURES_H

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/rng.h"
#include "image/image.h"
#include "test.h"

typedef struct workplace {
    char root[64];
} workplace;

static inline bool workplace_create(workplace *w)
{
    snprintf(w->root, sizeof w->root, "/tmp/cyclegan-test-XXXXXX");
    return mkdtemp(w->root) != NULL;
}

static inline void workplace_remove(const workplace *w)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", w->root);
    if (system(command) != 0) printf("%s stays\n", w->root);
}

/* root/domain/0.png ... : picture i is of one colour (10 * i, shade, shade), or noise where shade is negative. */
static inline bool workplace_pictures(const workplace *w, const char *domain, size_t count, size_t width, size_t height,
                                      int shade)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", w->root, domain);
    if (file_make_folders(path, NULL) != STATUS_OK) return false;
    for (size_t i = 0; i < count; i++) {
        image picture = {0};
        if (image_create(&picture, width, height, NULL) != STATUS_OK) return false;
        for (size_t p = 0; p < 3 * width * height; p++) {
            uint8_t noise = (uint8_t)rng_below(11, RNG_TEST, i + 100 * (size_t)domain[0], (uint32_t)p, 256);
            picture.pixels[p] = shade < 0 ? noise : p % 3 ? (uint8_t)shade : (uint8_t)(10 * i);
        }
        snprintf(path, sizeof path, "%s/%s/%zu.png", w->root, domain, i);
        status written = image_write(path, &picture, NULL, NULL);
        image_free(&picture);
        if (written != STATUS_OK) return false;
    }
    return true;
}

#endif

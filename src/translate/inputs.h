/* The pictures to translate: listing files and folders, reading one at the size that is asked for.
 *
 *     image_list list = {0};
 *     size_t unread;
 *     TRY(translate_inputs_list(inputs, count, "out", &log, &list, &unread, err));
 *     image picture;
 *     TRY(translate_input_read(list.items[0].path, 512, &limits, &picture, err));
 */
#ifndef TRANSLATE_INPUTS_H
#define TRANSLATE_INPUTS_H

#include <stddef.h>

#include "base/log.h"
#include "image/folder.h"
#include "image/image.h"

enum { TRANSLATE_MAX_MEGAPIXELS = 256 }; /* the usual limit */

/* Adds the files, and what lies in the folders, under every name that links give them; what lies in the folder
 * `output` is left out. An input, folder or link that cannot be read is reported, counted in *unread, and the rest is
 * listed. Fails when `output` is one of the inputs, and when there is no picture at all. */
status translate_inputs_list(const char *const *inputs, size_t count, const char *output, log_sink *log,
                             image_list *list, size_t *unread, error *err);

/* Reads a picture and makes its shorter side `size` pixels long, keeping the shape; 0: as it is. The limits hold for
 * the result too, and their pixels are not 0. */
status translate_input_read(const char *path, size_t size, const image_limits *limits, image *out, error *err);

#endif

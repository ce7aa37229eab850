/* A thread that encodes and writes one picture while its owner computes the next.
 *
 *     picture_writer *w;
 *     TRY(picture_writer_create(&w, err));
 *     picture_writer_put(w, &picture, "out/1.png", &options, err);
 *     ... compute ...
 *     status result = picture_writer_wait(w, &problem);    how writing out/1.png went
 *     picture_writer_destroy(w);
 */
#ifndef TRANSLATE_WRITER_H
#define TRANSLATE_WRITER_H

#include "image/image.h"

typedef struct picture_writer picture_writer;

status picture_writer_create(picture_writer **out, error *err);
/* Waits for what is being written; accepts NULL. */
void picture_writer_destroy(picture_writer *w);

/* Takes the picture's pixels over and leaves it empty. Folders of `path`, which is copied, are created; the format
 * follows its extension. Only when nothing is being written. */
status picture_writer_put(picture_writer *w, image *picture, const char *path, const image_write_options *options, error *err);
/* Waits until the picture of the last put is written, or has failed to be, and tells which. */
status picture_writer_wait(picture_writer *w, error *err);

#endif

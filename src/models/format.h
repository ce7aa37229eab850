/* The version of the program's own weights files, metadata `cyclegan_format` (docs/formats.md).
 *
 *     safetensors_file *file;
 *     TRY(model_file_open("generator_a.safetensors", &file, err));
 *     safetensors_close(file);
 */
#ifndef MODELS_FORMAT_H
#define MODELS_FORMAT_H

#include "nn/safetensors.h"

#define MODEL_FORMAT_KEY "cyclegan_format"
#define MODEL_FORMAT "1"

/* STATUS_FAILED for a file of a newer program, and for what is no version. STATUS_OK for one without a version, which
 * another program wrote. */
status model_format_check(const safetensors_file *file, error *err);

/* Opens a file whose version this program reads and whose bytes are those that were written; messages begin with the
 * path. The version first: how a newer program makes a checksum is not known. Free with safetensors_close. */
status model_file_open(const char *path, safetensors_file **out, error *err);

#endif

/* A translator's generator as an ONNX file, which other programs can run (nn/onnx.h).
 *
 *     TRY(translator_export(t, "generator_a.onnx", "0.1.0", err));
 *
 * Input and output are RGB from -1 to 1. Padding a picture to the sides that the network takes is the other program's
 * part; the file's metadata say which (docs/formats.md).
 */
#ifndef TRANSLATE_EXPORT_H
#define TRANSLATE_EXPORT_H

#include "translate/translator.h"

/* Sides of the pictures that an exported generator takes. */
typedef struct translator_sides {
    size_t multiple, least;
} translator_sides;
translator_sides translator_export_sides(const translator *t);

/* In fp32, whatever the translator's precision. version: this program's. Messages begin with `path`. */
status translator_export(translator *t, const char *path, const char *version, error *err);

#endif

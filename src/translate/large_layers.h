/* What large.c runs on strips: programs of some of the network's layers, and weights with norms folded in.
 *
 * A layer's norm whose statistics are known is a factor and a shift for each channel: (conv(x) - mean) * rate. They go
 * into the convolution's weights and its bias, which has no other use, so that the layer is convolution and activation
 * alone, and any number of such layers make one program for a strip.
 */
#ifndef TRANSLATE_LARGE_LAYERS_H
#define TRANSLATE_LARGE_LAYERS_H

#include "models/resnet.h"
#include "nn/program.h"
#include "translate/large.h"
#include "translate/moments.h"

enum {
    /* Rows of the trunk that a strip's own borders spoil at most. Head: 3 rows of the picture by the 7x7 convolution, of
     * which those of stride 2 leave 2 and 2. Tail: 1 row, which becomes 2 * 1 + 1 and then 3 + 3 rows of the picture,
     * that is within 2 of the trunk. */
    LARGE_MARGIN = 2,
    LARGE_BLOCK_MARGIN = 1
};

size_t large_trunk_rows(const large_network *n);
size_t large_tail(const large_network *n); /* its first layer */
/* Floats of the longest row of any value: wherever the sides double, the channels halve. */
size_t large_row_floats(const large_network *n);
/* Of what passes between program and trunk at a time: little, so that it stays in the cache, but a row. */
size_t large_chunk_floats(const large_network *n);

typedef struct large_layers {
    size_t first, count; /* of the network's */
    bool raw;            /* the last one without its norm and activation */
} large_layers;

/* Rows and floats of a row, of what goes into and what comes out of these layers where the trunk has `rows`. */
typedef struct large_shape {
    size_t rows, floats;
} large_shape;
large_shape large_input_shape(const large_network *n, size_t layer, size_t rows);
large_shape large_output_shape(const large_network *n, size_t layer, size_t rows);

/* A copy of the weights in which no norm is folded yet: biases in front of norms are 0. */
status large_weights_create(const large_network *n, nn_parameters **out, error *err);
/* Folds the statistics of the layer's raw result into its weights. */
status large_weights_fold(const large_network *n, nn_parameters *set, size_t layer, const moments *m, error *err);

/* A program from x to y: (1, rows, columns, channels). Takes the weights of `set`. */
status large_program_create(const large_network *n, nn_parameters *set, large_layers layers, size_t trunk_rows,
                            nn_program **program, nn_value *x, nn_value *y, error *err);

#endif

#include "translate/large_layers.h"

enum {
    HIGHEST = 64,    /* rows of the trunk that a strip yields: more gain nothing */
    HIGH_ENOUGH = 8, /* with fewer, strips are mostly margin, and a file for the trunk is the lesser evil */
    LOWEST = 1
};

/* Bytes of the largest of the passes' programs. */
static status strip_bytes(const large_network *n, size_t rows, double *bytes, error *err)
{
    const large_layers parts[] = {
        {0, MODEL_RESNET_HEAD, true}, {MODEL_RESNET_HEAD, 1, true}, {large_tail(n), MODEL_RESNET_TAIL, false}};
    size_t window = rows + 2 * LARGE_MARGIN < large_trunk_rows(n) ? rows + 2 * LARGE_MARGIN : large_trunk_rows(n);
    *bytes = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        nn_program *program;
        nn_value x, y;
        TRY(large_program_create(n, n->weights, parts[i], window, &program, &x, &y, err));
        double now = (double)nn_program_bytes(program);
        nn_program_destroy(program);
        if (now > *bytes) *bytes = now;
    }
    return STATUS_OK;
}

/* All but the strips' programs. */
static double other_bytes(const large_network *n, bool in_file)
{
    double rows = (in_file ? 0 : 2 * (double)large_trunk_rows(n)) + 1;
    return sizeof(float) * (rows * (double)large_row_floats(n) + 2 * (double)large_chunk_floats(n) +
                            (double)n->weights->total);
}

static status try(const large_network *n, size_t rows, bool in_file, large_plan *out, error *err)
{
    double bytes;
    *out = (large_plan){0};
    TRY(strip_bytes(n, rows, &bytes, err));
    *out = (large_plan){.rows = rows, .in_file = in_file, .bytes = bytes + other_bytes(n, in_file)};
    return STATUS_OK;
}

status large_plan_create(const large_network *n, double budget, large_plan *out, error *err)
{
    TRY(try(n, LOWEST, true, out, err));
    if (out->bytes > budget)
        return error_set(err, STATUS_NO_MEMORY, "strips of a picture of %zux%zu do not fit into memory", n->width,
                         n->height);
    for (int in_file = 0; in_file < 2; in_file++)
        for (size_t rows = HIGHEST; rows > LOWEST && (in_file || rows >= HIGH_ENOUGH); rows /= 2) {
            TRY(try(n, rows, in_file, out, err));
            if (out->bytes <= budget) return STATUS_OK;
        }
    return try(n, LOWEST, true, out, err);
}

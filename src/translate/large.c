/* The passes over a picture, where r is a layer's raw result, before its norm:
 *
 *   head    for each of its layers i: picture -> layers 0 .. i, for the statistics of r; the last one's r becomes the
 *           trunk's value x, which is then normalised and rectified where it lies
 *   block   x -> first convolution -> y, with statistics; y, normalised and rectified -> second convolution -> y in its
 *           own place, with statistics; x += y, normalised
 *   tail    for each of its layers i but the last: x -> layers up to i, for the statistics of r; then x -> all its
 *           layers -> the picture
 *
 * A strip goes through the layers as a picture of its own would. Their padding is right where the strip's border is the
 * picture's; elsewhere it spoils some rows, so that a strip takes in more rows than it yields, by a margin.
 */
#include "translate/large.h"

#include <stdlib.h>
#include <string.h>

#include "base/pixels.h"
#include "translate/large_layers.h"
#include "translate/moments.h"
#include "translate/picture_rows.h"
#include "translate/row_map.h"

enum { CHANNELS = 3 };

typedef struct large {
    const large_network *n;
    const large_plan *plan;
    const image *in;
    image *out;
    nn_parameters *set;
    nn_arena arena;
    row_map x, y;           /* (trunk rows), of all channels of the trunk */
    size_t chunk;           /* floats in each of: */
    float *floats, *second; /* room for a row at least */
    float *kept;            /* the row of y before the strip, as it was before the strip above wrote its own there */
    uint8_t *pixels;        /* a row */
    size_t passes;          /* that are done */
} large;

typedef struct pass {
    large_layers layers;
    size_t margin;
    row_map *from;            /* NULL: the picture */
    const moments *normalise; /* what comes from there, and rectify it; NULL: as it is */
    row_map *to;              /* NULL: nowhere; may be `from` */
    moments *measure;         /* NULL: the result is the picture's */
} pass;

/* In rows of the trunk: what it yields, what it takes in. */
typedef struct strip {
    size_t begin, end, first, last;
} strip;

static bool in_place(const pass *p) { return p->to && p->to == p->from; }

static status check_stop(const large *l, error *err)
{
    return l->n->stop && *l->n->stop ? error_set(err, STATUS_INTERRUPTED, "interrupted") : STATUS_OK;
}

/* What goes in. */

static void picture_rows(large *l, size_t first, size_t count, float *floats)
{
    for (size_t i = 0; i < count; i++) {
        picture_row_padded(l->in, first + i, l->n->width, l->pixels);
        pixels_to_floats(l->pixels, l->n->width * CHANNELS, floats + i * l->n->width * CHANNELS);
    }
}

static status input_rows(large *l, const pass *p, const strip *s, size_t first, size_t count, const float **rows,
                         error *err)
{
    if (!p->from) {
        picture_rows(l, first, count, l->floats);
        *rows = l->floats;
        return STATUS_OK;
    }
    if (in_place(p) && first < s->begin)
        *rows = l->kept;
    else
        TRY(row_map_read(p->from, first, count, l->floats, rows, err));
    if (!p->normalise) return STATUS_OK;
    size_t c = p->normalise->channels;
    moments_normalise(p->normalise, *rows, count * p->from->floats / c, true, l->second);
    *rows = l->second;
    return STATUS_OK;
}

static status load(large *l, const pass *p, const strip *s, nn_program *program, nn_value x, error *err)
{
    size_t scale = large_input_shape(l->n, p->layers.first, 1).rows;
    large_shape in = large_input_shape(l->n, p->layers.first, s->last - s->first);
    for (size_t row = 0, count; row < in.rows; row += count) {
        const float *rows;
        size_t first = s->first * scale + row;
        count = l->chunk / in.floats < in.rows - row ? l->chunk / in.floats : in.rows - row;
        if (in_place(p) && first < s->begin) count = LARGE_BLOCK_MARGIN; /* the row that is kept */
        TRY(input_rows(l, p, s, first, count, &rows, err));
        nn_program_write_part(program, x, row * in.floats, count * in.floats, rows);
    }
    return STATUS_OK;
}

/* What comes out. */

static status unload(large *l, const pass *p, const strip *s, nn_program *program, nn_value y, error *err)
{
    size_t layer = p->layers.first + p->layers.count - 1, scale = large_output_shape(l->n, layer, 1).rows;
    large_shape out = large_output_shape(l->n, layer, s->end - s->begin);
    size_t above = (s->begin - s->first) * scale;
    for (size_t row = 0, count; row < out.rows; row += count) {
        count = l->chunk / out.floats < out.rows - row ? l->chunk / out.floats : out.rows - row;
        nn_program_read_part(program, y, (above + row) * out.floats, count * out.floats, l->floats);
        TRY(nn_program_check(program, err));
        size_t first = s->begin * scale + row;
        if (p->measure) moments_add(p->measure, l->floats, count * out.floats / p->measure->channels);
        if (p->to) TRY(row_map_write(p->to, first, count, l->floats, err));
        for (size_t i = 0; !p->measure && i < count && first + i < l->out->height; i++)
            TRY(picture_row_write(l->floats + i * out.floats, l->out, first + i, err));
    }
    return STATUS_OK;
}

/* Before a strip is written over what the next one takes in still. */
static status keep_row(large *l, const pass *p, const strip *s, error *err)
{
    const float *row;
    if (!in_place(p)) return STATUS_OK;
    TRY(row_map_read(p->from, s->end - LARGE_BLOCK_MARGIN, LARGE_BLOCK_MARGIN, l->floats, &row, err));
    memcpy(l->kept, row, p->from->floats * sizeof *row);
    return STATUS_OK;
}

/* The passes. */

static status run_strip(large *l, const pass *p, const strip *s, nn_program *program, nn_value x, nn_value y,
                        error *err)
{
    TRY(check_stop(l, err));
    TRY(load(l, p, s, program, x, err));
    if (!nn_program_run_until(program, l->n->stop)) return check_stop(l, err);
    TRY(keep_row(l, p, s, err));
    return unload(l, p, s, program, y, err);
}

static strip strip_at(const large *l, const pass *p, size_t begin)
{
    size_t rows = large_trunk_rows(l->n), end = rows - begin < l->plan->rows ? rows : begin + l->plan->rows;
    return (strip){.begin = begin, .end = end, .first = begin < p->margin ? 0 : begin - p->margin,
                   .last = rows - end < p->margin ? rows : end + p->margin};
}

/* There are as many passes as layers. */
static void tell(const large *l, size_t rows)
{
    double passes = (double)l->passes + (double)rows / (double)large_trunk_rows(l->n);
    if (l->n->progressed) l->n->progressed(l->n->context, passes / (double)model_resnet_layers(l->n->generator));
}

/* The first strip and the last take in fewer rows than the others, so that there are three programs at most. */
static status run_pass(large *l, const pass *p, error *err)
{
    nn_program *program = NULL;
    nn_value x = NN_NONE, y = NN_NONE;
    size_t compiled = 0;
    status result = STATUS_OK;
    for (size_t begin = 0; begin < large_trunk_rows(l->n);) {
        strip s = strip_at(l, p, begin);
        if (s.last - s.first != compiled) {
            nn_program_destroy(program);
            compiled = s.last - s.first;
            TRY_OR(error, large_program_create(l->n, l->set, p->layers, compiled, &program, &x, &y, err));
            TRY_OR(error, nn_arena_bind(&l->arena, l->n->backend, &program, 1, err));
        }
        TRY_OR(error, run_strip(l, p, &s, program, x, y, err));
        begin = s.end;
        tell(l, begin);
    }
    l->passes++;
error:
    nn_program_destroy(program);
    return result;
}

/* One that measures a layer's raw result; *m is the caller's to free. */
static status measure(large *l, pass p, moments *m, error *err)
{
    size_t last = p.layers.first + p.layers.count - 1;
    size_t channels = model_resnet_layer_at(l->n->generator, last).convolution.channels;
    TRY(moments_create(m, channels, l->n->backend->threads, err));
    p.measure = m;
    status result = run_pass(l, &p, err);
    moments_finish(m, model_instance_norm_epsilon);
    return result;
}

/* x = relu(norm(x)), or x += norm(y). */
static status normalise_trunk(large *l, const moments *m, bool add_y, error *err)
{
    size_t floats = l->x.floats, most = l->chunk / floats;
    for (size_t row = 0, count; row < l->x.rows; row += count) {
        const float *from, *other;
        TRY(check_stop(l, err)); /* from a file all this may take a while */
        count = l->x.rows - row < most ? l->x.rows - row : most;
        TRY(row_map_read(&l->x, row, count, l->floats, &from, err));
        if (from != l->floats) memcpy(l->floats, from, count * floats * sizeof *from);
        size_t pixels = count * floats / m->channels;
        if (add_y) {
            TRY(row_map_read(&l->y, row, count, l->second, &other, err));
            moments_normalise_onto(m, other, pixels, l->floats);
        } else {
            moments_normalise(m, l->floats, pixels, true, l->floats);
        }
        TRY(row_map_write(&l->x, row, count, l->floats, err));
    }
    return STATUS_OK;
}

static status run_head(large *l, error *err)
{
    for (size_t i = 0; i < MODEL_RESNET_HEAD; i++) {
        bool last = i == MODEL_RESNET_HEAD - 1;
        moments m = {0};
        status result = measure(l, (pass){{0, i + 1, true}, LARGE_MARGIN, .to = last ? &l->x : NULL}, &m, err);
        if (result == STATUS_OK)
            result = last ? normalise_trunk(l, &m, false, err) : large_weights_fold(l->n, l->set, i, &m, err);
        moments_free(&m);
        TRY(result);
    }
    return STATUS_OK;
}

static status run_block(large *l, size_t layer, error *err)
{
    moments first = {0}, second = {0};
    status result = measure(l, (pass){{layer, 1, true}, LARGE_BLOCK_MARGIN, .from = &l->x, .to = &l->y}, &first, err);
    if (result == STATUS_OK)
        result = measure(l, (pass){{layer + 1, 1, true}, LARGE_BLOCK_MARGIN, &l->y, &first, &l->y, NULL}, &second, err);
    if (result == STATUS_OK) result = normalise_trunk(l, &second, true, err);
    moments_free(&first);
    moments_free(&second);
    return result;
}

static status run_tail(large *l, error *err)
{
    size_t tail = large_tail(l->n);
    for (size_t i = 0; i < MODEL_RESNET_TAIL - 1; i++) {
        moments m = {0};
        status result = measure(l, (pass){{tail, i + 1, true}, LARGE_MARGIN, .from = &l->x}, &m, err);
        if (result == STATUS_OK) result = large_weights_fold(l->n, l->set, tail + i, &m, err);
        moments_free(&m);
        TRY(result);
    }
    return run_pass(l, &(pass){{tail, MODEL_RESNET_TAIL, false}, LARGE_MARGIN, .from = &l->x}, err);
}

static status allocate(large *l, error *err)
{
    size_t row = large_row_floats(l->n), rows = large_trunk_rows(l->n);
    size_t trunk = large_input_shape(l->n, MODEL_RESNET_HEAD, 1).floats;
    l->chunk = large_chunk_floats(l->n);
    l->floats = malloc(l->chunk * sizeof(float));
    l->second = malloc(l->chunk * sizeof(float));
    l->kept = malloc(row * sizeof(float));
    l->pixels = malloc(l->n->width * CHANNELS);
    if (!l->floats || !l->second || !l->kept || !l->pixels)
        return error_no_memory(err, "rows of a picture", (2 * l->chunk + row) * sizeof(float));
    TRY(large_weights_create(l->n, &l->set, err));
    TRY(row_map_create(&l->x, rows, trunk, l->plan->in_file, err));
    return row_map_create(&l->y, rows, trunk, l->plan->in_file, err);
}

static void release(large *l)
{
    nn_arena_free(&l->arena);
    row_map_free(&l->x);
    row_map_free(&l->y);
    nn_parameters_destroy(l->set);
    free(l->floats);
    free(l->second);
    free(l->kept);
    free(l->pixels);
}

status large_translate(const large_network *network, const large_plan *plan, const image *in, image *out, error *err)
{
    large l = {.n = network, .plan = plan, .in = in, .out = out};
    status result;
    TRY_OR(error, allocate(&l, err));
    TRY_OR(error, run_head(&l, err));
    for (size_t i = MODEL_RESNET_HEAD; i < large_tail(network); i += 2) TRY_OR(error, run_block(&l, i, err));
    TRY_OR(error, run_tail(&l, err));
error:
    release(&l);
    return result;
}

/* What an ONNX file computes, by plain loops in double over (n, c, h, w), as the operators' pages have it
 * (https://onnx.ai/onnx/operators/, version 11).
 *
 *     double *y = onnx_evaluate(model, x, (onnx_shape){{2, 3, 16, 24}});      (2, 3, 16, 24)
 */
#ifndef TESTS_MODELS_ONNX_EVALUATE_H
#define TESTS_MODELS_ONNX_EVALUATE_H

#include "models/onnx_reader.h"

typedef struct onnx_shape {
    size_t n, c, h, w;
} onnx_shape;

typedef struct onnx_picture_value {
    const char *name;
    onnx_shape shape;
    double *data;
} onnx_picture_value;

static inline size_t onnx_count(onnx_shape s) { return s.n * s.c * s.h * s.w; }

static inline double *onnx_at(const onnx_picture_value *v, size_t n, size_t c, size_t i, size_t j)
{
    return &v->data[((n * v->shape.c + c) * v->shape.h + i) * v->shape.w + j];
}

/* 0 outside. */
static inline double onnx_get(const onnx_picture_value *v, size_t n, size_t c, int64_t i, int64_t j)
{
    bool inside = i >= 0 && j >= 0 && i < (int64_t)v->shape.h && j < (int64_t)v->shape.w;
    return inside ? *onnx_at(v, n, c, (size_t)i, (size_t)j) : 0;
}

static inline const onnx_attribute *onnx_attribute_of(test *t, const onnx_node *node, const char *name, uint64_t type)
{
    static const onnx_attribute none;
    for (size_t i = 0; i < node->attribute_count; i++)
        if (strcmp(node->attributes[i].name, name) == 0 && node->attributes[i].type == type) return &node->attributes[i];
    test_failed(t, __FILE__, __LINE__, "%s %s: no attribute %s of type %d", node->type, node->name, name, (int)type);
    return &none;
}

static inline onnx_picture_value onnx_new(onnx_shape shape)
{
    return (onnx_picture_value){.shape = shape, .data = calloc(onnx_count(shape) + 1, sizeof(double))};
}

/* Loops over every element of `v`. */
#define ONNX_EACH(v)                                                                                                  \
    for (size_t n = 0; n < (v).shape.n; n++)                                                                          \
        for (size_t c = 0; c < (v).shape.c; c++)                                                                      \
            for (size_t i = 0; i < (v).shape.h; i++)                                                                  \
                for (size_t j = 0; j < (v).shape.w; j++)

static inline onnx_picture_value onnx_conv(test *t, const onnx_node *node, const onnx_picture_value *x,
                                           const onnx_tensor *w, const onnx_tensor *b)
{
    const int64_t *k = onnx_attribute_of(t, node, "kernel_shape", 7)->integers;
    const int64_t *s = onnx_attribute_of(t, node, "strides", 7)->integers;
    const int64_t *p = onnx_attribute_of(t, node, "pads", 7)->integers;
    onnx_shape in = x->shape, out = {in.n, w->dims[0], 0, 0};
    CHECK(t, w->rank == 4 && w->dims[1] == in.c && w->dims[2] == (size_t)k[0] && w->dims[3] == (size_t)k[1]);
    out.h = (size_t)(((int64_t)in.h + p[0] + p[2] - k[0]) / s[0] + 1);
    out.w = (size_t)(((int64_t)in.w + p[1] + p[3] - k[1]) / s[1] + 1);
    onnx_picture_value y = onnx_new(out);
    ONNX_EACH(y) {
        double sum = b ? b->values[c] : 0;
        const double *weight = w->values + c * in.c * (size_t)(k[0] * k[1]);
        for (size_t d = 0; d < in.c; d++)
            for (int64_t u = 0; u < k[0]; u++)
                for (int64_t v = 0; v < k[1]; v++)
                    sum += *weight++ * onnx_get(x, n, d, (int64_t)i * s[0] + u - p[0], (int64_t)j * s[1] + v - p[1]);
        *onnx_at(&y, n, c, i, j) = sum;
    }
    return y;
}

/* Each element of x adds itself times the kernel to y. */
static inline onnx_picture_value onnx_conv_transpose(test *t, const onnx_node *node, const onnx_picture_value *x,
                                                     const onnx_tensor *w, const onnx_tensor *b)
{
    const int64_t *k = onnx_attribute_of(t, node, "kernel_shape", 7)->integers;
    const int64_t *s = onnx_attribute_of(t, node, "strides", 7)->integers;
    const int64_t *p = onnx_attribute_of(t, node, "pads", 7)->integers;
    const int64_t *more = onnx_attribute_of(t, node, "output_padding", 7)->integers;
    onnx_shape in = x->shape, out = {in.n, w->dims[1], 0, 0};
    CHECK(t, w->rank == 4 && w->dims[0] == in.c && w->dims[2] == (size_t)k[0] && w->dims[3] == (size_t)k[1]);
    CHECK(t, more[0] >= 0 && more[0] < s[0] && more[1] >= 0 && more[1] < s[1]);
    out.h = (size_t)(s[0] * ((int64_t)in.h - 1) + more[0] + k[0] - p[0] - p[2]);
    out.w = (size_t)(s[1] * ((int64_t)in.w - 1) + more[1] + k[1] - p[1] - p[3]);
    onnx_picture_value y = onnx_new(out);
    ONNX_EACH(y) *onnx_at(&y, n, c, i, j) = b ? b->values[c] : 0;
    ONNX_EACH(*x) {
        const double *weight = w->values + c * out.c * (size_t)(k[0] * k[1]);
        for (size_t d = 0; d < out.c; d++)
            for (int64_t u = 0; u < k[0]; u++)
                for (int64_t v = 0; v < k[1]; v++) {
                    int64_t row = (int64_t)i * s[0] + u - p[0], column = (int64_t)j * s[1] + v - p[1];
                    double product = *weight++ * *onnx_at(x, n, c, i, j);
                    if (row >= 0 && column >= 0 && row < (int64_t)out.h && column < (int64_t)out.w)
                        *onnx_at(&y, n, d, (size_t)row, (size_t)column) += product;
                }
    }
    return y;
}

static inline onnx_picture_value onnx_norm(test *t, const onnx_node *node, const onnx_picture_value *x,
                                           const onnx_tensor *scale, const onnx_tensor *bias)
{
    double epsilon = onnx_attribute_of(t, node, "epsilon", 1)->number;
    size_t count = x->shape.h * x->shape.w;
    onnx_picture_value y = onnx_new(x->shape);
    CHECK(t, scale->count == x->shape.c && bias->count == x->shape.c);
    for (size_t k = 0; k < x->shape.n * x->shape.c; k++) {
        const double *from = x->data + k * count;
        double mean = 0, variance = 0;
        for (size_t i = 0; i < count; i++) mean += from[i] / (double)count;
        for (size_t i = 0; i < count; i++) variance += (from[i] - mean) * (from[i] - mean) / (double)count;
        size_t c = k % x->shape.c;
        for (size_t i = 0; i < count; i++)
            y.data[k * count + i] = scale->values[c] * (from[i] - mean) / sqrt(variance + epsilon) + bias->values[c];
    }
    return y;
}

/* The element of a side of `length` that a padded place stands for; -1: none. */
static inline int64_t onnx_source(test *t, const char *mode, int64_t place, int64_t length)
{
    if (place >= 0 && place < length) return place;
    if (strcmp(mode, "edge") == 0) return place < 0 ? 0 : length - 1;
    if (strcmp(mode, "reflect") != 0) return -1;
    int64_t mirrored = place < 0 ? -place : 2 * (length - 1) - place;
    CHECK(t, mirrored >= 0 && mirrored < length); /* which readers demand */
    return mirrored;
}

static inline onnx_picture_value onnx_pad(test *t, const onnx_node *node, const onnx_picture_value *x,
                                          const onnx_tensor *pads)
{
    const char *mode = onnx_attribute_of(t, node, "mode", 3)->string;
    const double *p = pads->values;
    CHECK(t, pads->type == 7 && pads->count == 8 && p[0] + p[1] + p[4] + p[5] == 0);
    CHECK(t, strcmp(mode, "constant") == 0 || strcmp(mode, "reflect") == 0 || strcmp(mode, "edge") == 0);
    onnx_shape s = x->shape;
    onnx_picture_value y = onnx_new((onnx_shape){s.n, s.c, s.h + (size_t)(p[2] + p[6]), s.w + (size_t)(p[3] + p[7])});
    ONNX_EACH(y) {
        int64_t row = onnx_source(t, mode, (int64_t)i - (int64_t)p[2], (int64_t)s.h);
        int64_t column = onnx_source(t, mode, (int64_t)j - (int64_t)p[3], (int64_t)s.w);
        *onnx_at(&y, n, c, i, j) = onnx_get(x, n, c, row, column);
    }
    return y;
}

static inline onnx_picture_value onnx_resize(test *t, const onnx_node *node, const onnx_picture_value *x,
                                             const onnx_tensor *roi, const onnx_tensor *scales)
{
    const double *f = scales->values;
    CHECK(t, roi->type == 1 && roi->rank == 1 && roi->count == 0 && scales->count == 4 && f[0] == 1 && f[1] == 1);
    CHECK_TEXT(t, onnx_attribute_of(t, node, "mode", 3)->string, "nearest");
    CHECK_TEXT(t, onnx_attribute_of(t, node, "coordinate_transformation_mode", 3)->string, "asymmetric");
    CHECK_TEXT(t, onnx_attribute_of(t, node, "nearest_mode", 3)->string, "floor");
    onnx_shape s = x->shape;
    s.h = (size_t)floor((double)s.h * f[2]), s.w = (size_t)floor((double)s.w * f[3]);
    onnx_picture_value y = onnx_new(s);
    ONNX_EACH(y) *onnx_at(&y, n, c, i, j) = *onnx_at(x, n, c, (size_t)((double)i / f[2]), (size_t)((double)j / f[3]));
    return y;
}

static inline onnx_picture_value onnx_concat(test *t, const onnx_node *node, const onnx_picture_value *a,
                                             const onnx_picture_value *b)
{
    bool images = onnx_attribute_of(t, node, "axis", 2)->integer == 0;
    onnx_shape s = a->shape, other = b->shape;
    if (images) s.n += other.n;
    else s.c += other.c;
    CHECK(t, s.h == other.h && s.w == other.w && (images ? s.c == other.c : s.n == other.n));
    CHECK(t, images || onnx_attribute_of(t, node, "axis", 2)->integer == 1);
    onnx_picture_value y = onnx_new(s);
    ONNX_EACH(y) {
        bool first = images ? n < a->shape.n : c < a->shape.c;
        size_t image = !first && images ? n - a->shape.n : n, channel = !first && !images ? c - a->shape.c : c;
        *onnx_at(&y, n, c, i, j) = *onnx_at(first ? a : b, image, channel, i, j);
    }
    return y;
}

static inline double onnx_function(test *t, const onnx_node *node, double x)
{
    if (strcmp(node->type, "Relu") == 0) return x > 0 ? x : 0;
    if (strcmp(node->type, "LeakyRelu") == 0) return x > 0 ? x : x * onnx_attribute_of(t, node, "alpha", 1)->number;
    if (strcmp(node->type, "Tanh") == 0) return tanh(x);
    if (strcmp(node->type, "Sigmoid") == 0) return 1 / (1 + exp(-x));
    test_failed(t, __FILE__, __LINE__, "the operator %s is not expected", node->type);
    return 0;
}

static inline onnx_picture_value onnx_elementwise(test *t, const onnx_node *node, const onnx_picture_value *a,
                                                  const onnx_picture_value *b)
{
    onnx_picture_value y = onnx_new(a->shape);
    bool adds = strcmp(node->type, "Add") == 0 && b;
    CHECK(t, !adds || memcmp(&a->shape, &b->shape, sizeof a->shape) == 0);
    for (size_t i = 0; i < onnx_count(y.shape); i++)
        y.data[i] = adds ? a->data[i] + b->data[i] : onnx_function(t, node, a->data[i]);
    return y;
}

static inline onnx_picture_value *onnx_value(onnx_picture_value *values, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(values[i].name, name) == 0) return &values[i];
    return NULL;
}

static inline onnx_picture_value onnx_apply(const onnx_model *m, const onnx_node *node, onnx_picture_value *values,
                                            size_t count)
{
    test *t = m->t;
    const onnx_picture_value *x = onnx_value(values, count, node->inputs[0]);
    const onnx_picture_value *other = onnx_value(values, count, node->inputs[1]);
    const onnx_tensor *c[2] = {onnx_find(m, node->inputs[1]), onnx_find(m, node->inputs[2])};
    bool read = x && (node->input_count < 2 || other || c[0]) && (node->input_count < 3 || c[1]) && node->input_count < 4;
    if (!read) {
        test_failed(t, __FILE__, __LINE__, "%s %s reads what is not there", node->type, node->name);
        return onnx_new((onnx_shape){1, 1, 1, 1});
    }
    if (strcmp(node->type, "Conv") == 0) return onnx_conv(t, node, x, c[0], c[1]);
    if (strcmp(node->type, "ConvTranspose") == 0) return onnx_conv_transpose(t, node, x, c[0], c[1]);
    if (strcmp(node->type, "InstanceNormalization") == 0) return onnx_norm(t, node, x, c[0], c[1]);
    if (strcmp(node->type, "Pad") == 0) return onnx_pad(t, node, x, c[0]);
    if (strcmp(node->type, "Resize") == 0) return onnx_resize(t, node, x, c[0], c[1]);
    if (strcmp(node->type, "Concat") == 0) return onnx_concat(t, node, x, other);
    return onnx_elementwise(t, node, x, other);
}

/* x: (n, c, h, w) in double. The output's values, and *shape becomes theirs; to be freed. */
static inline double *onnx_evaluate(const onnx_model *m, const double *x, onnx_shape *shape)
{
    onnx_picture_value *values = calloc(m->node_count + 1, sizeof *values);
    values[0] = onnx_new(*shape);
    values[0].name = m->input.name;
    memcpy(values[0].data, x, onnx_count(*shape) * sizeof *x);
    for (size_t i = 0; i < m->node_count; i++) {
        values[i + 1] = onnx_apply(m, &m->nodes[i], values, i + 1);
        values[i + 1].name = m->nodes[i].output;
    }
    onnx_picture_value *y = onnx_value(values, m->node_count + 1, m->output.name);
    double *result = y ? y->data : NULL;
    if (y) *shape = y->shape, y->data = NULL;
    for (size_t i = 0; i <= m->node_count; i++) free(values[i].data);
    free(values);
    return result;
}

#endif

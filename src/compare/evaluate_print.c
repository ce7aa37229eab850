#include <stdio.h>

#include "compare/evaluate.h"

static void print_features(const compare_network *network, const char *layer, text *out)
{
    if (!network) {
        text_add(out, "features: none\n\n");
        return;
    }
    text_format(out, "features: %s of %s\n", layer, compare_network_description(network));
    if (compare_network_is_random(network))
        text_add(out, "          RANDOM weights: such numbers compare methods, and only under the same seed\n");
    if (compare_network_style_layers(network) < COMPARE_STYLE_LAYERS)
        text_format(out, "          style: relu1_1 to relu%zu_1, where the network ends\n",
                    compare_network_style_layers(network));
    text_add(out, "\n");
}

static void print_measure(const compare_measure *m, text *out)
{
    const compare_estimate *e = &m->estimate;
    char interval[48], other[24] = "";
    snprintf(interval, sizeof interval, "%.4g to %.4g", e->low, e->high);
    if (e->m) snprintf(other, sizeof other, "%zu", e->m);
    text_format(out, "%-22s %10.4g  %-22s %5zu %5s  %s\n", m->key, e->value, interval, e->n, other, m->meaning);
}

static bool is_close(const compare_match *match) { return match->name && match->close; }

static void print_match(const char *name, const char *what, const compare_match *match, text *out)
{
    char output[300], training[300];
    text_format(out, "%s is close to the training picture %s: %s %.4g\n", text_printable(name, output, sizeof output),
                text_printable(match->name, training, sizeof training), what, match->distance);
}

/* Of a network that has learnt its pictures by heart there are hundreds, which would push the table out of sight. */
static void print_matches(const compare_evaluation *e, text *out)
{
    enum { MOST = 20 };
    size_t count = 0;
    for (size_t i = 0; i < e->output_count; i++) {
        const compare_output *o = &e->outputs[i];
        if (is_close(&o->features) && ++count <= MOST) print_match(o->name, "distance in features", &o->features, out);
        if (is_close(&o->pixels) && ++count <= MOST) print_match(o->name, "distance in pixels", &o->pixels, out);
    }
    if (count > MOST) text_format(out, "and %zu more, which --json lists\n", count - MOST);
}

void compare_evaluation_print(const compare_evaluation *e, const compare_network *network, const char *layer,
                              text *out)
{
    print_features(network, layer, out);
    text_format(out, "%-22s %10s  %-22s %5s %5s\n", "", "value", "95 % interval", "n", "m");
    for (size_t i = 0; i < e->count; i++) print_measure(&e->measures[i], out);
    text_format(out, "\nAt %zux%zu pixels, seed %llu. n, m: pictures (pairs of input and output) of the first and the "
                     "second set.\n",
                e->side, e->side, (unsigned long long)e->seed);
    print_matches(e, out);
}

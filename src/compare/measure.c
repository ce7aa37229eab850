#include "compare/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/vgg.h"

/* NULL: random weights. */
static const char *network_file(const comparison_options *o)
{
    return strcmp(o->features, "random") == 0 ? NULL : o->features;
}

static bool looks_through_a_network(const comparison_options *o) { return strcmp(o->features, "none") != 0; }

status comparison_network_check(const comparison_options *o, error *err)
{
    if (!looks_through_a_network(o)) return STATUS_OK;
    model_vgg *vgg;
    size_t layer;
    TRY(model_vgg_open(network_file(o), &(model_vgg_options){.seed = (uint64_t)o->seed}, &vgg, err));
    status result = model_vgg_layer(vgg, o->layer, &layer, err);
    if (result == STATUS_OK && model_vgg_minimum(vgg, layer) > (size_t)o->side)
        result = error_set(err, STATUS_USAGE, "measures.side must be at least %zu for measures.layer %s, is %lld",
                           model_vgg_minimum(vgg, layer), o->layer, (long long)o->side);
    model_vgg_destroy(vgg);
    return result;
}

/* The output's number among the comparison's pictures. */
static size_t find_picture(const comparison_pictures *pictures, const char *relative)
{
    for (size_t i = 0; i < pictures->count; i++)
        if (strcmp(pictures->items[i].relative, relative) == 0) return i;
    return SIZE_MAX;
}

static void take_outputs(comparison_method_result *m, const comparison_pictures *pictures)
{
    for (size_t i = 0; i < m->evaluation.output_count; i++) {
        const compare_output *from = &m->evaluation.outputs[i];
        size_t index = find_picture(pictures, from->name);
        if (index == SIZE_MAX) continue;
        comparison_output *to = &m->outputs[index];
        const compare_match *match = from->features.name ? &from->features : &from->pixels;
        to->ssim = from->ssim;
        to->content = from->content;
        to->style = from->style;
        to->nearest = match->name;
        to->distance = match->name ? match->distance : NAN;
        to->copied = match->close;
    }
}

/* Times: the median of those that are known. */
static status take_times(comparison_method_result *m, size_t count, error *err)
{
    double *values = malloc(count * sizeof *values);
    if (!values) return error_no_memory(err, "times", count * sizeof *values);
    for (size_t i = 0; i < count; i++) values[i] = m->outputs[i].seconds;
    m->seconds = comparison_median(values, count);
    free(values);
    return STATUS_OK;
}

static status measure_method(comparison_result *r, comparison_method_result *m, compare_network *network,
                             compare_cache *cache, log_sink *log, error *err)
{
    const comparison_options *o = r->options;
    TRY(take_times(m, r->pictures->count, err));
    if (!m->made) return STATUS_OK;
    compare_request request = {.real = o->targets, .fake = m->folder, .content = r->inputs, .train = o->train,
                               .side = (size_t)o->side, .seed = (uint64_t)o->seed, .network = network, .cache = cache, .few = true};
    error problem = {0};
    char shown[300];
    status result = compare_evaluate(&request, log, &m->evaluation, &problem);
    if (result == STATUS_OK) take_outputs(m, r->pictures);
    if (result != STATUS_FAILED) return result == STATUS_OK ? result : error_set(err, result, "%s", problem.message);
    snprintf(m->unmeasured, sizeof m->unmeasured, "%s", problem.message);
    log_warn(log, "%s: not measured: %s", text_printable(m->options->name, shown, sizeof shown), problem.message);
    return STATUS_OK;
}

static status measure_with(comparison_result *r, compare_network *network, const volatile sig_atomic_t *stop,
                           log_sink *log, error *err)
{
    compare_cache cache = {0}; /* targets and training pictures are the same for every method */
    char shown[300];
    status result = STATUS_OK;
    if (network) snprintf(r->network, sizeof r->network, "%s", compare_network_description(network));
    for (size_t i = 0; i < r->count && result == STATUS_OK; i++) {
        log_info(log, "measuring %s", text_printable(r->methods[i].options->name, shown, sizeof shown));
        result = stop && *stop ? error_set(err, STATUS_INTERRUPTED, "interrupted while measuring")
                               : measure_method(r, &r->methods[i], network, &cache, log, err);
    }
    compare_cache_free(&cache);
    return result;
}

status comparison_measure_all(comparison_result *r, int threads, const volatile sig_atomic_t *stop, log_sink *log,
                              error *err)
{
    const comparison_options *o = r->options;
    if (!looks_through_a_network(o)) return measure_with(r, NULL, stop, log, err);
    nn_backend *backend;
    compare_network *network;
    const compare_network_options options = {network_file(o), o->layer, (size_t)o->side, (uint64_t)o->seed};
    TRY(nn_cpu_create(threads, &backend, err));
    status result = compare_network_create(backend, &options, &network, err);
    if (result == STATUS_OK) {
        result = measure_with(r, network, stop, log, err);
        compare_network_destroy(network);
    }
    nn_backend_destroy(backend);
    return result;
}

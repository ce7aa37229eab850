#include "training/update.h"

#include <math.h>
#include <stdlib.h>

#include "base/log.h"

static void store_gradients(nn_graph *graph, nn_parameters *set, const model_trainables *trained, nn_value total)
{
    nn_value *gradients = malloc((trained->count + 1) * sizeof *gradients);
    if (!gradients) {
        nn_graph_fail(graph, "out of memory: gradients need %zu bytes", trained->count * sizeof *gradients);
        return;
    }
    nn_grad(graph, total, trained->values, trained->count, gradients);
    for (size_t i = 0; i < trained->count; i++)
        nn_store(graph, gradients[i], &set->blocks[NN_GRADIENT], set->tensors[trained->tensors[i]].offset);
    free(gradients);
}

void training_update_append(nn_graph *graph, nn_parameters *set, const model_trainables *trained, nn_value total,
                            const training_update *first, const training_update_options *o, training_update *out)
{
    *out = (training_update){.rates = NN_NONE, .ema_rate = NN_NONE, .total = total};
    store_gradients(graph, set, trained, total);
    nn_shape all = nn_shape_vector(set->total);
    nn_value p = nn_memory(graph, "parameters", all, &set->blocks[NN_DATA], 0);
    nn_value gradient = nn_memory(graph, "gradients", all, &set->blocks[NN_GRADIENT], 0);
    nn_value m = nn_memory(graph, "adam_m", all, &set->blocks[NN_ADAM_M], 0);
    nn_value v = nn_memory(graph, "adam_v", all, &set->blocks[NN_ADAM_V], 0);
    nn_value norm = out->norm = nn_squared_norm(graph, gradient);
    out->rates = nn_input(graph, "rates", nn_shape_vector(2));
    nn_value sums[4] = {total, norm}; /* one with a NaN or infinity in it is one */
    if (first) sums[2] = first->total, sums[3] = first->norm;
    out->flag = nn_all_finite(graph, sums, first ? 4 : 2);
    nn_output(graph, out->flag);
    nn_adam_options adam = {o->beta1, o->beta2, (float)o->epsilon, (float)o->clip_norm};
    nn_adam(graph, p, gradient, m, v, out->rates, out->flag, norm, &adam);
    if (o->ema <= 0) return;
    nn_value average = nn_memory(graph, "average", all, &set->blocks[NN_AVERAGE], 0);
    out->ema_rate = nn_input(graph, "ema_rate", nn_shape_scalar());
    nn_ema(graph, average, p, out->ema_rate, out->flag);
}

void training_update_write(const training_update *u, nn_program *program, const training_update_options *o,
                           uint64_t number, double learning_rate)
{
    double t = (double)number + 1;
    float rates[2] = {(float)(learning_rate / (1 - pow(o->beta1, t))), (float)(1 / sqrt(1 - pow(o->beta2, t)))};
    nn_program_write(program, u->rates, rates);
    if (u->ema_rate == NN_NONE) return;
    /* A short memory at first, so that the random start is forgotten: as in TensorFlow's num_updates. */
    float rate = (float)(1 - fmin(o->ema, (1 + t) / (10 + t)));
    nn_program_write(program, u->ema_rate, &rate);
}

/* The flag and the losses that are there; returns how many. */
static size_t list_numbers(const training_update *u, const nn_value *values, size_t count, nn_value *list)
{
    size_t listed = 0;
    list[listed++] = u->flag;
    for (size_t i = 0; i < count; i++)
        if (values[i] != NN_NONE) list[listed++] = values[i];
    return listed;
}

void training_update_begin_read(const training_update *u, const nn_program *program, const nn_value *values, size_t count,
                                training_reading *r)
{
    nn_value list[TRAINING_NUMBERS + 1];
    *r = (training_reading){.program = program, .values = values, .count = count};
    r->listed = list_numbers(u, values, count, list);
    r->open = nn_program_begin_read_scalars(program, list, r->listed);
    for (size_t i = 0; i < r->listed && !r->open; i++) nn_program_read(program, list[i], &r->number[i]);
}

status training_update_end_read(training_reading *r, const char *const *names, float *losses, error *err)
{
    nn_backend *backend = nn_program_backend(r->program);
    size_t next = 1;
    if (r->open) backend->interface->end_read_scalars(backend, r->number, r->listed);
    r->open = false;
    for (size_t i = 0; i < r->count; i++)
        if (r->values[i] != NN_NONE) losses[i] = r->number[next++];
    TRY(nn_program_check(r->program, err));
    if (r->number[0] != 0) return STATUS_OK;
    for (size_t i = 0; i < r->count; i++)
        if (r->values[i] != NN_NONE && !isfinite(losses[i]))
            return error_set(err, STATUS_NOT_FINITE, "loss %s is %g", names[i], (double)losses[i]);
    return error_set(err, STATUS_NOT_FINITE, "a gradient is NaN or infinite");
}

double training_predict_seconds(nn_program *sampler, nn_value picture, nn_value translated, size_t count, double operations)
{
    enum { PASSES = 6 }; /* a device chooses algorithms in the first one and records the next */
    float *made = malloc(count * sizeof *made);
    if (!made) return 0;
    for (size_t i = 0; i < count; i++) made[i] = (float)(i % 251) / 125 - 1;
    double seconds = INFINITY, spent = 0;
    for (int pass = 0; pass < PASSES && spent < 0.5; pass++) {
        double began = log_clock();
        nn_program_write(sampler, picture, made);
        nn_program_run(sampler);
        nn_program_read(sampler, translated, made); /* a run ends when it can be read */
        double took = log_clock() - began;
        spent += took;
        if (took < seconds) seconds = took;
    }
    free(made);
    return seconds * operations / nn_program_operations(sampler);
}

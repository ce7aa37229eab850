#include "style/feedforward.h"

#include <stdlib.h>
#include <string.h>

#include "models/format.h"
#include "models/initialise.h"
#include "style/feedforward_internal.h"
#include "training/memory.h"
#include "training/start.h"

static const char *const loss_names[STYLE_FEEDFORWARD_LOSSES] = {"content", "style", "variation"};

/* Layers and weights are read as Gatys' are; the forms of the losses are this method's own. */
static status open_network(style_feedforward *f, log_sink *log, error *err)
{
    const style_feedforward_options *o = &f->options;
    size_t side = (size_t)f->training->crop_size;
    bool random = strcmp(o->features, "random") == 0;
    model_vgg_options network = {.input = (model_vgg_input)o->input, .padding = (model_vgg_padding)o->padding,
                                 .pool = (model_vgg_pool)o->pool, .seed = (uint64_t)o->network_seed};
    style_options about = {.content_layers = o->content_layers, .content_weights = o->content_weights,
                           .content_weight = o->content_weight, .style_layers = o->style_layers,
                           .style_weights = o->style_weights, .style_weight = o->style_weight,
                           .variation_weight = o->variation_weight, .variation_exponent = o->variation_exponent};
    TRY(model_vgg_open(random ? NULL : o->features, &network, &f->vgg, err));
    TRY(style_loss_init(&f->loss, &about, f->vgg, err));
    size_t least = model_vgg_minimum(f->vgg, f->loss.deepest);
    if (side < least)
        return error_set(err, STATUS_USAGE, "data.crop_size must be at least %zu for these layers, is %zu", least, side);
    log_info(log, "features: %s%s", model_vgg_description(f->vgg),
             random ? ": no file was named, and a trained network gives better results" : "");
    return model_vgg_load(f->vgg, f->backend, f->loss.deepest, err);
}

static status check_memory(const style_feedforward *f, double need, error *err)
{
    return training_memory_check(f->backend, need, f->other_bytes,
                                 "data.crop_size, train.batch_size, model.ngf or data.cache_mb", err);
}

static status allocate(style_feedforward *f, error *err)
{
    bool averaged = f->options.ema > 0;
    TRY(check_memory(f, (double)f->set->total * (averaged ? 5 : 4) * sizeof(float), err));
    TRY(nn_parameters_allocate(f->set, f->backend, NN_TRAINED | (averaged ? NN_AVERAGED : 0), err));
    return model_initialise(f->set, (uint64_t)f->training->seed, 0, err);
}

static status compile(style_feedforward *f, nn_graph *step, nn_graph *sampler, error *err)
{
    style_feedforward_build_step(f, step);
    style_feedforward_build_sampler(f, sampler);
    TRY(nn_graph_status(step, err));
    TRY(nn_graph_status(sampler, err));
    TRY(allocate(f, err));
    nn_program_options planning = {.precision = (nn_precision)f->training->precision};
    TRY(nn_program_create(step, f->backend, &planning, &f->step, err));
    TRY(nn_program_create(sampler, f->backend, &planning, &f->sampler, err));
    nn_program *all[2] = {f->step, f->sampler};
    size_t one = nn_program_bytes(f->step), other = nn_program_bytes(f->sampler);
    TRY(check_memory(f, (double)style_feedforward_kept_bytes(f) + (double)(one > other ? one : other), err));
    return nn_arena_bind(&f->arena, f->backend, all, 2, err);
}

static status assemble(style_feedforward *f, const training_setup *setup, error *err)
{
    TRY(open_network(f, setup->log, err));
    TRY(setup->loader ? style_feedforward_measure(f, setup->loader, setup->log, err)
                      : style_feedforward_suppose(f, err));
    nn_graph *step = nn_graph_create(), *sampler = nn_graph_create();
    status result = step && sampler ? compile(f, step, sampler, err) : error_no_memory(err, "the graphs of a step", 4096);
    nn_graph_destroy(step);
    nn_graph_destroy(sampler);
    return result;
}

static status begin_step(void *context, const training_step *step, error *err)
{
    (void)err; /* what goes wrong is told at the end */
    style_feedforward *f = context;
    nn_program_write_pixels(f->step, f->pictures, step->pixels[0]);
    training_update_write(&f->update, f->step, &f->update_options, step->number, step->learning_rate);
    if (f->profile)
        nn_program_run_profiled(f->step, f->profile);
    else
        nn_program_run(f->step);
    training_reading *reading = &f->open[(f->oldest_step + f->open_count++) % TRAINING_OPEN_STEPS];
    training_update_begin_read(&f->update, f->step, f->losses, STYLE_FEEDFORWARD_LOSSES, reading);
    return STATUS_OK;
}

static status end_step(void *context, float *losses, error *err)
{
    style_feedforward *f = context;
    for (int i = 0; i < STYLE_FEEDFORWARD_LOSSES; i++) losses[i] = 0;
    f->open_count--;
    return training_update_end_read(&f->open[f->oldest_step++ % TRAINING_OPEN_STEPS], loss_names, losses, err);
}

static status sample(void *context, int domain, const uint8_t *picture, uint8_t *translated, uint8_t *reconstructed,
                     error *err)
{
    (void)domain, (void)reconstructed;
    style_feedforward *f = context;
    bool finite; /* a sheet shows what there is */
    nn_program_write_pixels(f->sampler, f->sample, picture);
    nn_program_run(f->sampler);
    nn_program_read_pixels(f->sampler, f->translated, translated, &finite);
    return nn_program_check(f->sampler, err);
}

static void fill_method(style_feedforward *f)
{
    nn_slot exported = f->options.ema > 0 ? NN_AVERAGE : NN_DATA;
    f->weights[0] = (model_weights){f->set, NN_DATA, "G_A.", "G_A."};
    f->weights[1] = (model_weights){f->set, NN_ADAM_M, "G_A.", "adam_m.G_A."};
    f->weights[2] = (model_weights){f->set, NN_ADAM_V, "G_A.", "adam_v.G_A."};
    f->weights[3] = (model_weights){f->set, NN_AVERAGE, "G_A.", "ema.G_A."};
    f->exported = (training_export){"generator_a.safetensors", "a_to_b", 0, 1, {f->set, exported, "G_A.", ""}};
    f->method = (training_method){.context = f, .loss_count = STYLE_FEEDFORWARD_LOSSES, .loss_names = loss_names,
                                  .open_steps = f->backend->interface->begin_read_scalars ? TRAINING_OPEN_STEPS : 1,
                                  .begin = begin_step, .end = end_step, .sample = sample,
                                  .state = {f->weights, f->options.ema > 0 ? 4 : 3, NULL, 0, f->backend},
                                  .exports = &f->exported, .export_count = 1};
}

status style_feedforward_create(const style_feedforward_options *o, const training_setup *setup,
                                style_feedforward **out, error *err)
{
    *out = NULL;
    style_feedforward *f = calloc(1, sizeof *f);
    if (!f) return error_no_memory(err, "a style network", sizeof *f);
    f->options = *o;
    f->training = setup->training;
    f->backend = setup->backend;
    f->other_bytes = setup->other_bytes;
    f->generator = (model_generator_options){.kind = (model_generator_kind)o->generator, .ngf = (size_t)o->ngf,
                                             .in_channels = 3, .out_channels = 3,
                                             .upsample = (model_upsample)o->upsample};
    f->update_options = (training_update_options){o->beta1, o->beta2, o->adam_eps, o->clip_norm, o->ema};
    f->set = nn_parameters_create();
    status result = f->set ? assemble(f, setup, err) : error_no_memory(err, "a style network", sizeof *f->set);
    if (result != STATUS_OK) {
        style_feedforward_destroy(f);
        return result;
    }
    fill_method(f);
    *out = f;
    return STATUS_OK;
}

void style_feedforward_destroy(style_feedforward *f)
{
    if (!f) return;
    nn_program_destroy(f->step);
    nn_program_destroy(f->sampler);
    nn_arena_free(&f->arena);
    nn_block_free(&f->grams);
    nn_parameters_destroy(f->set);
    model_vgg_destroy(f->vgg);
    free(f);
}

static status load_generator(style_feedforward *f, const safetensors_file *file, error *err)
{
    const char *kind = safetensors_metadata_get(file, "kind"), *prefix = "";
    if (kind && strcmp(kind, "training_state") == 0) prefix = "G_A.";
    TRY(training_check_generator(&f->generator, file, prefix, err));
    model_weights weights = {f->set, NN_DATA, "G_A.", prefix};
    TRY(model_weights_load(file, &weights, err));
    weights.slot = NN_AVERAGE;
    return f->options.ema > 0 ? model_weights_load(file, &weights, err) : STATUS_OK;
}

status style_feedforward_start_from(style_feedforward *f, const char *path, log_sink *log, error *err)
{
    safetensors_file *file;
    status result = model_file_open(path, &file, err);
    if (result == STATUS_OK) {
        if ((result = load_generator(f, file, err)) != STATUS_OK) error_prefix(err, "%s", path);
        safetensors_close(file);
    }
    if (result != STATUS_OK) return error_prefix(err, "train.init_from");
    log_info(log, "starting from %s; the optimiser starts afresh", path);
    return STATUS_OK;
}

const training_method *style_feedforward_method(style_feedforward *f) { return &f->method; }
nn_parameters *style_feedforward_generator(style_feedforward *f) { return f->set; }
size_t style_feedforward_arena_bytes(const style_feedforward *f) { return f->arena.bytes; }
void style_feedforward_set_profile(style_feedforward *f, nn_profile *profile) { f->profile = profile; }

size_t style_feedforward_kept_bytes(const style_feedforward *f)
{
    size_t floats = f->grams.count;
    for (int slot = 0; slot < NN_SLOTS; slot++) floats += f->set->blocks[slot].count;
    return floats * sizeof(float) + model_vgg_bytes(f->vgg);
}

double style_feedforward_predict_seconds(style_feedforward *f)
{
    size_t side = (size_t)f->training->crop_size;
    return training_predict_seconds(f->sampler, f->sample, f->translated, side * side * 3,
                                    nn_program_operations(f->step));
}

#include "gan/cyclegan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gan/augment.h"
#include "gan/internal.h"
#include "models/initialise.h"
#include "training/memory.h"

const char *const gan_loss_names[GAN_LOSSES] = {"gan_a",      "gan_b",      "cycle_a", "cycle_b", "identity_a",
                                                "identity_b", "d_a",        "d_b",     "tv_a",    "tv_b"};

/* The graphs first: building them is what fills the parameter sets, which compiling needs allocated. */
static status build(gan *g, nn_graph *const graphs[4], error *err)
{
    gan_build_generator_step(g, graphs[0]);
    if (!gan_is_one_program(g)) gan_build_discriminator_step(g, graphs[1]);
    gan_build_sampler(g, graphs[2], 0);
    gan_build_sampler(g, graphs[3], 1);
    for (int i = 0; i < 4; i++) TRY(nn_graph_status(graphs[i], err));
    return STATUS_OK;
}

static status check_memory(const gan *g, double need, error *err)
{
    return training_memory_check(g->backend, need, g->size.other_bytes,
                                 "data.crop_size, train.batch_size, model.ngf, train.pool_size or data.cache_mb", err);
}

static status allocate(gan *g, error *err)
{
    unsigned averaged = g->options.ema > 0 ? NN_AVERAGED : 0;
    size_t batch = nn_count(gan_batch_shape(g));
    double trained = (double)g->generators->total * (averaged ? 5 : 4) + (double)g->discriminators->total * 4;
    double pools = 2 * (double)(batch / g->size.batch) * (double)(gan_pool_places(g) + g->size.batch);
    TRY(check_memory(g, (trained + pools) * sizeof(float), err));
    TRY(nn_parameters_allocate(g->generators, g->backend, NN_TRAINED | averaged, err));
    TRY(nn_parameters_allocate(g->discriminators, g->backend, NN_TRAINED, err));
    for (int i = 0; i < 2; i++) {
        TRY(nn_block_allocate(&g->pools[i], g->backend, batch / g->size.batch * gan_pool_places(g), err));
        if (!gan_is_one_program(g)) TRY(nn_block_allocate(&g->judged[i], g->backend, batch, err));
    }
    TRY(model_initialise(g->generators, g->seed, 0, err));
    return model_initialise(g->discriminators, g->seed, g->generators->count, err);
}

static status compile(gan *g, nn_graph *const graphs[4], const nn_program_options *planning, error *err)
{
    nn_program **programs[4] = {&g->g_program, &g->d_program, &g->sampler.program[0], &g->sampler.program[1]}, *all[4];
    size_t count = 0;
    double arena = 0;
    for (int i = 0; i < 4; i++) {
        if (i == 1 && gan_is_one_program(g)) continue;
        TRY(nn_program_create(graphs[i], g->backend, planning, programs[i], err));
        all[count++] = *programs[i];
        arena = fmax(arena, (double)nn_program_bytes(*programs[i]));
    }
    TRY(check_memory(g, (double)gan_parameter_bytes(g) + arena, err));
    return nn_arena_bind(&g->arena, g->backend, all, count, err);
}

static status assemble(gan *g, const nn_program_options *planning, error *err)
{
    nn_graph *graphs[4] = {nn_graph_create(), nn_graph_create(), nn_graph_create(), nn_graph_create()};
    status result = STATUS_OK;
    if (graphs[0] && graphs[1] && graphs[2] && graphs[3]) {
        TRY_OR(done, build(g, graphs, err));
        TRY_OR(done, allocate(g, err));
        TRY_OR(done, compile(g, graphs, planning, err));
    } else {
        result = error_no_memory(err, "the graphs of a step", 4096);
    }
done:
    for (int i = 0; i < 4; i++) nn_graph_destroy(graphs[i]);
    return result;
}

status gan_create(const gan_options *options, gan_size size, nn_backend *backend, uint64_t seed,
                  const nn_program_options *planning, gan **out, error *err)
{
    *out = NULL;
    gan *g = calloc(1, sizeof *g);
    if (!g) return error_no_memory(err, "a CycleGAN", sizeof *g);
    g->options = *options;
    g->size = size;
    g->backend = backend;
    g->seed = seed;
    g->generator = (model_generator_options){.kind = (model_generator_kind)options->generator,
                                             .ngf = (size_t)options->ngf, .in_channels = 3, .out_channels = 3,
                                             .upsample = (model_upsample)options->upsample};
    g->discriminator = (model_discriminator_options){.kind = (model_discriminator_kind)options->discriminator,
                                                     .ndf = (size_t)options->ndf, .in_channels = 3,
                                                     .layers = (size_t)options->discriminator_layers};
    g->g_update = (training_update_options){options->beta1, options->beta2, options->adam_eps, options->clip_norm,
                                            options->ema};
    g->d_update = g->g_update;
    g->d_update.ema = 0;
    g->generators = nn_parameters_create();
    g->discriminators = nn_parameters_create();
    g->decisions = calloc(2 * size.batch, sizeof *g->decisions);
    g->draws = calloc(4 * size.batch * NN_DRAWS, sizeof *g->draws);
    status result = STATUS_OK;
    if (!g->generators || !g->discriminators || !g->decisions || !g->draws)
        result = error_no_memory(err, "a CycleGAN", 4 * size.batch * NN_DRAWS * sizeof *g->draws);
    if (result == STATUS_OK) result = assemble(g, planning, err);
    if (result != STATUS_OK) {
        gan_destroy(g);
        return result;
    }
    gan_fill_method(g);
    *out = g;
    return STATUS_OK;
}

void gan_destroy(gan *g)
{
    if (!g) return;
    nn_program_destroy(g->g_program);
    nn_program_destroy(g->d_program);
    for (int i = 0; i < 2; i++) {
        nn_program_destroy(g->sampler.program[i]);
        nn_block_free(&g->pools[i]);
        nn_block_free(&g->judged[i]);
    }
    nn_arena_free(&g->arena);
    nn_parameters_destroy(g->generators);
    nn_parameters_destroy(g->discriminators);
    free(g->decisions);
    free(g->draws);
    free(g);
}

static void run(const gan *g, nn_program *program)
{
    if (g->profile)
        nn_program_run_profiled(program, g->profile);
    else
        nn_program_run(program);
}

static void begin_read(const gan_handles *h, const nn_program *program, training_reading *reading)
{
    training_update_begin_read(&h->update, program, h->losses, GAN_LOSSES, reading);
}

static void write_inputs(const gan *g, const gan_handles *h, nn_program *program, const training_update_options *update,
                         const gan_step_input *input)
{
    for (int i = 0; i < 2; i++) {
        if (h->images[i] == NN_NONE) continue;
        if (input->pixels[i])
            nn_program_write_pixels(program, h->images[i], input->pixels[i]);
        else
            nn_program_write(program, h->images[i], input->images[i]);
    }
    if (h->draws != NN_NONE) {
        gan_augment_draw(g->seed, input->number, h->first_draw, h->draw_count, g->size.side, g->draws);
        nn_program_write(program, h->draws, g->draws);
    }
    training_update_write(&h->update, program, update, input->number, input->learning_rate);
}

static status end_both(gan_open_step *step, float *losses, error *err)
{
    error ignored = {0};
    status first = training_update_end_read(&step->of_g, gan_loss_names, losses, err);
    status second = training_update_end_read(&step->of_d, gan_loss_names, losses, first == STATUS_OK ? err : &ignored);
    return first == STATUS_OK ? second : first;
}

static void begin_one_program(gan *g, const gan_step_input *input, gan_open_step *step)
{
    write_inputs(g, &g->d_handles, g->g_program, &g->d_update, input);
    run(g, g->g_program);
    begin_read(&g->g_handles, g->g_program, &step->of_g);
    begin_read(&g->d_handles, g->g_program, &step->of_d);
}

static status run_two_programs(gan *g, const gan_step_input *input, float *losses, error *err)
{
    training_reading reading;
    run(g, g->g_program);
    begin_read(&g->g_handles, g->g_program, &reading);
    TRY(training_update_end_read(&reading, gan_loss_names, losses, err));
    write_inputs(g, &g->d_handles, g->d_program, &g->d_update, input);
    run(g, g->d_program);
    begin_read(&g->d_handles, g->d_program, &reading);
    return training_update_end_read(&reading, gan_loss_names, losses, err);
}

/* What the host reads between two programs, and a backend that has computed when it returns, leave nothing to run ahead of. */
size_t gan_open_steps(const gan *g)
{
    return !g->d_program && g->backend->interface->begin_read_scalars ? TRAINING_OPEN_STEPS : 1;
}

void gan_begin_step(gan *g, const gan_step_input *input)
{
    gan_open_step *step = &g->open[(g->oldest_step + g->open_count++) % TRAINING_OPEN_STEPS];
    *step = (gan_open_step){.result = STATUS_OK};
    write_inputs(g, &g->g_handles, g->g_program, &g->g_update, input);
    for (int i = 0; i < 2; i++) nn_program_write(g->g_program, g->g_handles.decisions[i], input->decisions[i]);
    if (g->d_program)
        step->result = run_two_programs(g, input, step->losses, &step->problem);
    else
        begin_one_program(g, input, step);
}

status gan_end_step(gan *g, float *losses, error *err)
{
    gan_open_step *step = &g->open[g->oldest_step++ % TRAINING_OPEN_STEPS];
    g->open_count--;
    memcpy(losses, step->losses, sizeof step->losses);
    if (!g->d_program) return end_both(step, losses, err);
    if (step->result != STATUS_OK && err) *err = step->problem;
    return step->result;
}

status gan_step(gan *g, const gan_step_input *input, float *losses, error *err)
{
    gan_begin_step(g, input);
    return gan_end_step(g, losses, err);
}

status gan_sample(gan *g, int domain, const uint8_t *picture, uint8_t *translated, uint8_t *reconstructed, error *err)
{
    const gan_sampler *s = &g->sampler;
    bool finite; /* a sheet shows what there is */
    nn_program_write_pixels(s->program[domain], s->picture[domain], picture);
    nn_program_run(s->program[domain]);
    nn_program_read_pixels(s->program[domain], s->translated[domain], translated, &finite);
    nn_program_read_pixels(s->program[domain], s->reconstructed[domain], reconstructed, &finite);
    return nn_program_check(s->program[domain], err);
}

nn_parameters *gan_generators(gan *g) { return g->generators; }
nn_parameters *gan_discriminators(gan *g) { return g->discriminators; }
size_t gan_arena_bytes(const gan *g) { return g->arena.bytes; }
void gan_set_profile(gan *g, nn_profile *profile) { g->profile = profile; }

double gan_operations(const gan *g)
{
    return nn_program_operations(g->g_program) + (g->d_program ? nn_program_operations(g->d_program) : 0);
}

double gan_predict_seconds(gan *g)
{
    const gan_sampler *s = &g->sampler;
    return training_predict_seconds(s->program[0], s->picture[0], s->translated[0], g->size.side * g->size.side * 3,
                                    gan_operations(g));
}

size_t gan_parameter_bytes(const gan *g)
{
    size_t floats = 0;
    for (int slot = 0; slot < NN_SLOTS; slot++)
        floats += g->generators->blocks[slot].count + g->discriminators->blocks[slot].count;
    for (int i = 0; i < 2; i++) floats += g->pools[i].count + g->judged[i].count;
    return floats * sizeof(float);
}

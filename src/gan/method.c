/* The CycleGAN as the training loop sees it: step, sample, state, exports. */
#include "gan/internal.h"
#include "gan/pool.h"

static status begin(void *context, const training_step *step, error *err)
{
    (void)err; /* what goes wrong is told at the end */
    gan *g = context;
    size_t batch = g->size.batch;
    float *codes[2] = {g->decisions, g->decisions + batch};
    gan_pool_decide(g->seed, RNG_POOL_B, step->number, batch, (size_t)g->options.pool_size, codes[0]);
    gan_pool_decide(g->seed, RNG_POOL_A, step->number, batch, (size_t)g->options.pool_size, codes[1]);
    gan_step_input input = {step->number, step->learning_rate, {step->pixels[0], step->pixels[1]}, {NULL, NULL},
                            {codes[0], codes[1]}};
    gan_begin_step(g, &input);
    return STATUS_OK;
}

static status end(void *context, float *losses, error *err) { return gan_end_step(context, losses, err); }

static status sample(void *context, int domain, const uint8_t *picture, uint8_t *translated, uint8_t *reconstructed,
                     error *err)
{
    return gan_sample(context, domain, picture, translated, reconstructed, err);
}

static void fill_state(gan *g)
{
    static const char *const prefixes[4][3] = {{"G_A.", "adam_m.G_A.", "adam_v.G_A."},
                                               {"G_B.", "adam_m.G_B.", "adam_v.G_B."},
                                               {"D_A.", "adam_m.D_A.", "adam_v.D_A."},
                                               {"D_B.", "adam_m.D_B.", "adam_v.D_B."}};
    static const char *const averages[2] = {"ema.G_A.", "ema.G_B."};
    static const nn_slot slots[3] = {NN_DATA, NN_ADAM_M, NN_ADAM_V};
    size_t count = 0;
    for (int network = 0; network < 4; network++)
        for (int i = 0; i < 3; i++)
            g->weights[count++] = (model_weights){network < 2 ? g->generators : g->discriminators, slots[i],
                                                  prefixes[network][0], prefixes[network][i]};
    for (int i = 0; i < 2 && g->options.ema > 0; i++)
        g->weights[count++] = (model_weights){g->generators, NN_AVERAGE, prefixes[i][0], averages[i]};
    nn_shape pool = gan_batch_shape(g);
    pool.dim[NN_N] = gan_pool_places(g);
    /* pool_a holds pictures that look like a */
    g->tensors[0] = (training_tensor){"pool_a", pool, &g->pools[1], g->size.batch};
    g->tensors[1] = (training_tensor){"pool_b", pool, &g->pools[0], g->size.batch};
    g->method.state = (training_state){g->weights, count, g->tensors, g->options.pool_size ? 2 : 0, g->backend};
}

void gan_fill_method(gan *g)
{
    nn_slot slot = g->options.ema > 0 ? NN_AVERAGE : NN_DATA;
    fill_state(g);
    g->exports[0] = (training_export){"generator_a.safetensors", "a_to_b", 0, 1, {g->generators, slot, "G_A.", ""}};
    g->exports[1] = (training_export){"generator_b.safetensors", "b_to_a", 1, 0, {g->generators, slot, "G_B.", ""}};
    g->method.context = g;
    g->method.loss_count = g->options.lambda_tv > 0 ? GAN_LOSSES : GAN_LOSS_TV_A;
    g->method.loss_names = gan_loss_names;
    g->method.open_steps = gan_open_steps(g);
    g->method.begin = begin;
    g->method.end = end;
    g->method.sample = sample;
    g->method.exports = g->exports;
    g->method.export_count = 2;
}

const training_method *gan_method(gan *g) { return &g->method; }

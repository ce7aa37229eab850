/* The graphs of a step: the generators' and the discriminators', or, where kernels run beside one another (lanes), both in
 * one program, in which the discriminators fill what the generators leave of the device. Where a network has two batches and
 * the device is wide, they are one batch, which costs memory (the activations of both are alive together) and saves time:
 * half as many kernels, each with twice the work.
 *
 * Losses as in the reference's cycle_gan_model.py:
 *
 *   generators:      gan(D_A(G_A(a)), real) + gan(D_B(G_B(b)), real)
 *                    + lambda_cycle_a |G_B(G_A(a)) - a| + lambda_cycle_b |G_A(G_B(b)) - b|
 *                    + lambda_identity (lambda_cycle_b |G_A(b) - b| + lambda_cycle_a |G_B(a) - a|)
 *   discriminators:  (gan(D_A(b), real) + gan(D_A(pool(G_A(a))), fake)) / 2, and the same for D_B
 *
 * with |.| the mean absolute difference, and gan() the mean square to 1 or 0, or cross-entropy with logits. With
 * options.augment discriminators see all pictures changed at random (gan/augment.h), each time otherwise.
 */
#include "gan/augment.h"
#include "gan/internal.h"

static const char *const generator_prefix[2] = {"G_A.", "G_B."};
static const char *const discriminator_prefix[2] = {"D_A.", "D_B."};
/* Smooths the root of total variation at 0; far below one grey level squared. */
static const float tv_epsilon = 1e-6f;

static nn_value generate(gan *g, nn_graph *graph, int which, nn_value x, model_trainables *trained)
{
    return model_generator_build(graph, g->generators, generator_prefix[which], &g->generator, x, trained);
}

/* draw: of the part's, that of x's first picture. */
static nn_value judge(gan *g, nn_graph *graph, int which, nn_value x, nn_value draws, size_t draw, model_trainables *trained)
{
    if (draws != NN_NONE) x = nn_augment(graph, x, draws, draw, gan_augment_hole(g->size.side));
    return model_discriminator_build(graph, g->discriminators, discriminator_prefix[which], &g->discriminator, x,
                                     trained);
}

static nn_value adversarial(const gan *g, nn_graph *graph, nn_value scores, bool real)
{
    float target = real ? 1 : 0;
    if (g->options.mode == GAN_VANILLA) return nn_bce_logits(graph, scores, target);
    return nn_mean_square(graph, scores, NN_NONE, target);
}

static nn_value weighted_distance(nn_graph *graph, nn_value x, nn_value y, double weight)
{
    return nn_scale(graph, nn_mean_abs(graph, x, y, 0), (float)weight);
}

/* Sum of the losses that are there; each becomes an output. */
static nn_value total_of(nn_graph *graph, const gan_handles *h)
{
    nn_value total = NN_NONE;
    for (int i = 0; i < GAN_LOSSES; i++) {
        if (h->losses[i] == NN_NONE) continue;
        nn_output(graph, h->losses[i]);
        total = total == NN_NONE ? h->losses[i] : nn_add(graph, total, h->losses[i]);
    }
    return total;
}

static void clear_handles(gan_handles *h)
{
    *h = (gan_handles){.images = {NN_NONE, NN_NONE}, .draws = NN_NONE,
                       .update = {.rates = NN_NONE, .ema_rate = NN_NONE}};
    for (int i = 0; i < GAN_LOSSES; i++) h->losses[i] = NN_NONE;
}

/* Draws for `count` batches that discriminators see, of which a step has `first` before. */
static void ask_for_draws(const gan *g, nn_graph *graph, gan_handles *h, size_t first, size_t count)
{
    if (!g->options.augment) return;
    h->first_draw = first * g->size.batch;
    h->draw_count = count * g->size.batch;
    h->draws = nn_input(graph, "draws", nn_shape_of(h->draw_count, 1, 1, NN_DRAWS));
}

/* Pixels of a batch that keep a wide device busy: more are not joined. */
enum { BUSY_PIXELS = 1 << 18 };

static bool joins(const gan *g)
{
    return g->backend->wide && g->size.batch * g->size.side * g->size.side <= BUSY_PIXELS;
}

static nn_value joined(nn_graph *graph, nn_value first, nn_value second)
{
    return nn_concat(graph, (const nn_value[2]){first, second}, 2, NN_N);
}

/* The first or the second batch of a joined one. */
static nn_value part_of(const gan *g, nn_graph *graph, nn_value both, size_t number)
{
    return nn_slice(graph, both, NN_N, number * g->size.batch, g->size.batch);
}

/* fake[i]: the translation of domain i; same[i]: what the same generator makes of the other domain, for the identity. */
static void translate_both(gan *g, nn_graph *graph, const nn_value images[2], nn_value fake[2], nn_value same[2],
                           model_trainables *trained)
{
    bool identity = g->options.lambda_identity > 0, together = identity && joins(g);
    for (int i = 0; i < 2; i++) {
        nn_value x = together ? joined(graph, images[i], images[1 - i]) : images[i];
        nn_value y = generate(g, graph, i, x, trained);
        fake[i] = together ? part_of(g, graph, y, 0) : y;
        same[i] = together ? part_of(g, graph, y, 1) : NN_NONE;
    }
}

/* Scores of discriminator i: [0] of real pictures, [1] of fake ones. */
static void judge_both(gan *g, nn_graph *graph, int i, nn_value real, nn_value fake, nn_value scores[2],
                       model_trainables *trained)
{
    nn_value draws = g->d_handles.draws;
    size_t draw = 2 * (size_t)i * g->size.batch;
    if (!joins(g)) {
        scores[0] = judge(g, graph, i, real, draws, draw, trained);
        scores[1] = judge(g, graph, i, fake, draws, draw + g->size.batch, trained);
        return;
    }
    nn_value both = judge(g, graph, i, joined(graph, real, fake), draws, draw, trained);
    for (size_t k = 0; k < 2; k++) scores[k] = part_of(g, graph, both, k);
}

/* fake[i]: what came out of the pool of translations of domain i. */
static void learn_to_judge(gan *g, nn_graph *graph, const nn_value images[2], const nn_value fake[2])
{
    gan_handles *h = &g->d_handles;
    model_trainables trained = {0};
    clear_handles(h);
    ask_for_draws(g, graph, h, 2, 4); /* of the generators' part are two */
    for (int i = 0; i < 2; i++) { /* D_A judges b */
        nn_value scores[2];
        judge_both(g, graph, i, images[1 - i], fake[i], scores, &trained);
        nn_value on_real = adversarial(g, graph, scores[0], true), on_fake = adversarial(g, graph, scores[1], false);
        h->losses[GAN_LOSS_D_A + i] = nn_scale(graph, nn_add(graph, on_real, on_fake), 0.5f);
    }
    const training_update *first = gan_is_one_program(g) ? &g->g_handles.update : NULL; /* as a program of its own comes after */
    training_update_append(graph, g->discriminators, &trained, total_of(graph, h), first, &g->d_update, &h->update);
    model_trainables_free(&trained);
}

/* Translations go through the pools to the discriminators' part of the same graph, or to memory for the other one. */
static void hand_on(gan *g, nn_graph *graph, const nn_value fake[2])
{
    gan_handles *h = &g->g_handles;
    nn_shape pool = gan_batch_shape(g);
    nn_value seen[2];
    pool.dim[NN_N] = gan_pool_places(g);
    for (int i = 0; i < 2; i++) {
        h->decisions[i] = nn_input(graph, "decisions", nn_shape_vector(g->size.batch));
        seen[i] = nn_pool_swap(graph, nn_memory(graph, "pool", pool, &g->pools[i], 0), fake[i], h->decisions[i]);
        if (!gan_is_one_program(g)) nn_store(graph, seen[i], &g->judged[i], 0);
    }
    if (gan_is_one_program(g)) learn_to_judge(g, graph, h->images, seen);
}

void gan_build_generator_step(gan *g, nn_graph *graph)
{
    const gan_options *o = &g->options;
    gan_handles *h = &g->g_handles;
    model_trainables trained = {0};
    nn_shape shape = gan_batch_shape(g);
    double cycle[2] = {o->lambda_cycle_a, o->lambda_cycle_b};
    nn_value fake[2], same[2];
    clear_handles(h);
    h->images[0] = nn_input(graph, "a", shape);
    h->images[1] = nn_input(graph, "b", shape);
    ask_for_draws(g, graph, h, 0, 2);
    translate_both(g, graph, h->images, fake, same, &trained);
    for (int i = 0; i < 2; i++) { /* i: the direction, 0 a to b */
        nn_value back = generate(g, graph, 1 - i, fake[i], &trained);
        h->losses[GAN_LOSS_CYCLE_A + i] = weighted_distance(graph, back, h->images[i], cycle[i]);
        nn_value scores = judge(g, graph, i, fake[i], h->draws, (size_t)i * g->size.batch, NULL);
        h->losses[GAN_LOSS_GAN_A + i] = adversarial(g, graph, scores, true);
        if (o->lambda_tv > 0) {
            float scale = (float)(o->lambda_tv / (double)nn_count(shape));
            h->losses[GAN_LOSS_TV_A + i] = nn_total_variation(graph, fake[i], scale, 1, tv_epsilon);
        }
        if (o->lambda_identity > 0) {
            if (same[i] == NN_NONE) same[i] = generate(g, graph, i, h->images[1 - i], &trained);
            double weight = o->lambda_identity * cycle[1 - i];
            h->losses[GAN_LOSS_IDENTITY_A + i] = weighted_distance(graph, same[i], h->images[1 - i], weight);
        }
    }
    training_update_append(graph, g->generators, &trained, total_of(graph, h), NULL, &g->g_update, &h->update);
    hand_on(g, graph, fake);
    model_trainables_free(&trained);
}

void gan_build_discriminator_step(gan *g, nn_graph *graph)
{
    nn_shape shape = gan_batch_shape(g);
    nn_value images[2] = {nn_input(graph, "a", shape), nn_input(graph, "b", shape)}, fake[2];
    for (int i = 0; i < 2; i++) fake[i] = nn_memory(graph, "judged", shape, &g->judged[i], 0);
    learn_to_judge(g, graph, images, fake);
    for (int i = 0; i < 2; i++) g->d_handles.images[i] = images[i];
}

void gan_build_sampler(gan *g, nn_graph *graph, int domain)
{
    gan_sampler *s = &g->sampler;
    if (g->options.ema > 0) nn_graph_use_slot(graph, NN_AVERAGE);
    s->picture[domain] = nn_input(graph, "picture", nn_shape_of(1, g->size.side, g->size.side, 3));
    s->translated[domain] = generate(g, graph, domain, s->picture[domain], NULL);
    s->reconstructed[domain] = generate(g, graph, 1 - domain, s->translated[domain], NULL);
    nn_output(graph, s->translated[domain]);
    nn_output(graph, s->reconstructed[domain]);
}

#include "compare/measures.h"

#include <math.h>
#include <string.h>

const comparison_measure comparison_measures[] = {
    {"seconds", "Time per picture", COMPARISON_LESS, false,
     "Seconds from an input in memory to its result in memory: the median over the inputs. Loading the method, and "
     "reading and writing files, are not in it."},
    {"training", "Training, once", COMPARISON_LESS, false,
     "Seconds that training took before the first picture could be made; a method without training has none. As the "
     "model's file or the config says; on which machine is not known."},
    {"memory", "Peak memory", COMPARISON_LESS, false,
     "The most memory that the method's process had at once, for these inputs."},
    {"style_nearest", "Style, nearest", COMPARISON_LESS, false,
     "How far an output's style is from that of the target picture it is nearest to. Style means Gram matrices: which "
     "features occur together, wherever they are. 0 is the same style, about 1 an unlike one."},
    {"style_mean", "Style, mean", COMPARISON_LESS, false,
     "The same distance to the mean Gram matrix of all target pictures: how typical the style is."},
    {"kid", "KID", COMPARISON_LESS, false,
     "Kernel distance between the set of outputs and the set of target pictures, by features of the network: 0 means "
     "that they could be from one source, and chance puts it a little below or above. Made for small sets, unlike FID."},
    {"swd", "Patches (SWD)", COMPARISON_LESS, false,
     "Sliced Wasserstein distance between small patches of the outputs and of the target pictures, from fine to coarse, "
     "times 1000. Looks at texture alone and needs no network. Never 0; compare it within this table only."},
    {"content", "Content change", COMPARISON_NEITHER, false,
     "By how much the network's features change from input to output: 0 means nothing changed (then the style cannot "
     "have either), above 1 that little of the input is left."},
    {"ssim", "Structure (SSIM)", COMPARISON_NEITHER, false,
     "Structural similarity of input and output, by luminance alone: 1 is the same structure, 0 none in common. A picture "
     "that was not changed at all has 1, so more is not better by itself."},
    {"copies", "Copied", COMPARISON_LESS, true,
     "Share of the outputs that are closer to a training picture than training pictures are to each other, by features: "
     "of pictures that are new, about 5 in 100 are that close by chance."},
    {"pixel_copies", "Copied, by pixels", COMPARISON_LESS, true,
     "Share of the outputs that are closer to a training picture than training pictures are to each other, by the pixels "
     "of small versions."},
    {"diversity", "Diversity", COMPARISON_MORE, false,
     "Mean distance between two outputs, by features: near 0 when every input becomes the same picture."},
    {"diversity_real", "Diversity of targets", COMPARISON_REFERENCE, false,
     "Mean distance between two target pictures, by features: what a good method's outputs would have."},
    {"pixel_diversity", "Diversity, by pixels", COMPARISON_MORE, false,
     "Mean distance between two outputs, by the pixels (0 to 255) of small versions."},
    {"pixel_diversity_real", "Diversity of targets, by pixels", COMPARISON_REFERENCE, false,
     "Mean distance between two target pictures, by the pixels of small versions."},
};
const size_t comparison_measure_count = sizeof comparison_measures / sizeof *comparison_measures;

static compare_estimate single(double value)
{
    return (compare_estimate){value, NAN, NAN, isnan(value) ? 0 : 1, 0};
}

compare_estimate comparison_estimate(const comparison_method_result *m, const comparison_measure *measure)
{
    if (strcmp(measure->key, "seconds") == 0) return m->seconds;
    if (strcmp(measure->key, "training") == 0) return single(m->training_seconds);
    if (strcmp(measure->key, "memory") == 0) return single(m->peak_bytes);
    const compare_estimate *e = compare_evaluation_find(&m->evaluation, measure->key);
    return e ? *e : (compare_estimate){NAN, NAN, NAN, 0, 0};
}

bool comparison_is_measured(const comparison_result *r, const comparison_measure *measure)
{
    for (size_t i = 0; i < r->count; i++)
        if (comparison_estimate(&r->methods[i], measure).n) return true;
    return false;
}

static double seconds_of(const comparison_output *o) { return o->seconds; }
static double style_of(const comparison_output *o) { return o->style; }
static double content_of(const comparison_output *o) { return o->content; }
static double ssim_of(const comparison_output *o) { return o->ssim; }
static double distance_of(const comparison_output *o) { return o->distance; }

const comparison_column comparison_columns[] = {
    {"seconds", "Time, s", COMPARISON_LESS, seconds_of},
    {"style_nearest", "Style, nearest", COMPARISON_LESS, style_of},
    {"content", "Content change", COMPARISON_NEITHER, content_of},
    {"ssim", "Structure (SSIM)", COMPARISON_NEITHER, ssim_of},
    {"nearest", "To nearest training picture", COMPARISON_NEITHER, distance_of},
};
const size_t comparison_column_count = sizeof comparison_columns / sizeof *comparison_columns;

bool comparison_is_filled(const comparison_result *r, const comparison_column *column)
{
    for (size_t i = 0; i < r->count; i++)
        for (size_t k = 0; k < r->pictures->count; k++)
            if (!isnan(column->value(&r->methods[i].outputs[k]))) return true;
    return false;
}

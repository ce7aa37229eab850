#include <jansson.h>
#include <math.h>
#include <string.h>

#include "compare/evaluate.h"

enum { DIGITS = 9 };

static const char *const folder_keys[COMPARE_FOLDERS] = {"real", "fake", "content", "train"};

/* A name; one that is no UTF-8 has all bytes but ASCII as \xNN. */
static json_t *name_of(const char *name)
{
    json_t *value = json_string(name);
    if (value) return value;
    text ascii = {0};
    for (const unsigned char *p = (const unsigned char *)name; *p; p++)
        text_format(&ascii, *p < 0x80 ? "%c" : "\\x%02x", *p);
    value = json_string(text_get(&ascii));
    text_free(&ascii);
    return value;
}

/* null for what is not measured or not finite. */
static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *folder_object(const compare_folder *folder)
{
    json_t *left_out = json_array();
    for (size_t i = 0; i < folder->left_out_count; i++)
        json_array_append_new(left_out, name_of(folder->list.items[folder->left_out[i]].relative));
    return json_pack("{s:o, s:I, s:o}", "folder", name_of(folder->path), "pictures", (json_int_t)folder->set.count,
                     "left_out", left_out);
}

static json_t *folders_object(const compare_evaluation *e)
{
    json_t *folders = json_object();
    for (size_t i = 0; i < COMPARE_FOLDERS; i++)
        if (e->folders[i].path) json_object_set_new(folders, folder_keys[i], folder_object(&e->folders[i]));
    return folders;
}

static json_t *features_object(const compare_network *network, const char *layer)
{
    if (!network) return json_null();
    return json_pack("{s:s, s:b, s:s, s:I}", "network", compare_network_description(network), "random",
                     (int)compare_network_is_random(network), "layer", layer, "style_layers",
                     (json_int_t)compare_network_style_layers(network));
}

static json_t *measure_object(const compare_measure *m)
{
    const compare_estimate *e = &m->estimate;
    json_t *object = json_pack("{s:o, s:o, s:o, s:I}", "value", number(e->value), "low", number(e->low), "high",
                               number(e->high), "n", (json_int_t)e->n);
    if (e->m) json_object_set_new(object, "m", json_integer((json_int_t)e->m));
    json_object_set_new(object, "meaning", json_string(m->meaning));
    return object;
}

static json_t *measures_object(const compare_evaluation *e)
{
    json_t *measures = json_object();
    for (size_t i = 0; i < e->count; i++)
        json_object_set_new(measures, e->measures[i].key, measure_object(&e->measures[i]));
    return measures;
}

static void set_match(json_t *object, const char *key, const compare_match *match)
{
    if (!match->name) return;
    json_object_set_new(object, key, json_pack("{s:o, s:o, s:b}", "training", name_of(match->name), "distance",
                                               number(match->distance), "close", (int)match->close));
}

static json_t *outputs_array(const compare_evaluation *e)
{
    json_t *outputs = json_array();
    for (size_t i = 0; i < e->output_count; i++) {
        const compare_output *o = &e->outputs[i];
        json_t *object = json_pack("{s:o, s:o, s:o, s:o}", "name", name_of(o->name), "ssim", number(o->ssim), "content",
                                   number(o->content), "style_nearest", number(o->style));
        set_match(object, "nearest", &o->features);
        set_match(object, "pixel_nearest", &o->pixels);
        json_array_append_new(outputs, object);
    }
    return outputs;
}

status compare_evaluation_json(const compare_evaluation *e, const compare_network *network, const char *layer,
                               char **out, error *err)
{
    json_t *root = json_pack("{s:i, s:I, s:I, s:o, s:o, s:o, s:o}", "cyclegan_evaluation", 1, "size",
                             (json_int_t)e->side, "seed", (json_int_t)e->seed, "features",
                             features_object(network, layer), "folders", folders_object(e), "measures",
                             measures_object(e), "outputs", outputs_array(e));
    *out = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(DIGITS)) : NULL;
    json_decref(root);
    return *out ? STATUS_OK : error_no_memory(err, "an evaluation", e->output_count * sizeof *e->outputs);
}

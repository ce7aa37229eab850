#include "models/infer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

typedef struct search {
    const safetensors_file *file;
    const char *prefix;
    bool no_memory;
} search;

/* The weight of shape (d0, d1, kernel, kernel) under a key, or NULL. */
static const safetensors_entry *find_weight(search *s, size_t kernel, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static const safetensors_entry *find_weight(search *s, size_t kernel, const char *format, ...)
{
    static const char *const wrappers[] = {"", "module."};
    char key[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(key, sizeof key, format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++) {
        char *name = text_printf("%s%s%s", s->prefix, wrappers[i], key);
        if (!name) {
            s->no_memory = true;
            return NULL;
        }
        const safetensors_entry *entry = safetensors_find(s->file, name);
        free(name);
        if (entry && entry->rank == 4 && entry->shape[2] == kernel && entry->shape[3] == kernel) return entry;
    }
    return NULL;
}

static bool infer_resnet(search *s, const safetensors_entry *first, model_generator_options *out, error *err)
{
    size_t blocks = 0;
    while (find_weight(s, 3, "model.%zu.conv_block.1.weight", 10 + blocks)) blocks++;
    if (!blocks) {
        error_set(err, STATUS_FAILED,
                  "expected a resnet's model.10.conv_block.1.weight (...x...x3x3) after model.1.weight, found none");
        return false;
    }
    /* After the blocks: transposed convolutions at 0 and 3, the last one at 7; or convolutions at 2 and 7, last 11. */
    size_t up = 10 + blocks;
    const safetensors_entry *transposed = find_weight(s, 3, "model.%zu.weight", up);
    const safetensors_entry *resized = find_weight(s, 3, "model.%zu.weight", up + 2);
    const safetensors_entry *last = find_weight(s, 7, "model.%zu.weight", up + (transposed ? 7 : 11));
    if ((!transposed && !resized) || !last) {
        error_set(err, STATUS_FAILED,
                  "expected after the last residual block, model.%zu, either model.%zu.weight and model.%zu.weight "
                  "(transpose) or model.%zu.weight and model.%zu.weight (resize_conv), found neither",
                  up - 1, up, up + 7, up + 2, up + 11);
        return false;
    }
    *out = (model_generator_options){.kind = blocks == 6 ? MODEL_RESNET_6 : MODEL_RESNET_9,
                                     .blocks = blocks,
                                     .ngf = first->shape[0],
                                     .in_channels = first->shape[1],
                                     .out_channels = last->shape[0],
                                     .upsample = transposed ? MODEL_TRANSPOSE : MODEL_RESIZE_CONV};
    return true;
}

static bool infer_unet(search *s, const safetensors_entry *first, model_generator_options *out, error *err)
{
    enum { LEVELS_SEARCHED = 12 }; /* some more than there may be, so that the message can count them */
    char path[160] = "model.model.1.model";
    size_t levels = 1;
    while (levels < LEVELS_SEARCHED && find_weight(s, 4, "%s.1.weight", path)) {
        strcat(path, ".3.model");
        levels++;
    }
    if (levels != 7 && levels != 8) {
        error_set(err, STATUS_FAILED, "expected a unet of 7 levels (unet_128) or 8 (unet_256), found %zu%s", levels,
                  levels == LEVELS_SEARCHED ? " or more" : "");
        return false;
    }
    const safetensors_entry *last = find_weight(s, 4, "model.model.3.weight");
    if (!last) {
        error_set(err, STATUS_FAILED, "expected a unet's model.model.3.weight (...x...x4x4), found none");
        return false;
    }
    *out = (model_generator_options){.kind = levels == 7 ? MODEL_UNET_128 : MODEL_UNET_256,
                                     .ngf = first->shape[0],
                                     .in_channels = first->shape[1],
                                     .out_channels = last->shape[1],
                                     .upsample = MODEL_TRANSPOSE};
    return true;
}

status model_generator_infer(const safetensors_file *file, const char *file_prefix, model_generator_options *out,
                             error *err)
{
    search s = {.file = file, .prefix = file_prefix};
    const safetensors_entry *resnet = find_weight(&s, 7, "model.1.weight");
    const safetensors_entry *unet = resnet ? NULL : find_weight(&s, 4, "model.model.0.weight");
    bool found = false;
    if (resnet)
        found = infer_resnet(&s, resnet, out, err);
    else if (unet)
        found = infer_unet(&s, unet, out, err);
    else
        error_set(err, STATUS_FAILED,
                  "not a generator: expected a resnet's %smodel.1.weight (...x...x7x7) or a unet's "
                  "%smodel.model.0.weight (...x...x4x4) among its %zu tensors, found neither",
                  file_prefix, file_prefix, safetensors_count(file));
    if (s.no_memory) return error_no_memory(err, "a tensor's name", strlen(file_prefix));
    return found ? STATUS_OK : STATUS_FAILED;
}

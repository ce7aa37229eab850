#include "training/start.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "models/infer.h"

static void add_difference(text *line, const char *key, const char *found, const char *expected)
{
    if (strcmp(found, expected) != 0)
        text_format(line, "%s%s is %s in the file, %s in the config", line->length ? "; " : "", key, found, expected);
}

static void add_number(text *line, const char *key, size_t found, size_t expected)
{
    char texts[2][32];
    snprintf(texts[0], sizeof texts[0], "%zu", found);
    snprintf(texts[1], sizeof texts[1], "%zu", expected);
    add_difference(line, key, texts[0], texts[1]);
}

status training_check_generator(const model_generator_options *ours, const safetensors_file *file, const char *prefix,
                                error *err)
{
    model_generator_options found;
    TRY(model_generator_infer(file, prefix, &found, err));
    text line = {0};
    add_difference(&line, "model.generator", model_generator_names[found.kind], model_generator_names[ours->kind]);
    add_number(&line, "residual blocks", model_generator_blocks(&found), model_generator_blocks(ours));
    add_number(&line, "model.ngf", found.ngf, ours->ngf);
    if (!model_generator_is_unet(ours) && !model_generator_is_unet(&found))
        add_difference(&line, "model.upsample", model_upsample_names[found.upsample],
                       model_upsample_names[ours->upsample]);
    add_number(&line, "input channels", found.in_channels, ours->in_channels);
    add_number(&line, "output channels", found.out_channels, ours->out_channels);
    status result = STATUS_OK;
    if (line.length) result = error_set(err, STATUS_USAGE, "another architecture: %s", text_get(&line));
    text_free(&line);
    return result;
}

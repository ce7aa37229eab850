#include "gan/start.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "gan/internal.h"
#include "models/format.h"
#include "training/choices.h"
#include "training/start.h"

static const char *const names[4] = {"G_A", "G_B", "D_A", "D_B"};
static const char *const prefixes[4] = {"G_A.", "G_B.", "D_A.", "D_B."};

static bool has_network(const safetensors_file *file, const char *prefix)
{
    for (size_t i = 0; i < safetensors_count(file); i++)
        if (text_starts_with(safetensors_at(file, i)->name, prefix)) return true;
    return false;
}

/* network: 0 to 3 of `names`. */
static status load_network(gan *g, const safetensors_file *file, int network, const char *file_prefix, error *err)
{
    nn_parameters *set = network < 2 ? g->generators : g->discriminators;
    model_weights weights = {set, NN_DATA, prefixes[network], file_prefix};
    TRY(model_weights_load(file, &weights, err));
    weights.slot = NN_AVERAGE;
    return set->blocks[NN_AVERAGE].memory ? model_weights_load(file, &weights, err) : STATUS_OK;
}

static void tell(const char *path, const bool loaded[4], const char *why, log_sink *log)
{
    char lists[2][32] = {"", ""};
    for (int i = 0; i < 4; i++) {
        char *list = lists[loaded[i] ? 0 : 1];
        if (list[0]) strcat(list, ", ");
        strcat(list, names[i]);
    }
    log_info(log, "starting from %s: %s loaded; %s%sthe optimisers start afresh%s", path, lists[0], lists[1],
             lists[1][0] ? " and " : "", why);
}

/* Both discriminators or none: one that fits and one that does not is a damaged file. */
static status load_discriminators(gan *g, const safetensors_file *file, bool loaded[4], error *err)
{
    if (!has_network(file, prefixes[2]) || !has_network(file, prefixes[3])) return STATUS_OK;
    status result = load_network(g, file, 2, prefixes[2], err);
    if (result == STATUS_FAILED) return STATUS_OK; /* of another architecture: nothing was changed */
    if (result == STATUS_OK) result = load_network(g, file, 3, prefixes[3], err);
    loaded[2] = loaded[3] = result == STATUS_OK;
    return result == STATUS_OK ? result : error_prefix(err, "D_B");
}

static status load_file(gan *g, const char *path, const safetensors_file *file, log_sink *log, error *err)
{
    bool loaded[4] = {false};
    const char *why = "";
    if (has_network(file, prefixes[0]) && has_network(file, prefixes[1])) {
        for (int i = 0; i < 2; i++) {
            TRY(training_check_generator(&g->generator, file, prefixes[i], err));
            TRY(load_network(g, file, i, prefixes[i], err));
            loaded[i] = true;
        }
        TRY(load_discriminators(g, file, loaded, err));
        if (!loaded[2] && has_network(file, prefixes[2])) why = " (the file's discriminators do not fit)";
    } else {
        const char *direction = safetensors_metadata_get(file, "direction");
        int network = direction && strcmp(direction, "b_to_a") == 0;
        TRY(training_check_generator(&g->generator, file, "", err));
        TRY(load_network(g, file, network, "", err));
        loaded[network] = true;
    }
    training_choices_restore(file, g->backend, log);
    tell(path, loaded, why, log);
    return STATUS_OK;
}

status gan_start_from(gan *g, const char *path, log_sink *log, error *err)
{
    safetensors_file *file;
    status result = model_file_open(path, &file, err);
    if (result == STATUS_OK) {
        if ((result = load_file(g, path, file, log, err)) != STATUS_OK) error_prefix(err, "%s", path);
        safetensors_close(file);
    }
    return result == STATUS_OK ? result : error_prefix(err, "train.init_from");
}

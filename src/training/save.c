#include "training/save.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "models/format.h"

/* The metadata that every file of the run carries; the arrays behind it belong to the caller. */
typedef struct metadata {
    safetensors_metadata items[12];
    size_t count;
    char step[32], seconds[32];
} metadata;

static void add(metadata *m, const char *key, const char *value)
{
    m->items[m->count++] = (safetensors_metadata){(char *)(uintptr_t)key, (char *)(uintptr_t)value};
}

static void common_metadata(const training_loop *loop, uint64_t step, double seconds, const char *kind, metadata *m)
{
    m->count = 0;
    snprintf(m->step, sizeof m->step, "%llu", (unsigned long long)step);
    snprintf(m->seconds, sizeof m->seconds, "%.3f", seconds);
    add(m, MODEL_FORMAT_KEY, MODEL_FORMAT);
    add(m, "kind", kind);
    add(m, "step", m->step);
    add(m, "seconds", m->seconds);
    add(m, "config", loop->config);
}

static status save_export(const training_loop *loop, const training_export *e, const char *path, uint64_t step,
                          double seconds, error *err)
{
    metadata m;
    const training_domain *domains = loop->options->domains;
    common_metadata(loop, step, seconds, "generator", &m);
    add(&m, "direction", e->direction);
    add(&m, "from", domains[e->from].name);
    add(&m, "to", domains[e->to].name);
    safetensors_type type = loop->options->storage == TRAINING_BF16 ? SAFETENSORS_BF16 : SAFETENSORS_F32;
    return model_weights_save(path, &e->weights, m.items, m.count, type, err);
}

/* Whether the file is there and of this step. */
static bool is_of_step(const char *path, uint64_t step)
{
    safetensors_file *file;
    double found = -1;
    if (safetensors_open(path, &file, NULL) != STATUS_OK) return false;
    status result = training_checkpoint_number(file, "step", &found, NULL);
    safetensors_close(file);
    return result == STATUS_OK && found == (double)step;
}

static status save_exports(const training_loop *loop, uint64_t step, double seconds, bool stale_only, error *err)
{
    for (size_t i = 0; i < loop->method->export_count; i++) {
        const training_export *e = &loop->method->exports[i];
        char *path = text_join_path(loop->run->checkpoints, e->file);
        if (!path) return error_no_memory(err, e->file, strlen(e->file));
        status result = STATUS_OK;
        if (!stale_only || !is_of_step(path, step)) result = save_export(loop, e, path, step, seconds, err);
        free(path);
        if (result != STATUS_OK) return result;
    }
    return STATUS_OK;
}

status training_save_stale_exports(const training_loop *loop, uint64_t step, double seconds, error *err)
{
    return save_exports(loop, step, seconds, true, err);
}

/* The exports first: a resumed run never finds a state newer than the generators beside it. */
status training_save(const training_loop *loop, uint64_t step, double seconds, error *err)
{
    metadata m;
    char pictures[2][64];
    const training_domain *domains = loop->options->domains;
    TRY(training_run_sync_log(loop->run, err));
    TRY(save_exports(loop, step, seconds, false, err));
    common_metadata(loop, step, seconds, "training_state", &m);
    add(&m, "domain_a", domains[0].name);
    add(&m, "domain_b", domains[1].name);
    for (int d = 0; d < 2; d++) {
        training_loader_fingerprint(loop->loader, d, pictures[d], sizeof pictures[d]);
        add(&m, d ? "pictures_b" : "pictures_a", pictures[d]);
    }
    TRY(training_checkpoint_save(loop->run->next, &loop->method->state, step, m.items, m.count, err));
    return training_run_publish(loop->run, err);
}

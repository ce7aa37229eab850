#include "gan/train.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "gan/cyclegan.h"
#include "gan/start.h"
#include "training/loop.h"
#include "training/restore.h"

/* A config with the structs that it fills. */
typedef struct settings {
    training_options training;
    gan_options gan;
    config_table tables[2];
    config *config;
} settings;

static void settings_tables(settings *s)
{
    s->tables[0] = (config_table){training_fields, training_field_count, &s->training};
    s->tables[1] = (config_table){gan_fields, gan_field_count, &s->gan};
}

static status read_settings(settings *s, const gan_train_request *r, error *err)
{
    *s = (settings){0};
    settings_tables(s);
    TRY(config_create(s->tables, 2, &s->config, err));
    TRY(config_read_file(s->config, r->config_path, err));
    for (size_t i = 0; i < r->setting_count; i++) TRY(config_set(s->config, r->settings[i], err));
    TRY(config_finish(s->config, err));
    TRY(training_options_check(&s->training, s->config, err));
    return gan_options_check(&s->gan, s->config, s->training.crop_size, err);
}

/* "line; line" */
static void join_lines(const text *lines, text *out)
{
    for (const char *line = text_get(lines), *end; (end = strchr(line, '\n')); line = end + 1)
        text_format(out, "%s%.*s", out->length ? "; " : "", (int)(end - line), line);
}

/* What a checkpoint is compared with and loaded into. */
typedef struct resumption {
    const settings *now;
    gan *model;
    training_loop *loop;
} resumption;

/* STATUS_USAGE where what may not change did. */
static status report_difference(const settings *before, const settings *now, log_sink *log, error *err)
{
    text allowed = {0}, forbidden = {0}, may = {0}, may_not = {0};
    status result = STATUS_OK;
    config_difference(before->config, now->config, &allowed, &forbidden);
    join_lines(&allowed, &may);
    join_lines(&forbidden, &may_not);
    if (may_not.length)
        result = error_set(err, STATUS_USAGE, "--resume: the config differs from the run's in what cannot change: %s%s%s",
                           text_get(&may_not), may.length ? "; what differs besides may change: " : "", text_get(&may));
    else if (may.length)
        log_info(log, "changed since the checkpoint: %s", text_get(&may));
    text_free(&allowed);
    text_free(&forbidden);
    text_free(&may);
    text_free(&may_not);
    return result;
}

/* The config that the checkpoint was trained with may differ from the present one only where that is harmless. */
static status compare_settings(const settings *now, const safetensors_file *file, log_sink *log, error *err)
{
    const char *stored = safetensors_metadata_get(file, "config"), *kind = safetensors_metadata_get(file, "kind");
    if (kind && strcmp(kind, "training_state") != 0)
        return error_set(err, STATUS_FAILED, "metadata 'kind': expected training_state, found %.80s", kind);
    if (!stored) return error_set(err, STATUS_FAILED, "metadata 'config' is missing: not a training state");
    settings before = {0};
    settings_tables(&before);
    status result;
    TRY_OR(done, config_create(before.tables, 2, &before.config, err));
    result = config_read_text(before.config, "config of the checkpoint", stored, strlen(stored), err);
    if (result == STATUS_OK) result = gan_options_check(&before.gan, before.config, before.training.crop_size, err);
    if (result == STATUS_USAGE) result = STATUS_FAILED; /* the file's fault, not the user's */
    if (result == STATUS_OK) result = report_difference(&before, now, log, err);
done:
    config_destroy(before.config);
    return result;
}

static status load_state(void *context, const safetensors_file *file, error *err)
{
    const resumption *r = context;
    training_loop *loop = r->loop;
    double step;
    TRY(compare_settings(r->now, file, loop->log, err));
    TRY(training_checkpoint_number(file, "step", &step, err));
    TRY(training_checkpoint_number(file, "seconds", &loop->seconds, err));
    TRY(training_checkpoint_load(file, &gan_method(r->model)->state, err));
    loop->first = (uint64_t)step;
    for (int d = 0; d < 2; d++)
        training_loader_compare(loop->loader, d, safetensors_metadata_get(file, d ? "pictures_b" : "pictures_a"),
                                loop->log);
    return STATUS_OK;
}

static status resume(gan *model, const settings *s, training_loop *loop, error *err)
{
    resumption r = {s, model, loop};
    TRY(training_restore(loop->run, load_state, &r, loop->log, err));
    log_info(loop->log, "continuing after step %llu", (unsigned long long)loop->first);
    return STATUS_OK;
}

static void describe(const settings *s, gan *model, const training_loop *loop)
{
    char arena[32], blocks[32];
    const training_options *o = &s->training;
    log_info(loop->log, "%zu %s, %zu %s; %llu steps of %lld at %lldx%lld; %zu + %zu parameters",
             training_loader_count(loop->loader, 0), o->domains[0].name, training_loader_count(loop->loader, 1),
             o->domains[1].name, (unsigned long long)training_schedule_steps(&loop->schedule),
             (long long)o->batch_size, (long long)o->crop_size, (long long)o->crop_size,
             nn_parameters_elements(gan_generators(model)), nn_parameters_elements(gan_discriminators(model)));
    log_info(loop->log, "memory: %s for a step, %s for weights, moments and pools",
             text_bytes((double)gan_arena_bytes(model), arena, sizeof arena),
             text_bytes((double)gan_parameter_bytes(model), blocks, sizeof blocks));
}

static void print_profile(const nn_profile *profile, log_sink *log)
{
    double total = 0;
    for (int op = 0; op < NN_OP_COUNT; op++) total += profile->seconds[op];
    log_info(log, "%-22s %8s %10s %6s", "operation", "calls", "seconds", "share");
    for (int op = 0; op < NN_OP_COUNT; op++)
        if (profile->calls[op])
            log_info(log, "%-22s %8llu %10.3f %5.1f%%", nn_op_name((nn_op)op), (unsigned long long)profile->calls[op],
                     profile->seconds[op], 100 * profile->seconds[op] / total);
}

static status train_model(const gan_train_request *r, const settings *s, gan *model, training_loop *loop, error *err)
{
    nn_profile profile = {0};
    if (r->resume)
        TRY(resume(model, s, loop, err));
    else if (s->gan.init_from)
        TRY(gan_start_from(model, s->gan.init_from, loop->log, err));
    text dump = {0};
    config_dump(s->config, &dump);
    status result = dump.failed ? error_no_memory(err, "the config", dump.length) : STATUS_OK;
    loop->config = text_get(&dump);
    describe(s, model, loop);
    if (r->profile) gan_set_profile(model, &profile);
    if (r->listening) *r->listening = 1;
    if (result == STATUS_OK) result = training_loop_run(loop, err);
    if (r->profile) print_profile(&profile, loop->log);
    text_free(&dump);
    if (result == STATUS_OK) log_info(loop->log, "done: %s", loop->run->checkpoints);
    return result;
}

static status with_loader(const gan_train_request *r, const settings *s, training_run *run, training_loader *loader,
                          nn_backend *backend, log_sink *log, error *err)
{
    gan *model;
    gan_size size = {(size_t)s->training.batch_size, (size_t)s->training.crop_size};
    TRY(gan_create(&s->gan, size, backend, (uint64_t)s->training.seed, NULL, &model, err));
    training_loop loop = {.options = &s->training, .loader = loader, .method = gan_method(model), .run = run,
                          .log = log, .stop = r->stop,
                          .schedule = {&s->training, training_loader_steps_per_epoch(loader)}};
    status result = train_model(r, s, model, &loop, err);
    gan_destroy(model);
    return result;
}

static status train_in(const gan_train_request *r, const settings *s, const char *folder, log_sink *log, error *err)
{
    training_run run = {.lock = -1};
    training_loader *loader = NULL;
    nn_backend *backend = NULL;
    status result;
    TRY_OR(done, training_loader_create(&s->training, &loader, err));
    TRY_OR(done, nn_cpu_create(r->threads, &backend, err));
    TRY_OR(done, training_run_open(&run, folder, r->resume, err));
    result = with_loader(r, s, &run, loader, backend, log, err);
done:
    training_run_close(&run);
    training_loader_destroy(loader);
    nn_backend_destroy(backend);
    return result;
}

status gan_train(const gan_train_request *request, log_sink *log, error *err)
{
    settings s;
    status result = read_settings(&s, request, err);
    if (result == STATUS_OK) {
        char *folder = request->out ? text_copy(request->out) : text_join_path(s.training.folder, s.training.name);
        result = folder ? train_in(request, &s, folder, log, err) : error_no_memory(err, "the run's path", 256);
        free(folder);
    }
    config_destroy(s.config);
    return result;
}

void gan_train_help(bool markdown, text *out)
{
    settings s = {0};
    settings_tables(&s);
    config_help(s.tables, 2, markdown, out);
}

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "image/folder.h"
#include "inspect/internal.h"
#include "models/format.h"
#include "training/checkpoint.h"

static bool has(const char *folder, const char *name)
{
    char *path = text_join_path(folder, name);
    bool there = path && file_exists(path);
    free(path);
    return there;
}

bool inspect_is_run(const char *path)
{
    return has(path, "checkpoints/latest.safetensors") || has(path, "checkpoints/previous.safetensors") ||
           has(path, "checkpoints/next.safetensors") || (has(path, "config.yaml") && has(path, "log.jsonl"));
}

static void add_config(const char *path, inspect_facts *facts)
{
    enum { MOST_BYTES = 1 << 20 };
    char *yaml;
    size_t size;
    training_settings settings = {0};
    error problem = {0};
    status result = file_check_readable(path, &problem);
    if (result == STATUS_OK) result = file_read_all(path, MOST_BYTES, &yaml, &size, &problem);
    if (result == STATUS_OK) {
        result = inspect_settings_read(&settings, path, yaml, &problem);
        free(yaml);
    }
    if (result == STATUS_OK) {
        inspect_settings_facts(&settings, facts);
        training_settings_free(&settings);
        return;
    }
    training_settings_free(&settings);
    inspect_value(facts, "config", inspect_json_string(problem.message), "%s", problem.message);
    facts->trouble = true;
}

/* A weights file of the run: its step, or what is wrong with it. */
static void add_weights(const char *path, const char *key, inspect_facts *facts)
{
    safetensors_file *file;
    struct stat info;
    double step = 0;
    char shown[32];
    error problem = {0};
    status result = model_file_open(path, &file, &problem);
    if (result == STATUS_OK) {
        result = training_checkpoint_number(file, "step", &step, &problem);
        safetensors_close(file);
    }
    if (result == STATUS_OK) {
        double size = stat(path, &info) == 0 ? (double)info.st_size : 0;
        inspect_value(facts, key, json_pack("{s: I, s: I}", "step", (json_int_t)step, "file_size", (json_int_t)size),
                      "step %.0f, %s", step, text_bytes(size, shown, sizeof shown));
    } else {
        inspect_value(facts, key, json_pack("{s: o}", "error", inspect_json_string(problem.message)), "%s",
                      problem.message);
        facts->trouble = true;
    }
}

static void add_losses(const json_t *line, inspect_facts *facts)
{
    const char *name;
    json_t *value, *losses = json_object_get(line, "loss");
    text shown = {0};
    json_object_foreach(losses, name, value) {
        if (json_is_number(value))
            text_format(&shown, "%s%s %.3g", shown.length ? ", " : "", name, json_number_value(value));
    }
    inspect_value(facts, "log", json_deep_copy(line), "step %lld: %s",
                  (long long)json_integer_value(json_object_get(line, "step")), text_get(&shown));
    text_free(&shown);
}

/* The last whole line of the log; a kill may have left a part of one after it. */
static void add_log(const char *path, inspect_facts *facts)
{
    enum { END = 65536 };
    char end[END + 1];
    FILE *file = file_check_readable(path, NULL) == STATUS_OK ? fopen(path, "rbe") : NULL;
    if (!file) return;
    if (fseek(file, -END, SEEK_END) != 0) rewind(file);
    size_t size = fread(end, 1, END, file);
    fclose(file);
    json_t *line = NULL;
    while (size > 0 && !line) {
        size_t stop = size; /* of the last line, its newline included */
        while (size > 0 && (size == stop || end[size - 1] != '\n')) size--;
        if (end[stop - 1] == '\n') line = json_loadb(end + size, stop - size, 0, NULL);
        if (!json_is_integer(json_object_get(line, "step"))) {
            json_decref(line);
            line = NULL;
        }
    }
    if (line) add_losses(line, facts);
    json_decref(line);
}

static void add_samples(const char *path, inspect_facts *facts)
{
    image_list list = {0};
    if (image_list_add(&list, path, NULL) == STATUS_OK) inspect_count(facts, "samples", list.count);
    image_list_free(&list);
}

status inspect_run(const char *path, const inspect_options *options, inspect_facts *facts, error *err)
{
    (void)options;
    static const char *const keys[] = {"latest", "previous", "next", "damaged", "generator_a", "generator_b"};
    enum { KEYS = sizeof keys / sizeof *keys, LATEST = 0 };
    char *names[KEYS + 3] = {text_join_path(path, "config.yaml"), text_join_path(path, "log.jsonl"),
                             text_join_path(path, "samples")};
    bool whole = names[0] && names[1] && names[2];
    for (int i = 0; i < KEYS; i++) {
        names[3 + i] = text_printf("%s/checkpoints/%s.safetensors", path, keys[i]);
        whole = whole && names[3 + i];
    }
    if (whole) {
        inspect_begin(facts, path, "run");
        add_config(names[0], facts);
        for (int i = 0; i < KEYS; i++)
            if (i == LATEST || file_exists(names[3 + i])) add_weights(names[3 + i], keys[i], facts);
        add_log(names[1], facts);
        add_samples(names[2], facts);
    }
    for (int i = 0; i < KEYS + 3; i++) free(names[i]);
    return whole ? STATUS_OK : error_no_memory(err, "a run's paths", strlen(path));
}

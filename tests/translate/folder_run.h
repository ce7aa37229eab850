/* Calls of translate_folder in a folder of the test's own. */
#ifndef TESTS_TRANSLATE_FOLDER_RUN_H
#define TESTS_TRANSLATE_FOLDER_RUN_H

#include "fixture.h"
#include "translate/folder.h"

/* One call of translate_folder: what it wrote to its log is in `lines`. */
typedef struct run {
    fixture f;
    translator *t;
    char *lines;
    translate_summary summary;
    translate_request request;
} run;

static inline run run_begin(uint64_t seed)
{
    run r = {.f = fixture_begin()};
    const char *path = fixture_path(&r.f, "model.safetensors");
    fixture_save(&r.f, path, &tiny, seed, (char *)NULL);
    if (translator_create(r.f.backend, path, NULL, &r.t, &r.f.err) != STATUS_OK)
        fprintf(stderr, "%s\n", r.f.err.message);
    return r;
}

static inline void run_end(run *r)
{
    translator_destroy(r->t);
    free(r->lines);
    fixture_end(&r->f);
}

static inline status translate_paths(run *r, const char *const *inputs, size_t count, const char *output)
{
    r->request.inputs = inputs;
    r->request.input_count = count;
    r->request.output = output;
    free(r->lines);
    r->lines = NULL;
    r->summary = (translate_summary){0};
    r->f.err = (error){0};
    FILE *stream = tmpfile();
    log_sink log = log_create(stream, false);
    status result = translate_folder(r->t, &r->request, &log, &r->summary, &r->f.err);
    long size = ftell(stream);
    rewind(stream);
    r->lines = calloc(1, (size_t)size + 1);
    if (fread(r->lines, 1, (size_t)size, stream) != (size_t)size) perror("the log");
    fclose(stream);
    return result;
}

/* `input` and `output` are below the test's folder; input_2 may be NULL. */
static inline status translate(run *r, const char *input, const char *input_2, const char *output)
{
    char folders[3][256];
    const char *inputs[] = {folders[0], folders[1]}, *names[] = {input, input_2 ? input_2 : "", output};
    for (size_t i = 0; i < 3; i++) snprintf(folders[i], sizeof folders[i], "%s/%s", r->f.folder, names[i]);
    return translate_paths(r, inputs, input_2 ? 2 : 1, folders[2]);
}

static inline bool there(run *r, const char *name) { return file_exists(fixture_path(&r->f, "%s", name)); }

static inline void check_counts(test *t, const run *r, size_t made, size_t present, size_t left, size_t failed)
{
    const translate_summary *s = &r->summary;
    if (s->made != made || s->present != present || s->left != left || s->failed != failed)
        test_failed(t, __FILE__, __LINE__, "made %zu, present %zu, left %zu, failed %zu; expected %zu %zu %zu %zu",
                    s->made, s->present, s->left, s->failed, made, present, left, failed);
}

#endif

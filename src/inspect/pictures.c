#include <stdio.h>

#include "image/folder.h"
#include "image/survey.h"
#include "inspect/internal.h"

/* Bits a channel, of a palette's colours for a PNG that has one. */
static int depth_of(const char *path, image_format format)
{
    enum { DEPTH = 24, COLOUR_TYPE = 25, PALETTE = 3 }; /* within a PNG's header chunk, which always comes first */
    unsigned char head[26];
    FILE *file = format == IMAGE_PNG ? fopen(path, "rbe") : NULL;
    size_t read = file ? fread(head, 1, sizeof head, file) : 0;
    if (file) fclose(file);
    return read == sizeof head && head[COLOUR_TYPE] != PALETTE ? head[DEPTH] : 8;
}

static json_t *size_json(size_t width, size_t height)
{
    return json_pack("[I, I]", (json_int_t)width, (json_int_t)height);
}

static void add_size(inspect_facts *facts, const char *key, size_t width, size_t height)
{
    inspect_value(facts, key, size_json(width, height), "%zux%zu", width, height);
}

status inspect_picture(const char *path, const inspect_options *options, inspect_facts *facts, error *err)
{
    image picture;
    image_limits limits = {.max_pixels = options->max_pixels};
    TRY(image_read(path, &limits, &picture, err));
    int depth = depth_of(path, picture.format);
    inspect_begin(facts, path, "picture");
    inspect_string(facts, "format", image_format_names[picture.format]);
    add_size(facts, "size", picture.width, picture.height);
    inspect_value(facts, "depth", json_integer(depth), "%d bits a channel%s", depth, depth > 8 ? ", read as 8" : "");
    inspect_value(facts, "alpha", json_boolean(picture.alpha != NULL), "%s", picture.alpha ? "yes" : "no");
    if (picture.profile)
        inspect_value(facts, "profile", json_integer((json_int_t)picture.profile_bytes), "ICC, %zu bytes",
                      picture.profile_bytes);
    if (picture.orientation)
        inspect_value(facts, "orientation", json_integer(picture.orientation), "%d%s", picture.orientation,
                      picture.orientation > 1 ? ", applied to the size above" : "");
    image_free(&picture);
    return STATUS_OK;
}

static void add_formats(const image_survey *s, inspect_facts *facts)
{
    json_t *object = json_object();
    text shown = {0};
    for (int format = IMAGE_PNG; format <= IMAGE_WEBP; format++) {
        if (s->formats[format] == 0) continue;
        text_format(&shown, "%s%zu %s", shown.length ? ", " : "", s->formats[format], image_format_names[format]);
        if (json_object_set_new(object, image_format_names[format], json_integer((json_int_t)s->formats[format])) != 0)
            facts->failed = true;
    }
    inspect_value(facts, "formats", object, "%s", text_get(&shown));
    text_free(&shown);
}

static void add_findings(const image_survey *s, const image_list *list, inspect_facts *facts)
{
    json_t *findings = json_array();
    for (size_t i = 0; i < s->finding_count; i++) {
        const image_finding *f = &s->findings[i];
        json_t *entry = json_object();
        json_t *name = inspect_json_string(list->items[f->item].relative), *detail = inspect_json_string(f->detail);
        if (json_object_set_new(entry, "finding", json_string(image_finding_names[f->kind])) != 0 ||
            json_object_set_new(entry, "picture", name) != 0 || json_object_set_new(entry, "detail", detail) != 0 ||
            json_array_append_new(findings, entry) != 0)
            facts->failed = true;
    }
    if (s->finding_count == 0) inspect_value(facts, "findings", findings, "none");
    text line = {0};
    bool first = true;
    for (int kind = 0; kind < IMAGE_FINDING_KINDS; kind++) {
        if (!image_survey_line(s, list, kind, &line)) continue;
        if (first)
            inspect_value(facts, "findings", findings, "%s", text_get(&line));
        else
            inspect_note(facts, "%s", text_get(&line));
        first = false;
    }
    text_free(&line);
}

static void add_survey(const char *path, const image_survey *s, const image_list *list, inspect_facts *facts)
{
    inspect_begin(facts, path, "folder of pictures");
    inspect_count(facts, "pictures", s->listed);
    if (s->looked_at < s->listed) inspect_count(facts, "looked_at", s->looked_at);
    if (s->readable) {
        add_formats(s, facts);
        add_size(facts, "smallest", s->smallest.width, s->smallest.height);
        add_size(facts, "median", s->median.width, s->median.height);
        add_size(facts, "largest", s->largest.width, s->largest.height);
    }
    if (s->with_alpha) inspect_count(facts, "with_alpha", s->with_alpha);
    if (s->with_profile) inspect_count(facts, "with_profile", s->with_profile);
    add_findings(s, list, facts);
    facts->trouble = s->counts[IMAGE_UNREADABLE] > 0;
}

status inspect_picture_folder(const char *path, const inspect_options *options, inspect_facts *facts, error *err)
{
    image_list list = {0};
    image_survey survey;
    TRY(image_list_add(&list, path, err));
    status result;
    if (list.count == 0) {
        result = error_set(err, STATUS_FAILED, "%s: expected pictures (.png, .jpg, .jpeg, .webp) or a run, found "
                           "neither", path);
    } else {
        image_survey_options how = {.minimum = options->minimum, .most = options->most, .stop = options->stop,
                                    .threads = (size_t)options->threads, .limits = {options->max_pixels}};
        result = image_survey_take(&list, &how, &survey, err);
    }
    if (result == STATUS_OK) {
        add_survey(path, &survey, &list, facts);
        image_survey_free(&survey);
    }
    image_list_free(&list);
    return result;
}

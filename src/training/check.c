#include "training/check.h"

#include "image/survey.h"

static status check_domain(const training_loader *loader, const training_options *o, int domain, int threads,
                           log_sink *log, double *largest, error *err)
{
    const image_list *pictures = training_loader_pictures(loader, domain);
    image_survey_options options = {.minimum = (size_t)o->crop_size, .most = (size_t)o->check,
                                    .threads = (size_t)threads,
                                    .limits = {.max_pixels = (size_t)o->max_megapixels * 1000000}};
    image_survey survey;
    TRY(image_survey_take(pictures, &options, &survey, err));
    text line = {0};
    for (int kind = 0; kind < IMAGE_FINDING_KINDS; kind++)
        if (image_survey_line(&survey, pictures, (image_finding_kind)kind, &line))
            log_warn(log, "domain %s: %s", o->domains[domain].name, text_get(&line));
    if (survey.looked_at < survey.listed)
        log_info(log, "domain %s: %zu of %zu pictures were looked at (data.check)", o->domains[domain].name,
                 survey.looked_at, survey.listed);
    double pixels = (double)survey.largest.width * (double)survey.largest.height;
    if (pixels > *largest) *largest = pixels;
    bool failed = line.failed;
    text_free(&line);
    image_survey_free(&survey);
    return failed ? error_no_memory(err, "what was found in the pictures", line.length) : STATUS_OK;
}

status training_check_pictures(const training_loader *loader, const training_options *o, int threads, log_sink *log,
                               double *largest, error *err)
{
    *largest = 0;
    for (int domain = 0; domain < 2 && o->check > 0; domain++)
        TRY(check_domain(loader, o, domain, threads, log, largest, err));
    if (*largest <= 0) *largest = (double)o->load_size * (double)o->load_size;
    return STATUS_OK;
}

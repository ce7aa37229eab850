#include "training/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

/* The number behind `key` on a line of its own ("MemAvailable:   123 kB"), or at the beginning for "". 0: none. */
static double read_number(const char *path, const char *key)
{
    FILE *file = fopen(path, "re");
    char line[256];
    double found = 0;
    while (file && found == 0 && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0) found = strtod(line + strlen(key), NULL);
    if (file) fclose(file);
    return found > 0 ? found : 0;
}

double training_memory_available(void)
{
    double there = 1024 * read_number("/proc/meminfo", "MemAvailable:");
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (there <= 0 && pages > 0 && page > 0) there = (double)pages * (double)page;
    /* Version 2 and 1; "max" is no number. */
    static const char *const limits[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        double limit = read_number(limits[i], "");
        if (limit > 0 && limit < there) there = limit;
    }
    return there;
}

status training_memory_check(double need, error *err)
{
    char need_text[32], there_text[32];
    double there = training_memory_available();
    if (there <= 0 || need <= there) return STATUS_OK;
    return error_set(err, STATUS_NO_MEMORY, "this training needs %s of memory, %s are available; lower data.crop_size, "
                     "train.batch_size, model.ngf, train.pool_size or data.cache_mb",
                     text_bytes(need, need_text, sizeof need_text), text_bytes(there, there_text, sizeof there_text));
}

#include "base/memory.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

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

static double at_most_the_group(double there)
{
    /* Version 2 and 1; "max" is no number. */
    static const char *const limits[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        double limit = read_number(limits[i], "");
        if (limit > 0 && limit < there) there = limit;
    }
    return there;
}

static double physical(void)
{
    double pages = (double)sysconf(_SC_PHYS_PAGES), page = (double)sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? pages * page : 0;
}

double memory_total(void) { return at_most_the_group(physical()); }

double memory_available(void)
{
    double there = 1024 * read_number("/proc/meminfo", "MemAvailable:");
    there = at_most_the_group(there > 0 ? there : physical());
    struct rlimit own;
    if (getrlimit(RLIMIT_AS, &own) == 0 && own.rlim_cur != RLIM_INFINITY) {
        double page = (double)sysconf(_SC_PAGESIZE);
        double left = (double)own.rlim_cur - page * read_number("/proc/self/statm", "");
        if (left < there) there = left > 1 ? left : 1; /* 0 would mean unknown */
    }
    return there;
}

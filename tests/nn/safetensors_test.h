/* A folder of a test's own. */
#ifndef TESTS_NN_SAFETENSORS_TEST_H
#define TESTS_NN_SAFETENSORS_TEST_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct place {
    char folder[64], path[96];
} place;

static inline place make_place(void)
{
    place p = {.folder = "/tmp/test_safetensors.XXXXXX"};
    if (!mkdtemp(p.folder)) p.folder[0] = '\0';
    snprintf(p.path, sizeof p.path, "%s/model.safetensors", p.folder);
    return p;
}

static inline int count_files(const char *folder)
{
    int count = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (d) closedir(d);
    return count;
}

static inline void remove_place(const place *p)
{
    unlink(p->path);
    rmdir(p->folder);
}

#endif

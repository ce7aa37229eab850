/* The files under tests/fuzz/seeds/TARGET and tests/fuzz/found/TARGET, each given to its target whole, and cut short
 * at every length up to a limit. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "fuzz/targets.h"

#include <dirent.h>

#include "test.h"

enum { LARGEST = 1 << 20, CUTS = 300 };

static void replay_file(test *t, const fuzz_target *target, const char *path)
{
    char *bytes;
    size_t size;
    error err = {0};
    REQUIRE_OK(t, file_read_all(path, LARGEST, &bytes, &size, &err), err);
    target->run((const uint8_t *)bytes, size);
    /* Cuts in memory of the exact size, so that the address sanitizer sees a read past the end. */
    for (size_t cut = 0; cut < size && cut < CUTS; cut++) {
        uint8_t *part = malloc(cut + 1);
        memcpy(part, bytes, cut);
        part = realloc(part, cut ? cut : 1);
        target->run(part, cut);
        free(part);
    }
    free(bytes);
}

static size_t replay_folder(test *t, const fuzz_target *target, const char *kind)
{
    char folder[128], path[512];
    size_t count = 0;
    snprintf(folder, sizeof folder, "tests/fuzz/%s/%s", kind, target->name);
    DIR *entries = opendir(folder);
    for (struct dirent *e; entries && (e = readdir(entries)) != NULL;) {
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%.255s", folder, e->d_name);
        replay_file(t, target, path);
        count++;
    }
    if (entries) closedir(entries);
    return count;
}

static void replay(test *t, const char *name)
{
    const fuzz_target *target = fuzz_find(name);
    REQUIRE(t, target);
    CHECK(t, replay_folder(t, target, "seeds") > 0);
    replay_folder(t, target, "found");
}

static void pictures(test *t) { replay(t, "image"); }
static void orientations(test *t) { replay(t, "exif"); }
static void weights(test *t) { replay(t, "safetensors"); }
static void configs(test *t) { replay(t, "config"); }
static void manifests(test *t) { replay(t, "manifest"); }

TEST_MAIN(TEST(pictures), TEST(orientations), TEST(weights), TEST(configs), TEST(manifests))

#include "translate/row_map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

static const char *folder(void)
{
    const char *chosen = getenv("TMPDIR");
    return chosen && *chosen ? chosen : "/var/tmp"; /* /tmp may be memory */
}

static status say(const char *what, int number, error *err)
{
    return error_set(err, STATUS_FAILED, "%s: cannot %s a temporary file: %s", folder(), what, strerror(number));
}

static status create_file(row_map *map, size_t bytes, error *err)
{
    char *path = text_printf("%s/cyclegan.XXXXXX", folder());
    if (!path) return error_no_memory(err, "a temporary file's name", 0);
    map->file = mkstemp(path);
    int number = errno;
    map->in_file = map->file >= 0;
    if (map->in_file) unlink(path);
    free(path);
    if (!map->in_file) return say("create", number, err);
    number = posix_fallocate(map->file, 0, (off_t)bytes); /* a full disk shows now, and not after an hour */
    return number == 0 ? STATUS_OK : say("fill", number, err);
}

status row_map_create(row_map *map, size_t rows, size_t floats, bool in_file, error *err)
{
    *map = (row_map){.rows = rows, .floats = floats};
    if (rows > SIZE_MAX / 2 / sizeof(float) / floats) return error_no_memory(err, "a layer's values", SIZE_MAX);
    size_t bytes = rows * floats * sizeof(float);
    if (in_file) {
        status result = create_file(map, bytes, err);
        if (result != STATUS_OK) row_map_free(map);
        return result;
    }
    map->memory = malloc(bytes);
    return map->memory ? STATUS_OK : error_no_memory(err, "a layer's values", bytes);
}

void row_map_free(row_map *map)
{
    free(map->memory);
    if (map->in_file) close(map->file);
    *map = (row_map){0};
}

/* pread or pwrite until all is done. */
static status transfer(const row_map *map, size_t first, size_t count, char *to, const char *from, error *err)
{
    size_t done = 0, bytes = count * map->floats * sizeof(float), begin = first * map->floats * sizeof(float);
    while (done < bytes) {
        off_t place = (off_t)(begin + done);
        ssize_t now = to ? pread(map->file, to + done, bytes - done, place)
                         : pwrite(map->file, from + done, bytes - done, place);
        if (now < 0 && errno == EINTR) continue;
        if (now <= 0) return say(to ? "read" : "write", now < 0 ? errno : EIO, err);
        done += (size_t)now;
    }
    return STATUS_OK;
}

status row_map_write(row_map *map, size_t first, size_t count, const float *from, error *err)
{
    if (!map->memory) return transfer(map, first, count, NULL, (const char *)from, err);
    memcpy(map->memory + first * map->floats, from, count * map->floats * sizeof *from);
    return STATUS_OK;
}

status row_map_read(const row_map *map, size_t first, size_t count, float *buffer, const float **out, error *err)
{
    *out = map->memory ? map->memory + first * map->floats : buffer;
    return map->memory ? STATUS_OK : transfer(map, first, count, (char *)buffer, NULL, err);
}

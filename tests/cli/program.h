/* Where the tests of the program itself find it: $CYCLEGAN, else build/cyclegan. */
#ifndef TESTS_CLI_PROGRAM_H
#define TESTS_CLI_PROGRAM_H

#include <stdlib.h>
#include <unistd.h>

#include "test.h"

static inline const char *program(void)
{
    const char *path = getenv("CYCLEGAN");
    return path ? path : "build/cyclegan";
}

#define NEED_PROGRAM(t)                                                                                               \
    do {                                                                                                              \
        if (access(program(), X_OK) != 0) SKIP(t, "the program is not built");                                        \
    } while (0)

#endif

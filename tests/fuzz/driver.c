/* libFuzzer's entry points; $FUZZ_TARGET names the target. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "fuzz/targets.h"

static const fuzz_target *target;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    target = fuzz_find(getenv("FUZZ_TARGET"));
    if (target) return 0;
    fprintf(stderr, "FUZZ_TARGET must name a target:");
    for (size_t i = 0; i < FUZZ_TARGETS; i++) fprintf(stderr, " %s", fuzz_targets[i].name);
    fprintf(stderr, "\n");
    exit(2);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    target->run(bytes, size);
    return 0;
}

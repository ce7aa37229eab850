#include "training/memory.h"

#include "base/memory.h"
#include "base/text.h"

status training_memory_check(double need, const char *lower, error *err)
{
    char need_text[32], there_text[32];
    double there = memory_available();
    if (there <= 0 || need <= there) return STATUS_OK;
    return error_set(err, STATUS_NO_MEMORY, "this training needs %s of memory, %s are available; lower %s",
                     text_bytes(need, need_text, sizeof need_text), text_bytes(there, there_text, sizeof there_text),
                     lower);
}

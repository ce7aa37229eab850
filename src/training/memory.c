#include "training/memory.h"

#include "base/memory.h"
#include "base/text.h"

status training_memory_check(double need, error *err)
{
    char need_text[32], there_text[32];
    double there = memory_available();
    if (there <= 0 || need <= there) return STATUS_OK;
    return error_set(err, STATUS_NO_MEMORY, "this training needs %s of memory, %s are available; lower data.crop_size, "
                     "train.batch_size, model.ngf, train.pool_size or data.cache_mb",
                     text_bytes(need, need_text, sizeof need_text), text_bytes(there, there_text, sizeof there_text));
}

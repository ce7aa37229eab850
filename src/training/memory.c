#include "training/memory.h"

#include "base/memory.h"
#include "base/text.h"

static status check(double need, double there, const char *whose, const char *lower, error *err)
{
    char need_text[32], there_text[32];
    if (there <= 0 || need <= there) return STATUS_OK;
    return error_set(err, STATUS_NO_MEMORY, "this training needs %s of %smemory, %s are available; lower %s",
                     text_bytes(need, need_text, sizeof need_text), whose,
                     text_bytes(there, there_text, sizeof there_text), lower);
}

status training_memory_check(nn_backend *backend, double need, double others, const char *lower, error *err)
{
    double device = nn_backend_available(backend);
    if (device < 0) return check(need + others, memory_available(), "", lower, err);
    TRY(check(need, device, "the device's ", lower, err));
    return check(others, memory_available(), "", lower, err);
}

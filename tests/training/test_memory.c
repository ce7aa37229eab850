#include "training/memory.h"

#include "base/memory.h"
#include "test.h"

static void a_shortage_is_told(test *t)
{
    error err = {0};
    double there = memory_available();
    CHECK(t, there > 1e6 && there < 1e15);
    CHECK(t, training_memory_check(1000, "", &err) == STATUS_OK);
    CHECK(t, training_memory_check(there * 1.5 + 1e9, "data.crop_size or data.cache_mb", &err) == STATUS_NO_MEMORY);
    CHECK_CONTAINS(t, err.message, " are available; lower data.crop_size or data.cache_mb");
}

TEST_MAIN(TEST(a_shortage_is_told))

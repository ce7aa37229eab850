#include "training/memory.h"

#include "base/memory.h"
#include "test.h"

static double four_gigabytes(nn_backend *backend)
{
    (void)backend;
    return 4e9;
}

static void a_shortage_is_told(test *t)
{
    error err = {0};
    double there = memory_available();
    CHECK(t, there > 1e6 && there < 1e15);
    nn_backend_interface shares = {0}, owns = {.available = four_gigabytes};
    nn_backend cpu = {.interface = &shares}, device = {.interface = &owns};
    CHECK(t, training_memory_check(&cpu, 500, 500, "", &err) == STATUS_OK);
    CHECK(t, training_memory_check(&cpu, 1e9, there * 1.5, "data.crop_size or data.cache_mb", &err) == STATUS_NO_MEMORY);
    CHECK_CONTAINS(t, err.message, " are available; lower data.crop_size or data.cache_mb");
    CHECK(t, training_memory_check(&device, 3e9, 500, "", &err) == STATUS_OK);
    CHECK(t, training_memory_check(&device, 5e9, 500, "model.ngf", &err) == STATUS_NO_MEMORY);
    CHECK_CONTAINS(t, err.message, "of the device's memory");
    CHECK(t, training_memory_check(&device, 3e9, there * 1.5 + 1e9, "model.ngf", &err) == STATUS_NO_MEMORY);
}

TEST_MAIN(TEST(a_shortage_is_told))

/* The module as the program opens it: found beside the executable, opened, its device named, memory there and back.
 * Linked as the program is, with -rdynamic, and with no part of the backend inside. */
#include "base/rng.h"
#include "nn/backend.h"
#include "test.h"

static void opens_and_keeps_memory(test *t)
{
    enum { COUNT = 100003 };
    error err = {0};
    nn_backend *backend;
    REQUIRE_OK(t, nn_cuda_create(&(nn_cuda_options){0}, &backend, &err), err);
    printf("%s\n", backend->device_name);
    float *host = malloc(2 * COUNT * sizeof *host), *back = host + COUNT;
    for (uint32_t i = 0; i < COUNT; i++) host[i] = rng_uniform(3, RNG_TEST, 0, i);
    void *device = backend->interface->allocate(backend, COUNT * sizeof *host);
    REQUIRE(t, device);
    backend->interface->write(backend, device, host, COUNT * sizeof *host);
    backend->interface->read(backend, back, device, COUNT * sizeof *host);
    CHECK(t, memcmp(host, back, COUNT * sizeof *host) == 0);
    backend->interface->release(backend, device);
    REQUIRE_OK(t, nn_backend_check(backend, &err), err);
    nn_backend_destroy(backend);
    free(host);
}

static void refuses_a_device_that_is_not_there(test *t)
{
    error err = {0};
    nn_backend *backend;
    CHECK(t, nn_cuda_create(&(nn_cuda_options){.device = 1000}, &backend, &err) != STATUS_OK);
    CHECK_CONTAINS(t, err.message, "CUDA device 1000");
}

TEST_MAIN(TEST(opens_and_keeps_memory), TEST(refuses_a_device_that_is_not_there))

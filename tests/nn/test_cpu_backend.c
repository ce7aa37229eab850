/* The CPU backend: memory, transfers, a kernel for every operation. */
#include <stdint.h>

#include "nn/backend.h"
#include "test.h"

static void serves_every_operation(test *t)
{
    error err = {0};
    nn_backend *backend;
    REQUIRE_OK(t, nn_cpu_create(0, &backend, &err), err);
    CHECK(t, backend->threads >= 1);
    CHECK_TEXT(t, backend->interface->name, "cpu");
    for (nn_op op = 0; op < NN_OP_COUNT; op++) {
        const nn_kernel *kernel = backend->interface->kernel(backend, op);
        if (!kernel || (!kernel->run && !kernel->prepare)) test_failed(t, __FILE__, __LINE__, "no kernel for operation %d", (int)op);
    }
    CHECK(t, backend->interface->kernel(backend, NN_OP_COUNT) == NULL);
    CHECK(t, backend->interface->layout_bytes(backend, NN_LAYOUT_PLAIN, nn_shape_of(2, 3, 5, 7)) == 840);
    nn_backend_destroy(backend);
}

static void moves_memory(test *t)
{
    error err = {0};
    nn_backend *backend;
    REQUIRE_OK(t, nn_cpu_create(1, &backend, &err), err);
    CHECK(t, backend->threads == 1);
    static const size_t sizes[] = {0, 4, 63, 64, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *memory = backend->interface->allocate(backend, sizes[i]);
        CHECK(t, memory != NULL && (uintptr_t)memory % 64 == 0);
        backend->interface->release(backend, memory);
    }
    CHECK(t, backend->interface->allocate(backend, SIZE_MAX - 3) == NULL);

    float values[3] = {1, -2, 3}, back[3] = {0};
    float *memory = backend->interface->allocate(backend, sizeof values);
    if (memory) {
        backend->interface->write(backend, memory, values, sizeof values);
        backend->interface->clear(backend, memory + 1, sizeof *memory);
        backend->interface->synchronise(backend);
        backend->interface->read(backend, back, memory, sizeof values);
        CHECK(t, back[0] == 1 && back[1] == 0 && back[2] == 3);
    }
    backend->interface->release(backend, memory);
    nn_backend_destroy(backend);
}

static void refuses_negative_threads(test *t)
{
    error err = {0};
    nn_backend *backend;
    CHECK(t, nn_cpu_create(-2, &backend, &err) == STATUS_USAGE);
    CHECK(t, backend == NULL);
    CHECK_CONTAINS(t, err.message, "found -2");
}

TEST_MAIN(TEST(serves_every_operation), TEST(moves_memory), TEST(refuses_negative_threads))

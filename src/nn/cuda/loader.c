/* Opens the CUDA backend's module when there is a driver. Nothing of the CUDA Toolkit is named here. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "nn/cuda/module.h"

#define MODULE "cyclegan-cuda.so"

/* The folder of this program, "" when it cannot be told. */
static void program_folder(char *folder, size_t bytes)
{
    ssize_t length = readlink("/proc/self/exe", folder, bytes - 1);
    folder[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash) *slash = '\0';
}

/* Beside the program, as it is built; or where `make install` puts it. */
static void *open_module(error *err)
{
    static const char *const places[] = {"%s/" MODULE, "%s/../lib/cyclegan/" MODULE};
    char folder[4096];
    program_folder(folder, sizeof folder);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char *path = text_printf(places[i], folder);
        if (!path) {
            error_no_memory(err, "a path", sizeof folder);
            return NULL;
        }
        bool there = access(path, R_OK) == 0;
        void *module = there ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
        free(path);
        if (module) return module;
        if (there) {
            error_set(err, STATUS_FAILED, "the CUDA backend does not open: %s", dlerror());
            return NULL;
        }
    }
    error_set(err, STATUS_FAILED,
              "this program was built without the CUDA backend (%s); `make` builds it where nvcc is found", MODULE);
    return NULL;
}

/* The driver is asked for first, and by itself: without one the module would load hundreds of megabytes for nothing. */
bool nn_cuda_has_driver(void)
{
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (driver) dlclose(driver);
    return driver != NULL;
}

status nn_cuda_create(const nn_cuda_options *options, nn_backend **out, error *err)
{
    *out = NULL;
    if (!nn_cuda_has_driver())
        return error_set(err, STATUS_FAILED, "no CUDA device: no NVIDIA driver (libcuda.so.1) is installed");
    void *module = open_module(err);
    if (!module) return STATUS_FAILED;
    nn_cuda_module *create;
    void *symbol = dlsym(module, "nn_cuda_module_create");
    memcpy(&create, &symbol, sizeof create); /* an object pointer is no function pointer to C */
    status result = create ? create(options, out, err)
                           : error_set(err, STATUS_FAILED, "the CUDA backend has no nn_cuda_module_create");
    if (result != STATUS_OK) dlclose(module); /* else it stays open as long as the program runs */
    return result;
}

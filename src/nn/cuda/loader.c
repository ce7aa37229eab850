/* Opens the CUDA backend's module when there is a driver. Nothing of the CUDA Toolkit is named here. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "nn/cuda/module.h"

#define MODULE "cyclegan-cuda.so"
#define DRIVER "libcuda.so.1"

/* The folder of this program, "" when it cannot be told. */
static void program_folder(char *folder, size_t bytes)
{
    ssize_t length = readlink("/proc/self/exe", folder, bytes - 1);
    folder[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash) *slash = '\0';
}

/* Beside the program, as it is built; or where `make install` puts it. The caller frees; NULL: there is none. */
static char *find_module(error *err)
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
        if (access(path, R_OK) == 0) return path;
        free(path);
    }
    error_set(err, STATUS_FAILED,
              "this program was built without the CUDA backend (%s); `make` builds it where nvcc is found", MODULE);
    return NULL;
}

/* *function: a pointer to one, which is no object's to C. */
static bool find_function(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

static void *open_driver(void) { return dlopen(DRIVER, RTLD_LAZY | RTLD_LOCAL); }

/* The runtime says of nearly all that goes wrong here that the driver is too old. */
static status start_driver(void *driver, error *err)
{
    int (*start)(unsigned flags), (*tell[2])(int code, const char **said);
    if (!find_function(driver, "cuInit", &start))
        return error_set(err, STATUS_FAILED, "no CUDA device: the NVIDIA driver is damaged: %s", dlerror());
    int code = start(0);
    if (code == 0) return STATUS_OK;
    static const char *const names[] = {"cuGetErrorName", "cuGetErrorString"};
    const char *said[2] = {NULL, NULL};
    for (size_t i = 0; i < 2; i++)
        if (find_function(driver, names[i], &tell[i])) tell[i](code, &said[i]);
    return error_set(err, STATUS_FAILED, "no CUDA device: cuInit: error %d%s%s%s%s", code, said[0] ? ", " : "",
                     said[0] ? said[0] : "", said[1] ? ": " : "", said[1] ? said[1] : "");
}

bool nn_cuda_has_driver(void)
{
    void *driver = open_driver();
    if (driver) dlclose(driver);
    return driver != NULL;
}

static status create_with(const char *path, const nn_cuda_options *options, nn_backend **out, error *err)
{
    nn_cuda_module *create;
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module) return error_set(err, STATUS_FAILED, "the CUDA backend does not open: %s", dlerror());
    status result = find_function(module, "nn_cuda_module_create", &create)
                        ? create(options, out, err)
                        : error_set(err, STATUS_FAILED, "the CUDA backend has no nn_cuda_module_create");
    if (result != STATUS_OK) dlclose(module); /* else it stays open as long as the program runs */
    return result;
}

/* The driver is asked for first, and by itself: without one the module would load hundreds of megabytes for nothing. It is
 * started, which may take a second, when there is a module to use it; once started it stays open. */
status nn_cuda_create(const nn_cuda_options *options, nn_backend **out, error *err)
{
    *out = NULL;
    void *driver = open_driver();
    if (!driver) return error_set(err, STATUS_FAILED, "no CUDA device: the NVIDIA driver does not open: %s", dlerror());
    char *path = find_module(err);
    if (!path) {
        dlclose(driver);
        return STATUS_FAILED;
    }
    status result = start_driver(driver, err);
    if (result == STATUS_OK) result = create_with(path, options, out, err);
    free(path);
    return result;
}

#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#include "inspect/plan.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "nn/program.h"

struct inspect_planner {
    nn_backend *backend;
    const nn_backend_interface *own;
    nn_backend_interface planning; /* own, but for memory */
};

/* Before what is handed out, a cache line with its size, the only byte of it that is ever touched. */
enum { HEAD = 64 };

static void *reserve(nn_backend *backend, size_t bytes)
{
    (void)backend;
    if (bytes > SIZE_MAX - HEAD) return NULL;
    size_t whole = bytes + HEAD;
    char *memory = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    memcpy(memory, &whole, sizeof whole);
    return memory + HEAD;
}

static void give_back(nn_backend *backend, void *memory)
{
    (void)backend;
    size_t whole;
    char *begin = (char *)memory - HEAD;
    memcpy(&whole, begin, sizeof whole);
    munmap(begin, whole);
}

static void keep_nothing(nn_backend *backend, void *device, const void *host, size_t bytes)
{
    (void)backend, (void)device, (void)host, (void)bytes;
}

static void read_zeros(nn_backend *backend, void *host, const void *device, size_t bytes)
{
    (void)backend, (void)device;
    memset(host, 0, bytes);
}

static void is_clear(nn_backend *backend, void *device, size_t bytes) { (void)backend, (void)device, (void)bytes; }

status inspect_planner_create(int threads, inspect_planner **out, error *err)
{
    *out = NULL;
    inspect_planner *p = calloc(1, sizeof *p);
    if (!p) return error_no_memory(err, "a plan", sizeof *p);
    status result = nn_cpu_create(threads, &p->backend, err);
    if (result != STATUS_OK) {
        free(p);
        return result;
    }
    p->own = p->backend->interface;
    p->planning = *p->own;
    p->planning.name = "plan"; /* whoever checks that memory is there does so for "cpu" */
    p->planning.allocate = reserve;
    p->planning.release = give_back;
    p->planning.write = keep_nothing;
    p->planning.read = read_zeros;
    p->planning.clear = is_clear;
    p->backend->interface = &p->planning;
    *out = p;
    return STATUS_OK;
}

void inspect_planner_destroy(inspect_planner *p)
{
    if (!p) return;
    p->backend->interface = p->own;
    nn_backend_destroy(p->backend);
    free(p);
}

nn_backend *inspect_planner_backend(inspect_planner *p) { return p->backend; }

/* bytes: of the program and the weights. */
static status plan_graph(inspect_planner *p, const nn_graph *graph, nn_parameters *set, double *bytes, error *err)
{
    nn_program *program;
    TRY(nn_graph_status(graph, err));
    TRY(nn_parameters_allocate(set, p->backend, 0, err));
    TRY(nn_program_create(graph, p->backend, NULL, &program, err));
    *bytes = (double)nn_program_bytes(program) + (double)set->total * sizeof(float);
    nn_program_destroy(program);
    return STATUS_OK;
}

status inspect_plan_translation(inspect_planner *p, const model_generator_options *generator, size_t side,
                                double *bytes, error *err)
{
    /* As translate has it: 3 floats a pixel; the picture, the padded one, the result. */
    const double pictures = (double)side * (double)side * 3 * (sizeof(float) + 3);
    nn_graph *graph = nn_graph_create();
    nn_parameters *set = nn_parameters_create();
    status result = graph && set ? STATUS_OK : error_no_memory(err, "a generator", 4096);
    if (result == STATUS_OK) {
        nn_value x = nn_input(graph, "picture", nn_shape_of(1, side, side, generator->in_channels));
        nn_output(graph, model_generator_build(graph, set, "", generator, x, NULL));
        result = plan_graph(p, graph, set, bytes, err);
        *bytes += pictures;
    }
    nn_graph_destroy(graph);
    nn_parameters_destroy(set);
    return result;
}

status inspect_plan_training(inspect_planner *p, const training_settings *s, training_footprint *out, error *err)
{
    log_sink silent = {.quiet = true}; /* warnings are of pictures, of which there are none */
    training_options training = s->training;
    /* A run of another machine is told of as well as this one can plan it. */
    if (nn_precision_check(p->backend, (nn_precision)training.precision, NULL) != STATUS_OK)
        training.precision = NN_FP32;
    const training_setup setup = {.options = s->options, .training = &training, .backend = p->backend, .log = &silent};
    void *model;
    TRY(s->trainer->create(&setup, &model, err));
    s->trainer->measure(model, out);
    s->trainer->destroy(model);
    return STATUS_OK;
}

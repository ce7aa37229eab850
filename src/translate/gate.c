#include "translate/gate.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/memory.h"

struct memory_gate {
    double most; /* pixels of a picture that is not big; 0: none is */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t released; /* numbers below are done */
    uint64_t after;    /* none below may remain when this or a later one is read: one after the last big one */
    bool open;
};

status memory_gate_create(double max_memory, double bytes_beside, memory_gate **out, error *err)
{
    *out = NULL;
    memory_gate *gate = calloc(1, sizeof *gate);
    if (!gate) return error_no_memory(err, "reading pictures", sizeof *gate);
    gate->most = (max_memory > 0 ? max_memory : memory_total() / 2) / 8 / bytes_beside;
    pthread_mutex_init(&gate->mutex, NULL);
    pthread_cond_init(&gate->changed, NULL);
    *out = gate;
    return STATUS_OK;
}

void memory_gate_destroy(memory_gate *gate)
{
    if (!gate) return;
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->mutex);
    free(gate);
}

bool memory_gate_is_big(const memory_gate *gate, size_t width, size_t height)
{
    return gate->most > 0 && (double)width * (double)height > gate->most;
}

/* With the mutex locked: until numbers below `number` are done. */
static void wait_for(memory_gate *gate, uint64_t number)
{
    while (!gate->open && gate->released < number) pthread_cond_wait(&gate->changed, &gate->mutex);
}

memory_gate_reading memory_gate_next(memory_gate *gate, uint64_t number)
{
    pthread_mutex_lock(&gate->mutex);
    /* One that was begun before a big one, and comes here after it, must not wait for it: it waits for this one. */
    if (number >= gate->after) wait_for(gate, gate->after);
    pthread_mutex_unlock(&gate->mutex);
    return (memory_gate_reading){gate, number};
}

void memory_gate_admit(void *context, size_t width, size_t height)
{
    const memory_gate_reading *reading = context;
    memory_gate *gate = reading->gate;
    if (!memory_gate_is_big(gate, width, height)) return;
    pthread_mutex_lock(&gate->mutex);
    if (gate->after <= reading->number) gate->after = reading->number + 1;
    wait_for(gate, reading->number);
    pthread_mutex_unlock(&gate->mutex);
}

void memory_gate_release(memory_gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->released++;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

void memory_gate_open(memory_gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

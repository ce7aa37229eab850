/* Keeps pictures that take much memory from being in it at the same time: reading one waits until all before it are
 * done, and reading the next waits until it is done.
 *
 *     memory_gate *gate;
 *     TRY(memory_gate_create(max_memory, 23, &gate, err));
 *     memory_gate_reading reading = memory_gate_next(gate, i);   a reading thread, before it reads number i
 *     image_limits limits = {.admit = memory_gate_admit, .context = &reading};  and while it does
 *     memory_gate_release(gate);                        the using thread, when numbers 0, 1, ... are done, in order
 *     memory_gate_open(gate);                           nothing waits from now on
 *     memory_gate_destroy(gate);
 */
#ifndef TRANSLATE_GATE_H
#define TRANSLATE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct memory_gate memory_gate;

typedef struct memory_gate_reading {
    memory_gate *gate;
    uint64_t number;
} memory_gate_reading;

/* max_memory: as in translator_limits, of which an eighth is for the pictures beside the one that is translated.
 * bytes_beside: for each pixel, of all those when they are of one size. */
status memory_gate_create(double max_memory, double bytes_beside, memory_gate **out, error *err);
void memory_gate_destroy(memory_gate *gate); /* accepts NULL */
/* Whether pictures of this size would take more than that. */
bool memory_gate_is_big(const memory_gate *gate, size_t width, size_t height);
/* Numbers are begun in order, by one thread or several. Of several each may have one picture in its hands that is not
 * big when a big one comes. */
memory_gate_reading memory_gate_next(memory_gate *gate, uint64_t number);
void memory_gate_admit(void *reading, size_t width, size_t height);
void memory_gate_release(memory_gate *gate);
void memory_gate_open(memory_gate *gate);

#endif

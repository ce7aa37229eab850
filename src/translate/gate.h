/* Keeps pictures that take much memory from being in it at the same time: reading one waits until all before it are
 * done, and reading the next waits until it is done.
 *
 *     memory_gate *gate;
 *     TRY(memory_gate_create(max_memory, &gate, err));
 *     memory_gate_next(gate, i);                        the reading thread, before it reads number i
 *     image_limits limits = {.admit = memory_gate_admit, .context = gate};      and while it does
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

/* max_memory: as in translator_limits, of which an eighth is for the pictures beside the one that is translated. */
status memory_gate_create(double max_memory, memory_gate **out, error *err);
void memory_gate_destroy(memory_gate *gate); /* accepts NULL */
/* Whether a picture, read while one is translated and written while another one is, would take more than that. */
bool memory_gate_is_big(const memory_gate *gate, size_t width, size_t height);
void memory_gate_next(memory_gate *gate, uint64_t number);
void memory_gate_admit(void *gate, size_t width, size_t height);
void memory_gate_release(memory_gate *gate);
void memory_gate_open(memory_gate *gate);

#endif

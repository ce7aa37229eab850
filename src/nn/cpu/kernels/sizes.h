/* Arithmetic of sizes that the kernels share. */
#ifndef NN_CPU_KERNELS_SIZES_H
#define NN_CPU_KERNELS_SIZES_H

#include <stddef.h>

static inline size_t cpu_least(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t cpu_divide_up(size_t a, size_t b) { return (a + b - 1) / b; }
/* To a whole number of b. */
static inline size_t cpu_round_up(size_t a, size_t b) { return cpu_divide_up(a, b) * b; }

#endif

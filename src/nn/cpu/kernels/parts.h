/* Long sums in parts of a fixed size, added in order: the same bits for any number of threads. */
#ifndef NN_CPU_KERNELS_PARTS_H
#define NN_CPU_KERNELS_PARTS_H

#include <stddef.h>

enum { CPU_PART = 4096 };

static inline size_t cpu_parts(size_t count) { return (count + CPU_PART - 1) / CPU_PART; }

static inline size_t cpu_part_end(size_t part, size_t count)
{
    size_t end = (part + 1) * CPU_PART;
    return end < count ? end : count;
}

static inline double cpu_parts_sum(const double *partial, size_t parts)
{
    double sum = 0;
    for (size_t i = 0; i < parts; i++) sum += partial[i];
    return sum;
}

#endif

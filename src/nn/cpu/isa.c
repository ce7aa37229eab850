/* Which of the kernel tables this machine can run. */
#include "nn/cpu/cpu.h"

enum { LEVELS = 3 };

const cpu_kernel_table *cpu_kernels_supported(size_t level)
{
    const cpu_kernel_table *tables[LEVELS + 1] = {&cpu_kernels_base};
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
              __builtin_cpu_supports("bmi2");
    bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512vl");
    if (v3) tables[1] = &cpu_kernels_v3;
    if (v4) tables[2] = &cpu_kernels_v4;
#endif
    return level <= LEVELS ? tables[level] : NULL;
}

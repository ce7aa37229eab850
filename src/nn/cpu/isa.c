/* Which of the kernel tables this machine can run. */
#define _GNU_SOURCE /* syscall */
#include "nn/cpu/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* winograd*.c once more, with AVX512-BF16, and conv_tiles*.c, with AMX (Makefile). */
extern const nn_kernel cpu_winograd_bf16, cpu_winograd_data_grad_bf16, cpu_winograd_weight_grad_bf16;
static const cpu_kernel_table bf16 = {.winograd = {[NN_CONV2D] = &cpu_winograd_bf16,
                                                   [NN_CONV2D_DATA_GRAD] = &cpu_winograd_data_grad_bf16,
                                                   [NN_CONV2D_WEIGHT_GRAD] = &cpu_winograd_weight_grad_bf16}};
extern const cpu_kernel_table cpu_kernels_amx;
#endif

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

const cpu_kernel_table *cpu_kernels_bf16(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (cpu_kernels_supported(2) == &cpu_kernels_v4 && __builtin_cpu_supports("avx512bf16")) return &bf16;
#endif
    return NULL;
}

#if defined(__x86_64__)

/* Of asm/prctl.h, which lacks the first before Linux 5.16, and the second in all versions. */
enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };

/* CPUID leaf 7: AMX-BF16 is bit 22 of edx, AMX-TILE bit 24. */
static bool has_tiles(void)
{
    unsigned a, b, c, d;
    const unsigned tiles = 1U << 22 | 1U << 24;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & tiles) == tiles;
}

#endif

const cpu_kernel_table *cpu_kernels_tiles(void)
{
#if defined(__x86_64__)
    /* The system saves the tiles' 8 KiB for a process that asks; whether it can is its answer. */
    if (cpu_kernels_bf16() && has_tiles() && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0)
        return &cpu_kernels_amx;
#endif
    return NULL;
}

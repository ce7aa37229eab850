/* src/nn/cuda/tensor_group.h on the host. A product is computed when it is started or when it is waited for, by the dice. */
#ifndef EMULATED_TENSOR_GROUP_H
#define EMULATED_TENSOR_GROUP_H

#include "cuda_bf16.h"

struct tensor_matrix {
    tensor_address first;
    unsigned along_k, along_rows;
};

static inline tensor_matrix tensor_matrix_at(tensor_address first, unsigned along_k, unsigned along_rows)
{
    return {first, along_k, along_rows};
}

static inline tensor_matrix tensor_matrix_moved(tensor_matrix m, unsigned bytes)
{
    return {m.first + bytes, m.along_k, m.along_rows};
}

static inline unsigned tensor_warp() { return threadIdx.x / 32; }
static inline void tensor_publish() {}
static inline void tensor_group_begin() {}
void emulated_groups_meet(unsigned number, unsigned threads);
template <int groups> static inline void tensor_groups_meet(unsigned number)
{
    emulated_groups_meet(number, groups * TENSOR_GROUP);
}
void tensor_group_commit();
void emulated_group_wait(int pending);
template <int pending> static inline void tensor_group_wait() { emulated_group_wait(pending); }
void emulated_group_multiply(const std::function<void()> &product);
unsigned emulated_thread(); /* of the group */

static inline float emulated_element(tensor_matrix m, bool across, unsigned row, unsigned k)
{
    const unsigned outer = row / 8 * m.along_rows + k / 8 * m.along_k;
    const unsigned inner = across ? k % 8 * 16 + row % 8 * 2 : row % 8 * 16 + k % 8 * 2;
    __nv_bfloat16 value;
    memcpy(&value, m.first + outer + inner, sizeof value);
    return __bfloat162float(value);
}

template <int registers> static inline void tensor_group_give_registers() {}
template <int registers> static inline void tensor_group_take_registers() {}

template <bool across, int columns>
static inline void tensor_group_multiply(tensor_group_sums<columns> &s, tensor_matrix a, tensor_matrix b)
{
    const unsigned thread = emulated_thread();
    tensor_group_sums<columns> *sums = &s;
    emulated_group_multiply([=] {
        for (unsigned i = 0; i < columns / 2; i++) {
            const unsigned row = thread / 32 * 16 + thread % 32 / 4 + i / 2 % 2 * 8;
            const unsigned column = i / 4 * 8 + thread % 4 * 2 + i % 2;
            for (unsigned k = 0; k < TENSOR_K; k++)
                sums->part[i] += emulated_element(a, across, row, k) * emulated_element(b, across, column, k);
        }
    });
}

/* The rows of a thread's sums. */
struct tensor_group_rows {
    float at[2][TENSOR_K];
};

static inline tensor_group_rows tensor_group_load_across(tensor_address first, unsigned along_k, unsigned along_rows)
{
    const unsigned row = emulated_thread() / 32 * 16 + emulated_thread() % 32 / 4;
    tensor_group_rows rows;
    for (unsigned i = 0; i < 2; i++)
        for (unsigned k = 0; k < TENSOR_K; k++)
            rows.at[i][k] = emulated_element({first, along_k, along_rows}, true, row + i * 8, k);
    return rows;
}

template <bool across, int columns>
static inline void tensor_group_multiply(tensor_group_sums<columns> &s, const tensor_group_rows &a, tensor_matrix b, bool add)
{
    const unsigned thread = emulated_thread();
    tensor_group_sums<columns> *sums = &s;
    emulated_group_multiply([=] {
        for (unsigned i = 0; i < columns / 2; i++) {
            const unsigned column = i / 4 * 8 + thread % 4 * 2 + i % 2;
            if (!add) sums->part[i] = 0;
            for (unsigned k = 0; k < TENSOR_K; k++) sums->part[i] += a.at[i / 2 % 2][k] * emulated_element(b, across, column, k);
        }
    });
}

#endif

/* src/nn/cuda/bulk.h on the host: bulk.cc. A bulk copy lands in any of the rounds that follow, copies of one thread in any
 * order; what would hang a device, or leave it to chance, ends the program with a word. */
#ifndef EMULATED_BULK_H
#define EMULATED_BULK_H

#include "emulated_tensor.h"

void bulk_make(tensor_address barrier, unsigned arrivals);
static inline void bulk_made() {}
void bulk_arrive(tensor_address barrier);
tensor_address bulk_there(tensor_address place, unsigned rank);
void bulk_expect(tensor_address barrier, unsigned bytes);
void bulk_wait(tensor_address barrier, unsigned parity);
void bulk_copy(tensor_address to, const void *from, unsigned bytes, tensor_address barrier);
unsigned cluster_rank();
void cluster_meet();
void cluster_store(tensor_address to, float4 v);

#endif

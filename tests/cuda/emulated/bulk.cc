/* The emulated device's clusters, barriers in shared memory, and bulk copies. See emulated_bulk.h. */
#include "machine.h"

#include <algorithm>

#include "nn/cuda/bulk.h"

using namespace emulated;

namespace {

/* What lies in the 8 bytes. pending: arrivals that the phase still lacks; bytes: that are still to come, less than none
 * where they were not announced yet. */
struct phase {
    int32_t bytes;
    uint32_t parity : 1, expected : 15, pending : 16;
};
static_assert(sizeof(phase) == BULK_BARRIER_BYTES);

constexpr unsigned NEVER_MADE = 0x7FFF; /* shared memory begins with all bits set */

phase *made(const char *barrier)
{
    if ((uintptr_t)barrier % BULK_BARRIER_BYTES != 0) misuse("a barrier that is not aligned to 8 bytes");
    phase *p = (phase *)(void *)const_cast<char *>(barrier);
    if (p->expected == NEVER_MADE) misuse("a barrier that nobody has made");
    return p;
}

void settle(phase *p)
{
    if (p->pending > 0) return;
    if (p->bytes < 0) misuse("more bytes than a barrier was told of");
    if (p->bytes > 0) return;
    p->parity ^= 1u;
    p->pending = p->expected;
}

void arrive(phase *p)
{
    if (p->pending == 0) misuse("more arrivals than a barrier was made for");
    p->pending--;
    settle(p);
}

/* The same place in another block's memory. */
char *in_block(block_run &block, tensor_address address)
{
    const std::vector<char> &own = machine.current->block->shared;
    if (address < own.data() || address >= own.data() + own.size()) misuse("no place in shared memory");
    return block.shared.data() + (address - own.data());
}

block_run &block_at(unsigned rank)
{
    if (rank >= machine.blocks.size()) misuse("no such block in the cluster");
    return machine.blocks[rank];
}

void land(const flight &f)
{
    if (f.block->running == 0) misuse("a block has ended before a copy was there");
    memcpy(f.to, f.from, f.bytes);
    phase *p = made(f.barrier);
    p->bytes -= (int32_t)f.bytes;
    settle(p);
}

} // namespace

bool emulated::land_some()
{
    std::vector<flight> &flights = machine.flights;
    if (flights.empty()) return false;
    for (size_t i = flights.size() - 1; i > 0; i--) std::swap(flights[i], flights[dice() % (i + 1)]);
    for (size_t n = dice() % (flights.size() + 1); n > 0; n--) {
        land(flights.back());
        flights.pop_back();
    }
    return true;
}

void bulk_make(tensor_address barrier, unsigned arrivals)
{
    phase p = {};
    p.expected = arrivals & NEVER_MADE, p.pending = p.expected;
    memcpy(in_block(*machine.current->block, barrier), &p, sizeof p);
}

void bulk_arrive(tensor_address barrier) { arrive(made(barrier)); }

tensor_address bulk_there(tensor_address place, unsigned rank) { return in_block(block_at(rank), place); }

void bulk_expect(tensor_address barrier, unsigned bytes)
{
    phase *p = made(barrier);
    p->bytes += (int32_t)bytes;
    arrive(p);
}

void bulk_wait(tensor_address barrier, unsigned parity)
{
    machine.current->barrier = made(barrier);
    machine.current->turn_of_barrier = parity;
    wait_until([](const fiber &f) { return ((const phase *)f.barrier)->parity != f.turn_of_barrier; });
}

void bulk_copy(tensor_address to, const void *from, unsigned bytes, tensor_address barrier)
{
    block_run &block = *machine.current->block;
    if (((uintptr_t)to | (uintptr_t)from | bytes) % 16 != 0) misuse("a bulk copy that is not aligned to 16 bytes");
    char *there = in_block(block, to);
    if (there + bytes > block.shared.data() + block.shared.size()) misuse("a bulk copy beyond shared memory");
    machine.flights.push_back({&block, there, (const char *)from, bytes, in_block(block, barrier)});
}

unsigned cluster_rank() { return machine.current->block->rank; }

void cluster_store(tensor_address to, float4 v)
{
    if ((uintptr_t)to % sizeof v != 0) misuse("a store that is not aligned to 16 bytes");
    memcpy(const_cast<char *>(to), &v, sizeof v);
}

/* All threads of the cluster have been here as often as this one. */
void cluster_meet()
{
    machine.current->cluster_meetings++;
    machine.arrived++;
    wait_until([](const fiber &f) {
        return machine.arrived >= f.cluster_meetings * f.block->count * machine.blocks.size();
    });
}

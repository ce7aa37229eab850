/* The emulated device's tensor cores and copies to shared memory. See emulated_tensor.h and emulated_tensor_group.h. */
#include "machine.h"

#include <algorithm>

using namespace emulated;

unsigned char *emulated_shared() { return (unsigned char *)machine.current->block->shared.data(); }

namespace {

void arrive(const copy &c)
{
    if (c.from)
        memcpy(c.to, c.from, c.bytes);
    else
        memset(c.to, 0, c.bytes);
}

/* Shows what this lane has, and waits for the others. */
const shown *show(const shown &mine, stop at)
{
    fiber *f = machine.current;
    const unsigned turn = f->turn++ % 2;
    f->show[turn] = mine;
    leave(at);
    return &machine.current->show[turn];
}

/* What another lane of the current thread's warp showed in the same turn. */
const shown &of_lane(const shown *mine, unsigned lane)
{
    const fiber *current = machine.current;
    const unsigned turn = (unsigned)(mine - current->show), warp = current->number / 32 * 32;
    return current->block->fibers[warp + lane].show[turn];
}

unsigned lane() { return machine.current->number % 32; }

float number_of(uint32_t pair, unsigned upper)
{
    uint32_t bits = upper ? pair & 0xFFFF0000u : pair << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Element (row, k) of a fragment of a; element (k, column) of eight columns of b: PTX ISA, m16n8k16. */
float a_at(const shown *mine, unsigned row, unsigned k)
{
    return number_of(of_lane(mine, row % 8 * 4 + k % 8 / 2).a.part[row / 8 + k / 8 * 2], k % 2);
}

float b_at(const shown *mine, unsigned k, unsigned column, int second)
{
    return number_of(of_lane(mine, column * 4 + k % 8 / 2).b.part[2 * (unsigned)second + k / 8], k % 2);
}

uint32_t pair_of(uint16_t lower, uint16_t upper) { return (uint32_t)upper << 16 | lower; }

uint16_t element(const shown *mine, unsigned matrix, unsigned row, unsigned column)
{
    uint16_t value;
    memcpy(&value, of_lane(mine, matrix * 8 + row).granule + column * sizeof value, sizeof value);
    return value;
}

} // namespace

/* On a device a copy may arrive at once, or as late as it is waited for. */
void emulated_copy(tensor_address to, const void *from, unsigned bytes, bool zero)
{
    fiber *f = machine.current;
    const copy c = {const_cast<char *>(to), zero ? nullptr : (const char *)from, bytes, f->groups};
    if (((uintptr_t)from | (uintptr_t)to) % bytes != 0) misuse("a copy that is not aligned to its size");
    if (dice() % 2)
        arrive(c);
    else
        f->copies.push_back(c);
}

void tensor_commit() { machine.current->groups++; }

void emulated_wait(int pending)
{
    fiber *f = machine.current;
    auto late = std::partition(f->copies.begin(), f->copies.end(),
                               [=](const copy &c) { return c.group + (unsigned)pending >= f->groups; });
    std::for_each(late, f->copies.end(), arrive);
    f->copies.erase(late, f->copies.end());
}

unsigned emulated_thread() { return machine.current->number % TENSOR_GROUP; }

void emulated_group_multiply(const std::function<void()> &compute)
{
    fiber *f = machine.current;
    f->products.push_back({compute, f->commits});
    if (dice() % 2) return;
    for (const product &p : f->products) p.compute();
    f->products.clear();
}

void tensor_group_commit() { machine.current->commits++; }

void emulated_group_wait(int pending)
{
    fiber *f = machine.current;
    size_t done = 0;
    while (done < f->products.size() && f->products[done].group + (unsigned)pending < f->commits)
        f->products[done++].compute();
    f->products.erase(f->products.begin(), f->products.begin() + (ptrdiff_t)done);
}

/* All threads of the team have been here as often as this one. */
void emulated_groups_meet(unsigned number, unsigned threads)
{
    fiber *f = machine.current;
    if (f->number / threads != number) misuse("a barrier of another team");
    unsigned *arrived = &f->block->arrived[number];
    *arrived += 1;
    f->barrier = arrived;
    f->turn_of_barrier = ++f->team_meetings * threads;
    wait_until([](const fiber &waiting) { return *(const unsigned *)waiting.barrier >= waiting.turn_of_barrier; });
}

tensor_fragment tensor_load(tensor_address granule)
{
    tensor_fragment f;
    const shown *mine = show({granule, {}, {}}, AT_LOAD);
    for (unsigned i = 0; i < 4; i++) {
        const unsigned row = lane() / 4, column = lane() % 4 * 2;
        f.part[i] = pair_of(element(mine, i, row, column), element(mine, i, row, column + 1));
    }
    return f;
}

tensor_fragment tensor_load_transposed(tensor_address granule)
{
    tensor_fragment f;
    const shown *mine = show({granule, {}, {}}, AT_LOAD);
    for (unsigned i = 0; i < 4; i++) {
        const unsigned row = lane() % 4 * 2, column = lane() / 4;
        f.part[i] = pair_of(element(mine, i, row, column), element(mine, i, row + 1, column));
    }
    return f;
}

void tensor_multiply(tensor_sums &sums, const tensor_fragment &a, const tensor_fragment &b, int second)
{
    const shown *mine = show({nullptr, a, b}, AT_MULTIPLY);
    for (unsigned i = 0; i < 4; i++)
        for (unsigned k = 0; k < TENSOR_K; k++)
            sums.part[i] += a_at(mine, lane() / 4 + i / 2 * 8, k) * b_at(mine, k, lane() % 4 * 2 + i % 2, second);
}

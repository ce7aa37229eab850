/* xxHash64 (Yann Collet; the specification is doc/xxhash_spec.md of xxHash): a fast checksum against damage, not
 * against malice.
 *
 *     hash64 h = hash64_start(0);
 *     hash64_add(&h, bytes, size);       in parts of any size
 *     uint64_t value = hash64_value(&h);
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct hash64 {
    uint64_t lanes[4], seed, total;
    unsigned char rest[32]; /* of the stripe that is not full yet */
    size_t rest_count;
} hash64;

hash64 hash64_start(uint64_t seed);
void hash64_add(hash64 *h, const void *bytes, size_t size);
/* Of all that was added; more may be added afterwards. */
uint64_t hash64_value(const hash64 *h);

#endif

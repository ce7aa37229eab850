/* Expected values: the reference implementation, by way of Python's xxhash. */
#include "base/hash.h"
#include "test.h"

static uint64_t hash_of(const void *bytes, size_t size, uint64_t seed)
{
    hash64 h = hash64_start(seed);
    hash64_add(&h, bytes, size);
    return hash64_value(&h);
}

/* The bytes 0, 1, 2, ... */
static void count_up(unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)i;
}

static void agrees_with_the_reference(test *t)
{
    unsigned char bytes[256];
    count_up(bytes, sizeof bytes);
    CHECK(t, hash_of(bytes, 0, 0u) == 0xef46db3751d8e999u);
    CHECK(t, hash_of(bytes, 1, 0u) == 0xe934a84adb052768u);
    CHECK(t, hash_of(bytes, 3, 0u) == 0xe5c7bb4533bc65ddu);
    CHECK(t, hash_of(bytes, 4, 0u) == 0xffced8604453cc1eu);
    CHECK(t, hash_of(bytes, 7, 0u) == 0x14cc643f630c72d2u);
    CHECK(t, hash_of(bytes, 8, 0u) == 0x884a173614b81b8du);
    CHECK(t, hash_of(bytes, 31, 0u) == 0xc346d2b59b4d8ee1u);
    CHECK(t, hash_of(bytes, 32, 0u) == 0xcbf59c5116ff32b4u);
    CHECK(t, hash_of(bytes, 33, 0u) == 0x0c535d1acafb8eadu);
    CHECK(t, hash_of(bytes, 77, 0u) == 0x93f85c1b6280ead3u);
    CHECK(t, hash_of(bytes, 256, 0u) == 0x1facbe8406cd904bu);
    CHECK(t, hash_of(bytes, 0, 2654435761u) == 0xac75fda2929b17efu);
    CHECK(t, hash_of(bytes, 77, 2654435761u) == 0x9f2c6f90b678bc05u);
    CHECK(t, hash_of(bytes, 256, 2654435761u) == 0xd48195f45908996cu);
}

/* However the bytes are cut in two, and with a value asked for in between. */
static void parts_do_not_matter(test *t)
{
    unsigned char bytes[100];
    count_up(bytes, sizeof bytes);
    uint64_t whole = hash_of(bytes, sizeof bytes, 5);
    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        hash64 h = hash64_start(5);
        hash64_add(&h, bytes, cut);
        CHECK(t, hash64_value(&h) == hash_of(bytes, cut, 5));
        hash64_add(&h, bytes + cut, sizeof bytes - cut);
        CHECK(t, hash64_value(&h) == whole);
    }
}

TEST_MAIN(TEST(agrees_with_the_reference), TEST(parts_do_not_matter))

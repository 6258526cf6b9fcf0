/*
 * random.h - the proxy's dice: a small generator whose sequence is known from its seed.
 * Layer: stammer. Pure. Threads: any. Not for secrets.
 * Tests: tests/unit/test_stammer.c
 */
#ifndef STAMMER_RANDOM_H
#define STAMMER_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

/*
 * One stream of draws for each (seed, stream): a direction of a connection has its own, so that
 * what others do at the same time does not change it.
 */
void random_init(struct random *r, uint64_t seed, uint64_t stream);

/* A number from 1 to n, each as likely as any other; n is 1 to UINT32_MAX. One draw. */
size_t random_length(struct random *r, size_t n);

#endif

#include "stammer/random.h"

/* The step of Weyl's sequence: 2^64 divided by the golden ratio, odd. */
#define RANDOM_STEP UINT64_C(0x9e3779b97f4a7c15)

/*
 * The finishing function of splitmix64 (Steele, Lea, Flood 2014, with Stafford's constants):
 * bijective.
 */
static uint64_t
random_mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

void
random_init(struct random *r, uint64_t seed, uint64_t stream)
{
	/*
	 * Mixed twice, so that neighbouring seeds and streams do not walk along the same
	 * sequence.
	 */
	r->state = random_mix(random_mix(seed + RANDOM_STEP) + stream);
}

size_t
random_length(struct random *r, size_t n)
{
	r->state += RANDOM_STEP;
	/* The upper 32 bits scaled to n; what is uneven about it is below n in 2^32. */
	return 1 + (size_t)((random_mix(r->state) >> 32) * (uint64_t)n >> 32);
}

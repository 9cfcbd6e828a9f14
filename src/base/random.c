#include "config.h"

#include "base/random.h"

#include <assert.h>
#include <sys/random.h>

#include "base/clock.h"

/* SplitMix64, as xoshiro's authors advise for the initial state, which must not be all 0. */
void
random_seed(struct random *r, uint64_t seed)
{
	int i;

	for (i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
		z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
		r->state[i] = z ^ (z >> 31);
	}
}

void
random_init(struct random *r)
{
	uint64_t seed = clock_wall_us();

	/* If the kernel has no randomness yet (early at boot), the time is used: nothing secret
	 * depends on it. */
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed ^= clock_mono_us() << 32;
	random_seed(r, seed);
}

static uint64_t
rotate(uint64_t x, int bits)
{
	return (x << bits) | (x >> (64 - bits));
}

uint64_t
random_next(struct random *r)
{
	uint64_t *s = r->state;
	uint64_t result = rotate(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

/* Numbers above the largest multiple of limit are drawn again, so that each result is equally
 * likely. */
uint64_t
random_below(struct random *r, uint64_t limit)
{
	uint64_t unfair, v;

	assert(limit > 0);
	unfair = (UINT64_MAX % limit + 1) % limit;
	do {
		v = random_next(r);
	} while (v > UINT64_MAX - unfair);
	return v % limit;
}

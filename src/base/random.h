#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

/*
 * Random numbers for choices (which member, which key), not for secrets: xoshiro256** (Blackman,
 * Vigna: "Scrambled linear pseudorandom number generators", 2018).
 */
struct random {
	uint64_t state[4];
};

void random_init(struct random *r);                /* seeded by the system */
void random_seed(struct random *r, uint64_t seed); /* the same seed gives the same numbers */

uint64_t random_next(struct random *r);                  /* uniform over 64 bits */
uint64_t random_below(struct random *r, uint64_t limit); /* uniform; limit is not 0 */

#endif

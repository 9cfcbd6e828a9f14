#include "config.h"

#include "base/siphash.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <threads.h>

#include <endian.h>
#include <string.h>

struct state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t
rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void
sip_round(struct state *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 = rotate(s->v2, 32);
}

static inline void
absorb(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

uint64_t
siphash(const uint64_t key[2], const void *ptr, size_t len)
{
	struct state s = {
	    .v0 = key[0] ^ 0x736f6d6570736575,
	    .v1 = key[1] ^ 0x646f72616e646f6d,
	    .v2 = key[0] ^ 0x6c7967656e657261,
	    .v3 = key[1] ^ 0x7465646279746573,
	};
	const unsigned char *at = ptr;
	size_t rest = len;
	uint64_t word;

	for (; rest >= 8; rest -= 8, at += 8) {
		memcpy(&word, at, 8);
		absorb(&s, le64toh(word));
	}
	/* The last word: the remaining bytes, and the low byte of the length on top. */
	word = (uint64_t)len << 56;
	while (rest > 0) {
		rest--;
		word |= (uint64_t)at[rest] << (8 * rest);
	}
	absorb(&s, word);
	s.v2 ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

static uint64_t process_key[2];
static once_flag process_key_once = ONCE_FLAG_INIT;
static const uint64_t *given_key;
static bool is_made;

static void
make_process_key(void)
{
	ssize_t got;

	is_made = true;
	if (given_key != NULL) {
		memcpy(process_key, given_key, sizeof(process_key));
		return;
	}
	do
		got = getrandom(process_key, sizeof(process_key), 0);
	while (got < 0 && errno == EINTR);
	/* Without a secret key, peers could choose names that all go into one bucket. */
	if (got != (ssize_t)sizeof(process_key))
		abort();
}

const uint64_t *
siphash_process_key(void)
{
	call_once(&process_key_once, make_process_key);
	return process_key;
}

bool
siphash_set_process_key(const uint64_t key[2])
{
	if (is_made)
		return false;
	given_key = key;
	call_once(&process_key_once, make_process_key);
	given_key = NULL;
	return true;
}

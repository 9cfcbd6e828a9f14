#ifndef NET_ADDRESS_LIMITS_H
#define NET_ADDRESS_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"

/*
 * Address limits: how many connections an address has, and how fast it opens them.
 *
 * Bounded: an address is known while it has connections, and after that until it could open a whole
 * burst again, but of those without connections only ADDRESS_IDLE_MAX, the latest. Each call is
 * O(1). It opens no socket and reads no clock: now_us is monotonic.
 */
struct address_limits;

#define ADDRESS_IDLE_MAX 16384

struct address_limits_config {
	uint32_t connections; /* per address; 0: no limit */
	uint32_t rate;        /* accepted per second and address; 0: no limit; at most 1000000 */
	uint32_t burst;       /* so many at once before that, at least 1 */
};

enum address_verdict {
	ADDRESS_ADMITTED, /* and counted, until address_limits_leave */
	ADDRESS_TOO_MANY,
	ADDRESS_TOO_FAST,
};

struct address_limits *address_limits_new(void); /* returns owned (address_limits_free) */
void address_limits_free(struct address_limits *limits);

/* One more connection from there? A key without an address is always admitted. The config may be
 * another each time. */
enum address_verdict address_limits_admit(struct address_limits *limits,
    const struct address_limits_config *config, const struct address_key *key, uint64_t now_us)
    __attribute__((warn_unused_result));

/* An admitted connection has ended. */
void address_limits_leave(
    struct address_limits *limits, const struct address_key *key, uint64_t now_us);

/* Now and then, as nobody may come any more: forgets some whose time is over. */
void address_limits_expire(struct address_limits *limits, uint64_t now_us);

/* Addresses known. */
size_t address_limits_count(const struct address_limits *limits);

#endif

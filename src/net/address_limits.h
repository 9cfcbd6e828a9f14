#ifndef NET_ADDRESS_LIMITS_H
#define NET_ADDRESS_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"

/*
 * Address limits: limits the number of connections of each address, and the rate at which it opens
 * them.
 *
 * An address has an entry while it has connections, and after that until it could open a whole
 * burst again. Of the entries without connections only the latest ADDRESS_IDLE_MAX are kept. Each
 * call is O(1). It opens no socket and reads no clock: now_us is monotonic.
 */
struct address_limits;

#define ADDRESS_IDLE_MAX 16384

struct address_limits_config {
	uint32_t connections; /* per address; 0: no limit */
	uint32_t rate;        /* accepted per second and address; 0: no limit; at most 1000000 */
	uint32_t burst;       /* accepted at once before the rate applies, at least 1 */
};

enum address_verdict {
	ADDRESS_ADMITTED, /* counted until address_limits_leave */
	ADDRESS_TOO_MANY,
	ADDRESS_TOO_FAST,
};

struct address_limits *address_limits_new(void); /* returns owned (address_limits_free) */
void address_limits_free(struct address_limits *limits);

/* Asks whether this address may have one more connection, and counts it if so. A key of length 0 is
 * always admitted. The config may change between calls. */
enum address_verdict address_limits_admit(struct address_limits *limits,
    const struct address_limits_config *config, const struct address_key *key, uint64_t now_us)
    __attribute__((warn_unused_result));

/* An admitted connection has ended. */
void address_limits_leave(
    struct address_limits *limits, const struct address_key *key, uint64_t now_us);

/* Call it periodically: frees entries that are no longer needed, even if no connection is
 * opened. */
void address_limits_expire(struct address_limits *limits, uint64_t now_us);

/* The number of entries. */
size_t address_limits_count(const struct address_limits *limits);

#endif

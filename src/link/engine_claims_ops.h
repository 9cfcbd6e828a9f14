#ifndef LINK_ENGINE_CLAIMS_OPS_H
#define LINK_ENGINE_CLAIMS_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What claims (engine_claims.h) need of their owner, and what they tell. */
struct queue_claims_message;

struct engine_claims_ops {
	/* How many messages of at most so many bytes, more than 0, members have room for. */
	size_t (*room)(void *arg, uint64_t group, size_t len);
	/* The message is for the group. False: there is no member any more. It may change groups.
	 */
	bool (*deliver)(void *arg, uint64_t group, const struct queue_claims_message *message);
	/* A message may have been for the group, and does not come. */
	void (*missed)(void *arg, uint64_t group);
};

struct engine_claims_figures {
	uint64_t won;     /* messages that were for this node, and delivered */
	uint64_t taken;   /* for another one */
	uint64_t dropped; /* for this one, or maybe, when it had no member any more */
	uint64_t missed;  /* that may have been for this one; its members were told */
	size_t waiting, waiting_bytes;
};

#endif

#ifndef LINK_ENGINE_CLAIMS_STATE_H
#define LINK_ENGINE_CLAIMS_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/bytes.h"
#include "link/engine_claim_state.h"
#include "link/engine_claims_ops.h"
#include "pubsub/position.h"

/* The state of claims. For the files of engine_claims.h only. */
struct hash_map;

/* A message, of all groups that it is for. */
struct claims_body {
	size_t items; /* that have it */
	size_t channel_len, payload_len;
	char bytes[]; /* channel and payload */
};

struct claims_item {
	TAILQ_ENTRY(claims_item) link;
	struct hub_position at;       /* at the engine */
	struct hub_position position; /* as subscribers see it */
	uint64_t added_us;
	uint64_t looked_us; /* when the engine was asked who has it; 0: it was not */
	enum claim_state state;
	bool is_due; /* while a command is planned: it is claimed now */
	struct claims_body *body;
};

TAILQ_HEAD(claims_items, claims_item);

struct claims_group {
	TAILQ_ENTRY(claims_group) link;    /* of all, in the order of heard_us */
	TAILQ_ENTRY(claims_group) waiting; /* of those with items */
	TAILQ_ENTRY(claims_group) ready;   /* of those whose first item is decided */
	struct claims_items items;         /* in the order of seqs */
	uint64_t id;
	uint32_t members;
	bool is_ready;
	bool is_asking;    /* a command with messages is in flight */
	uint64_t due_us;   /* when to look at the items again; not before retry_us */
	uint64_t retry_us; /* after an error */
	uint64_t heard_us; /* the engine was told the number of members; 0: not this number */
	uint64_t ttl_ms;
	/* This node is preferred for a seq if its hash, modulo `members_of_all`, is from share_from
	 * on and less than share_to. members_of_all 0: it is not known. */
	uint64_t share_from, share_to, members_of_all;
	size_t key_len;
	char key[]; /* see struct engine_claim */
};

TAILQ_HEAD(claims_groups, claims_group);

/* A command in flight. */
struct claims_asked {
	STAILQ_ENTRY(claims_asked) link;
	uint64_t group;       /* it may be gone */
	size_t count, claims; /* messages; of these: that are claimed */
};

/* A group that is gone, which the engine is not told yet. */
struct claims_leaving {
	STAILQ_ENTRY(claims_leaving) link;
	size_t key_len;
	char key[];
};

struct engine_claims {
	const struct engine_claims_ops *ops;
	void *arg;
	char *node;
	struct hash_map *groups; /* by id */
	struct claims_groups all, waiting, ready;
	STAILQ_HEAD(, claims_asked) asked;
	STAILQ_HEAD(, claims_leaving) leaving;
	struct claims_body *newest; /* of the message at newest_at; NULL: no item has it any more */
	struct hub_position newest_at;
	bool is_linked;
	uint64_t due_us; /* the earliest of the waiting groups */
	struct engine_claims_figures figures;
};

static inline struct slice
claims_node(const struct engine_claims *claims)
{
	return slice_of(claims->node);
}

/* engine_claims.c. NULL: there is none. */
struct claims_group *claims_find(const struct engine_claims *claims, uint64_t id);

/* engine_claims.c: after the state of an item has changed. */
void claims_mark_ready(struct engine_claims *claims, struct claims_group *group);

/* engine_claims.c: the items are looked at again at this time, or before. */
void claims_wake(struct engine_claims *claims, struct claims_group *group, uint64_t due_us);

/* engine_claims_command.c: when this node claims a message, if it is not decided before; 0: now. */
uint64_t claims_turn_us(
    const struct claims_group *group, const struct claims_item *item, bool has_room);

#endif

#ifndef PUBSUB_QUEUE_CLAIMS_H
#define PUBSUB_QUEUE_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/position.h"
#include "pubsub/wire_form.h"

/*
 * Queue claims: messages of queue groups whose members are at several nodes.
 *
 * A hub alone gives each message of a group to one of its members at once. With claims, the owner
 * of the hub may keep the message back, and gives it to the group later, if no other node has it.
 * Without claims a hub is not slower. The hub does not know who decides.
 */
struct hub;

/* A group at this hub. The names are valid during the call. */
struct queue_claims_group {
	uint64_t id; /* never used again */
	struct slice group, name;
	enum hub_kind kind;
	uint32_t members; /* 0: the group is gone */
};

struct queue_claims_message {
	struct slice channel, payload;
	struct hub_position position; /* as subscribers see it; 0-0: the message is not kept here */
};

enum queue_claims_answer {
	QUEUE_CLAIMS_NOT,    /* the group gets the message now */
	QUEUE_CLAIMS_LATER,  /* maybe with hub_queue_deliver() */
	QUEUE_CLAIMS_MISSED, /* the group does not get it, and its members are told that messages
				are missing */
};

/* They must not call functions of the hub. */
struct queue_claims_ops {
	void (*changed)(void *arg, const struct queue_claims_group *group);
	/* Copies the message, if it does. */
	enum queue_claims_answer (*message)(void *arg, const struct queue_claims_group *group,
	    const struct queue_claims_message *message);
};

/* Before the hub has a group, and when it has none any more: NULL. Borrows. */
void hub_set_queue_claims(struct hub *hub, const struct queue_claims_ops *ops, void *arg);

/*
 * Gives the message to a member of the group, as hub_post_now(HUB_WITHIN_LIMITS) would. False:
 * there is no such group or member any more, or maxmemory-pubsub is reached; nobody gets it.
 */
bool hub_queue_deliver(struct hub *hub, uint64_t id, const struct queue_claims_message *message)
    __attribute__((warn_unused_result));

/* How many messages of at most len bytes the outboxes of the members have room for. */
size_t hub_queue_room(struct hub *hub, uint64_t id, size_t len);

/* Tells the members of the group, if there is one, that messages are missing. */
void hub_queue_miss(struct hub *hub, uint64_t id);

#endif

#ifndef PUBSUB_SUBSCRIBER_H
#define PUBSUB_SUBSCRIBER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pubsub/outbox.h"
#include "pubsub/wire_form.h"

/*
 * Subscriber: a member of the hub, with its outbox, its subscriptions and its operations. It is
 * embedded by value in an object that receives messages: a client, a stream, a link to another
 * node. hub_attach() initialises it and hub_detach() ends it; only the hub writes its fields.
 */
struct cursor_reader;
struct hub;
struct hub_wait;
struct subscriber;
struct topic;

struct subscription {
	struct subscriber *subscriber;
	struct topic *topic;
	TAILQ_ENTRY(subscription) of_subscriber;
	struct subscription *next;    /* in its bucket of the subscription table */
	uint32_t index;               /* index among the topic's members */
	uint32_t kind;                /* enum hub_kind */
	struct cursor_reader *reader; /* in the subscriber's cursor; NULL: it is live */
};

TAILQ_HEAD(subscriptions, subscription);

/* Whether blocked publishers wait for a subscriber under OUTBOX_BLOCK. The first of them is the one
 * with the lowest ticket (struct hub_publication). */
enum hub_awaited {
	HUB_NOT_AWAITED,
	HUB_AWAITED,  /* the outbox has no room for the first publisher's message */
	HUB_RESERVED, /* the outbox has room, which is kept for the first publisher for a moment */
};

/*
 * The functions of a subscriber that the hub calls; one table for each kind of subscriber. Any of
 * them may be called in the middle of hub_publish(): they must not publish, subscribe, unsubscribe
 * or detach.
 */
struct subscriber_ops {
	/* The outbox has output to flush, for the first time since outbox_flushed(). */
	void (*ready)(struct subscriber *s);
	/* The outbox exceeded its limits under OUTBOX_DISCONNECT, or publishers waited for it too
	 * long under OUTBOX_BLOCK. It is sealed; the owner must detach the subscriber, but may
	 * send what is queued before. */
	void (*overflow)(struct subscriber *s);
	/*
	 * Asks for a round (hub_begin_round), in which publishers that got HUB_BLOCKED are tried
	 * again: the outbox has room, or the hub must know whether they still wait for this
	 * subscriber.
	 */
	void (*room)(struct subscriber *s);
	/* A replay lost messages, because they left the history before the subscriber read them,
	 * and its outbox has no `notify`. It is sealed, see overflow. */
	void (*overtaken)(struct subscriber *s);
};

/* outbox.form is the index of its wire form: see hub_add_form() and hub_set_form(). */
struct subscriber {
	struct hub *hub;
	const struct subscriber_ops *ops; /* borrowed */
	struct outbox outbox;
	struct subscriptions subscriptions[HUB_KINDS];
	uint32_t count[HUB_KINDS];
	bool blocking : 1;     /* is subscribed, and has OUTBOX_BLOCK: counted in hub->blocking */
	bool dedup : 1;        /* hub_set_dedup(): counted in hub->dedup.users */
	bool marked : 1;       /* has a copy of the message that is being delivered */
	bool in_queues : 1;    /* is a member of queue groups: see queue_group.h */
	bool is_queue : 1;     /* stands for the members of a queue group */
	uint8_t awaited;       /* enum hub_awaited */
	struct hub_wait *wait; /* owned; NULL exactly while HUB_NOT_AWAITED */
};

#endif

#ifndef PUBSUB_SUBSCRIBER_H
#define PUBSUB_SUBSCRIBER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pubsub/outbox.h"
#include "pubsub/wire_form.h"

/*
 * Subscriber: a member of the hub, with its outbox, its subscriptions and its operations. It is
 * embedded by value in whatever receives messages: a client, a stream, a link to another node.
 * hub_attach() makes one and hub_detach() ends it; the hub writes all of its fields.
 */
struct hub;
struct subscriber;
struct topic;

struct subscription {
	struct subscriber *subscriber;
	struct topic *topic;
	TAILQ_ENTRY(subscription) of_subscriber;
	struct subscription *next; /* in its bucket of the subscription table */
	uint32_t index;            /* among the topic's members */
	uint32_t kind;             /* enum hub_kind */
};

TAILQ_HEAD(subscriptions, subscription);

/* What publishers want of a subscriber under OUTBOX_BLOCK. */
enum hub_awaited {
	HUB_NOT_AWAITED,
	HUB_AWAITED,  /* it has no room for the first of them */
	HUB_RESERVED, /* it has, and for a moment the others keep off */
};

/*
 * What the hub calls of a subscriber; one table for each kind of subscriber. Any of them may be
 * called in the middle of hub_publish(): they must not publish, subscribe, unsubscribe or detach.
 */
struct subscriber_ops {
	/* The outbox has something to flush, and had not since the last outbox_flushed(). */
	void (*ready)(struct subscriber *s);
	/* The outbox went past its limits under OUTBOX_DISCONNECT, or publishers waited for it too
	 * long under OUTBOX_BLOCK. It is closed; the subscriber is to be detached. */
	void (*overflow)(struct subscriber *s);
	/* The publishers that got HUB_BLOCKED are to be tried again, in a round: the subscriber has
	 * room for them, or whether they still wait for it is to be found out. */
	void (*room)(struct subscriber *s);
};

/* outbox.form is the index of its wire form: see
 * hub_add_form and hub_set_form. */
struct subscriber {
	struct hub *hub;
	const struct subscriber_ops *ops; /* borrowed */
	struct outbox outbox;
	struct subscriptions subscriptions[HUB_KINDS];
	uint32_t count[HUB_KINDS];
	bool blocking;                 /* counted among the subscribed with OUTBOX_BLOCK */
	uint8_t awaited;               /* enum hub_awaited; the rest is for those that are: */
	uint32_t round;                /* in which the first publisher was seen to wait last */
	uint32_t seen, doubted, asked; /* likewise; these and due: see hub_state.h */
	uint8_t due;
	uint64_t ticket;                  /* of this publisher ... */
	uint64_t publisher_since_us;      /* ... which waits since then */
	uint64_t awaited_since_us;        /* in this state since then */
	TAILQ_ENTRY(subscriber) awaiting; /* in the hub's list of its state */
};

#endif

#ifndef PUBSUB_HUB_H
#define PUBSUB_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/bytes.h"
#include "pubsub/channel_tree.h"
#include "pubsub/outbox.h"

/*
 * Hub: who subscribed to what, and the delivery of a message to all of them.
 *
 * A message is encoded once for each wire form and matching topic, into that form's frame log, and
 * queued in each subscriber's outbox as a range. hub_publish() returning HUB_PUBLISHED with n
 * means: the message is in n outboxes, or was dropped by policy and counted. The hub knows neither
 * RESP (wire forms are an interface) nor clients (a subscriber is embedded in whatever the server
 * has).
 */
enum hub_kind { HUB_CHANNEL, HUB_PATTERN, HUB_SHARD };
#define HUB_KINDS 3

struct hub_message {
	enum hub_kind kind;
	struct slice pattern; /* HUB_PATTERN only */
	struct slice channel;
	struct slice payload;
};

/* How a message looks on the wire: a head, its payload, a tail. One frame log each. */
struct wire_form {
	const char *name;
	size_t (*head_len)(const struct hub_message *message);
	void (*head_write)(const struct hub_message *message, char *out); /* exactly head_len */
	struct slice tail;
	size_t (*lagged)(uint64_t missed, char *out); /* at most OUTBOX_NOTICE_MAX */
};

struct hub;

struct subscription {
	struct subscriber *subscriber;
	struct topic *topic;
	TAILQ_ENTRY(subscription) of_subscriber;
	struct subscription *next; /* in its bucket of the subscription table */
	uint32_t index;            /* among the topic's members */
	uint32_t kind;             /* enum hub_kind */
};

TAILQ_HEAD(subscriptions, subscription);

/* Embedded by value in a client. */
struct subscriber {
	struct hub *hub;
	struct outbox outbox;
	struct subscriptions subscriptions[HUB_KINDS];
	uint32_t count[HUB_KINDS];
	uint8_t form;  /* index of its wire form */
	bool blocking; /* counted among those with OUTBOX_BLOCK */
	TAILQ_ENTRY(subscriber) blocked;
	uint64_t blocked_since_us; /* publishers wait for it since then; 0: they do not */
};

struct hub_limits {
	uint32_t subscriptions; /* per subscriber, of all kinds; at least 1 */
	uint32_t subscribers;   /* per channel or pattern; at least 1 */
	uint32_t name_bytes;    /* of a channel or pattern, 1 to 65535 */
	size_t memory_bytes;    /* hub_memory() at which messages wait; 0: no limit */
};

struct hub_config {
	const struct hub_limits *limits;     /* borrowed, may change */
	const struct wire_form *forms;       /* borrowed */
	size_t form_count;                   /* 1 to 8 */
	size_t segment_bytes;                /* of the frame logs */
	void (*ready)(struct subscriber *s); /* its outbox has something to flush */
	void (*overflow)(struct subscriber
		*s); /* its outbox is past its limits under OUTBOX_DISCONNECT: to be closed */
	void (*room)(void *arg); /* publishers that got HUB_BLOCKED may try again */
	void *arg;
};

enum hub_result {
	HUB_OK,
	HUB_ALREADY, /* subscribed before; nothing changed */
	HUB_NOT_SUBSCRIBED,
	HUB_NAME_TOO_LONG,
	HUB_TOO_MANY_SUBSCRIPTIONS, /* of this subscriber */
	HUB_TOO_MANY_SUBSCRIBERS,   /* of this channel or pattern */
	HUB_BLOCKED,   /* a subscriber under OUTBOX_BLOCK has no room: nothing was done, try again
			  later */
	HUB_FULL,      /* limits.memory_bytes would be passed: nothing was done, try again later */
	HUB_TOO_LARGE, /* ... by this message alone */
	HUB_PREPARING, /* a large message is being copied: nobody has it yet, try again in the next
			  turn */
};

struct hub *hub_new(const struct hub_config *config); /* copies config; returns owned (hub_free) */
void hub_free(struct hub *hub);                       /* no subscriber is left */

void hub_attach(struct hub *hub, struct subscriber *s, const struct outbox_limits *limits,
    uint8_t form, void *io);

/*
 * Closes the outbox at once, and lets at most `budget` queued ranges and subscriptions go; true
 * when none is left and the subscriber's memory may go. Until then it takes no message and counts
 * for nothing in what hub_publish returns.
 */
bool hub_detach(struct subscriber *s, size_t budget) __attribute__((warn_unused_result));

enum hub_result hub_subscribe(struct subscriber *s, enum hub_kind kind, struct slice name)
    __attribute__((warn_unused_result));
enum hub_result hub_unsubscribe(struct subscriber *s, enum hub_kind kind, struct slice name)
    __attribute__((warn_unused_result));

/* One subscription of that kind, any, or NULL; for unsubscribing from all in steps.
 * topic_name(result->topic). */
struct subscription *hub_first_subscription(struct subscriber *s, enum hub_kind kind);

/* The first of them becomes the last: for looking at all in steps between which some come and go.
 */
void hub_rotate_subscriptions(struct subscriber *s, enum hub_kind kind);

/*
 * kind is HUB_CHANNEL or HUB_SHARD. *receivers is how many subscriptions the message reached.
 * *progress is 0 at first; the hub keeps there how far it is where it returns HUB_PREPARING. The
 * payload must then be the same in the next call, until it returns HUB_OK (*progress is 0 again) or
 * the message is given up.
 */
enum hub_result hub_publish(struct hub *hub, enum hub_kind kind, struct slice channel,
    struct slice payload, uint64_t now_us, size_t *progress, size_t *receivers)
    __attribute__((warn_unused_result));

void hub_give_up_publish(struct hub *hub, size_t *progress);

/*
 * Several messages that are to go out together: before the first, each is asked for here.
 * HUB_BLOCKED and HUB_FULL as from hub_publish; HUB_TOO_LARGE: they would pass limits.memory_bytes
 * by themselves; HUB_OK: it may be published with HUB_REGARDLESS. *bytes is 0 at first, and grows
 * by what was asked for.
 */
enum hub_result hub_may_publish(struct hub *hub, enum hub_kind kind, struct slice channel,
    struct slice payload, uint64_t now_us, size_t *bytes) __attribute__((warn_unused_result));

/* A message that can't wait, whoever has no room for it. */
enum hub_urgency {
	HUB_REGARDLESS, /* who has OUTBOX_BLOCK gets it past its limits; limits.memory_bytes may be
			   passed, but not by this message alone: HUB_TOO_LARGE */
	HUB_IF_ROOM,    /* who has OUTBOX_BLOCK is closed as under OUTBOX_DISCONNECT; past
			   limits.memory_bytes nobody gets it: HUB_FULL, HUB_TOO_LARGE */
};

/* As hub_publish, at once: HUB_OK, or HUB_FULL and HUB_TOO_LARGE, which did nothing. */
enum hub_result hub_publish_now(struct hub *hub, enum hub_kind kind, struct slice channel,
    struct slice payload, enum hub_urgency urgency, size_t *receivers)
    __attribute__((warn_unused_result));

void hub_set_limits(struct subscriber *s, const struct outbox_limits *limits); /* of its outbox */
void hub_set_form(struct subscriber *s, uint8_t form);

/* Subscribers whose publishers have waited longer than limit_us: overflow() is called for each. To
 * be called often. */
void hub_expire(struct hub *hub, uint64_t now_us, uint64_t limit_us);

/* Once a turn, after the flush. */
void hub_tidy(struct hub *hub);

/* Questions. kind HUB_CHANNEL or HUB_SHARD. */
size_t hub_numsub(struct hub *hub, enum hub_kind kind, struct slice channel);
size_t hub_numpat(struct hub *hub); /* distinct patterns */
size_t hub_channels(struct hub *hub, enum hub_kind kind);
/* Walks channel names in order: see channel_tree_next. */
struct topic *hub_next_channel(struct hub *hub, enum hub_kind kind, struct slice after);
uint64_t hub_channel_dropped(struct hub *hub, enum hub_kind kind, struct slice name);

/*
 * Bytes held for what is owed to anyone, shared ones once. hub_memory_wanted() is what the last
 * message would have added, if it got HUB_FULL.
 */
size_t hub_memory(const struct hub *hub);
size_t hub_memory_wanted(const struct hub *hub);

/*
 * What s is owed is given up, and the memory let go at once, as far as `budget` ranges of it. True
 * if all of it was: not where another thread is writing some. s is to be detached next.
 */
bool hub_drop_owed(struct subscriber *s, size_t budget) __attribute__((warn_unused_result));

/* Totals for statistics. */
struct hub_figures {
	uint64_t published;   /* calls of hub_publish that returned HUB_OK */
	uint64_t delivered;   /* messages put into outboxes */
	uint64_t dropped;     /* messages dropped by policy */
	size_t subscriptions; /* of all kinds and clients */
	size_t queued_bytes;  /* owed to all clients, replies included */
	size_t queued_messages;
	size_t log_bytes;  /* held by frame logs */
	size_t tree_bytes; /* held by channel trees and the subscription table, about */
	size_t blocking;   /* subscribers with OUTBOX_BLOCK */
};
struct hub_figures hub_figures(struct hub *hub);

#endif

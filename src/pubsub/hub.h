#ifndef PUBSUB_HUB_H
#define PUBSUB_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/bytes.h"
#include "pubsub/channel_tree.h"
#include "pubsub/subscriber.h"
#include "pubsub/wire_form.h"

/*
 * Hub: who subscribed to what, and the delivery of a message to all of them.
 *
 * A message is encoded once for each wire form and matching topic, into that form's frame log, and
 * queued in each subscriber's outbox as a range. hub_publish() returning HUB_OK with n receivers
 * means: the message is in n outboxes, or was dropped and counted: by policy, or because a wire
 * form cannot carry it. The hub knows neither RESP (wire forms are an interface) nor clients (a
 * subscriber is embedded in whatever receives messages, and has a table of operations).
 *
 * A publisher is blocked by subscribers under OUTBOX_BLOCK that have no room, and by
 * limits.memory_bytes. Its owner publishes the message again later; meanwhile the hub keeps the
 * publisher's place among the others (struct hub_publication) and no copy of its message. Which
 * subscribers block which publishers is determined anew in rounds, in which every blocked publisher
 * is tried once (hub_begin_round).
 */
struct hub;

/*
 * What the hub keeps for a publisher whose message is not delivered yet. Embedded by value in the
 * publisher, zero at first. Ended by hub_end_publication(), whatever became of the message.
 */
struct hub_publication {
	uint64_t ticket;   /* its place among publishers that wait for room; 0: it has not waited */
	uint64_t since_us; /* when it got the ticket */
	size_t drafts;     /* identifies its drafts of a large message; 0: none */
	size_t bytes;      /* what the message adds to hub_memory(), if that was checked */
};

struct hub_limits {
	uint32_t subscriptions; /* per subscriber, of all kinds; at least 1 */
	uint32_t subscribers;   /* per channel or pattern; at least 1 */
	uint32_t name_bytes;    /* of a channel or pattern, 1 to 65535 */
	size_t memory_bytes;    /* hub_memory() at which publishers wait; 0: no limit */
};

struct hub_config {
	const struct hub_limits *limits; /* borrowed, may change */
	const struct wire_form *forms;   /* borrowed: the first ones, see hub_add_form */
	size_t form_count;
	size_t segment_bytes; /* of the frame logs */
};

enum hub_result {
	HUB_OK,
	HUB_ALREADY, /* subscribed before; nothing changed */
	HUB_NOT_SUBSCRIBED,
	HUB_NAME_TOO_LONG,
	HUB_TOO_MANY_SUBSCRIPTIONS, /* of this subscriber */
	HUB_TOO_MANY_SUBSCRIBERS,   /* of this channel or pattern */
	HUB_BLOCKED, /* a subscriber under OUTBOX_BLOCK has no room: nothing was done; publish again
			later */
	HUB_FULL, /* limits.memory_bytes would be exceeded: nothing was done; publish again later */
	HUB_TOO_LARGE, /* ... by this message alone: waiting does not help */
	HUB_PREPARING, /* a large message is being copied, no subscriber has it yet: publish it
			  again in the next turn, or give it up */
};

struct hub *hub_new(const struct hub_config *config); /* copies config; returns owned (hub_free) */
void hub_free(struct hub *hub);                       /* all subscribers are detached */

/* Adds a wire form, of which there are up to HUB_FORMS_MAX; returns its index. Borrows. A form that
 * no subscriber has costs a few words. */
#define HUB_FORMS_MAX 16
uint8_t hub_add_form(struct hub *hub, const struct wire_form *form);

/* Borrows hub, ops and io, which is the outbox's (struct outbox); copies limits. */
void hub_attach(struct hub *hub, struct subscriber *s, const struct subscriber_ops *ops,
    const struct outbox_limits *limits, uint8_t form, void *io);

/*
 * Closes the outbox at once and frees at most `budget` subscriptions and queued ranges. True when
 * none is left and the subscriber's memory may be freed. Until then it gets no message and
 * hub_publish() does not count it.
 */
bool hub_detach(struct subscriber *s, size_t budget) __attribute__((warn_unused_result));

enum hub_result hub_subscribe(struct subscriber *s, enum hub_kind kind, struct slice name)
    __attribute__((warn_unused_result));
enum hub_result hub_unsubscribe(struct subscriber *s, enum hub_kind kind, struct slice name)
    __attribute__((warn_unused_result));

/* The oldest subscription of that kind, or NULL; for unsubscribing from all in steps. Its name is
 * topic_name(result->topic). */
struct subscription *hub_first_subscription(struct subscriber *s, enum hub_kind kind);

/* Moves the first subscription to the end: for visiting all of them in steps between which they may
 * change. */
void hub_rotate_subscriptions(struct subscriber *s, enum hub_kind kind);

/* kind is HUB_CHANNEL or HUB_SHARD. *receivers is how many subscriptions the message reached. */
enum hub_result hub_publish(struct hub *hub, enum hub_kind kind, struct slice channel,
    struct slice payload, uint64_t now_us, struct hub_publication *p, size_t *receivers)
    __attribute__((warn_unused_result));

/*
 * For several messages that are published together, as by EXEC: each is checked here before the
 * first is published. HUB_BLOCKED and HUB_FULL as from hub_publish(); HUB_TOO_LARGE: together they
 * exceed limits.memory_bytes; HUB_OK: the message may be published with HUB_IGNORE_LIMITS. *bytes
 * is 0 before the first and sums up the messages that were checked.
 */
enum hub_result hub_may_publish(struct hub *hub, enum hub_kind kind, struct slice channel,
    struct slice payload, uint64_t now_us, struct hub_publication *p, size_t *bytes)
    __attribute__((warn_unused_result));

/* The publisher waits for something else than a subscriber: frees its drafts, and no subscriber is
 * waited for on its behalf. It keeps its place among the others. */
void hub_suspend_publication(struct hub *hub, struct hub_publication *p);

/* The message was delivered, refused or given up: releases what the hub keeps for it. */
void hub_end_publication(struct hub *hub, struct hub_publication *p);

/*
 * A round: between the two calls each publisher that got HUB_BLOCKED or HUB_PREPARING, and has not
 * ended, is tried again; hub_end_round() releases the subscribers that none of them waits for. Due
 * after room() of any subscriber.
 */
void hub_begin_round(struct hub *hub);
void hub_end_round(struct hub *hub);

/* What becomes of a message that cannot wait. */
enum hub_limiting {
	HUB_IGNORE_LIMITS, /* subscribers with OUTBOX_BLOCK get it beyond their limits; it may
			      exceed limits.memory_bytes, but not by itself: HUB_TOO_LARGE */
	HUB_WITHIN_LIMITS, /* a subscriber with OUTBOX_BLOCK that has no room overflows, as under
			      OUTBOX_DISCONNECT; beyond limits.memory_bytes it is not delivered:
			      HUB_FULL, HUB_TOO_LARGE */
};

/* As hub_publish(), without waiting: HUB_OK, or HUB_FULL or HUB_TOO_LARGE and nothing was done. */
enum hub_result hub_publish_now(struct hub *hub, enum hub_kind kind, struct slice channel,
    struct slice payload, enum hub_limiting limiting, size_t *receivers)
    __attribute__((warn_unused_result));

void hub_set_limits(struct subscriber *s, const struct outbox_limits *limits); /* of its outbox */
void hub_set_form(struct subscriber *s, uint8_t form); /* of the messages from now on */
void hub_unbar(struct subscriber *s); /* outbox_unbar(); restarts the time of hub_expire() */

/* Calls room() of each subscriber for which publishers have waited longer than limit_us and, if
 * they still wait for it in the next round, overflow(). To be called often. */
void hub_expire(struct hub *hub, uint64_t now_us, uint64_t limit_us);

/* Once a turn, after the flush: moves frames together, see frame_log_tidy(). */
void hub_tidy(struct hub *hub);

/* About once a second: frees what is kept for reuse and was not used since the last call. */
void hub_shrink(struct hub *hub);

/*
 * Keeps a channel (HUB_CHANNEL or HUB_SHARD) in the tree, also without subscribers, for as long as
 * something belongs to it. There may be HUB_HOLDS_MAX holds on a channel; each is released once.
 * name.len is at most 65535.
 */
#define HUB_HOLDS_MAX 127
struct topic *hub_hold_channel(struct hub *hub, enum hub_kind kind, struct slice name);
void hub_release_channel(struct hub *hub, enum hub_kind kind, struct topic *topic);

/*
 * Interest: changed() is called when a channel or pattern gets its first subscription (is_wanted)
 * and when it loses its last one, once for each change, right after it. It must not subscribe,
 * unsubscribe, detach, hold or release; name stands until it returns. A subscriber that is detached
 * in slices has its subscriptions until their slice.
 */
struct hub_interest {
	void (*changed)(
	    struct hub_interest *interest, enum hub_kind kind, struct slice name, bool is_wanted);
	LIST_ENTRY(hub_interest) link;
};
void hub_add_interest(struct hub *hub, struct hub_interest *interest); /* borrows */
void hub_remove_interest(struct hub_interest *interest);

/* kind is HUB_CHANNEL or HUB_SHARD. */
size_t hub_numsub(struct hub *hub, enum hub_kind kind, struct slice channel);
size_t hub_numpat(struct hub *hub);                       /* distinct patterns */
size_t hub_channels(struct hub *hub, enum hub_kind kind); /* with subscribers */
/* Walks channels in the order of names, those without subscribers (topic->count is 0), too: see
 * channel_tree_next. */
struct topic *hub_next_channel(struct hub *hub, enum hub_kind kind, struct slice after);
uint64_t hub_channel_dropped(struct hub *hub, enum hub_kind kind, struct slice name);

/* Memory of all that is queued in outboxes, in bytes; what several share counts once. */
size_t hub_memory(const struct hub *hub);

/* The same and what large messages being prepared need: limits.memory_bytes bounds this. */
size_t hub_memory_claimed(const struct hub *hub);

/* False if waiting would not make room: nothing is queued and no large message is being prepared.
 * Then every message is allowed. */
bool hub_memory_can_shrink(const struct hub *hub);

/*
 * Closes the outbox and frees at most `budget` ranges queued in it. True if none is left; false
 * also while a write is in flight. s is to be detached next.
 */
bool hub_drop_queue(struct subscriber *s, size_t budget) __attribute__((warn_unused_result));

/* Totals. */
struct hub_figures {
	uint64_t published;   /* calls of hub_publish that returned HUB_OK */
	uint64_t delivered;   /* messages put into outboxes */
	uint64_t dropped;     /* messages dropped, by policy or since a form cannot carry them */
	size_t subscriptions; /* of all kinds and clients */
	size_t queued_bytes;  /* in all outboxes, replies included */
	size_t queued_messages;
	size_t log_bytes;  /* held by frame logs */
	size_t tree_bytes; /* held by channel trees and the subscription table, about */
	size_t blocking;   /* clients with subscriptions and OUTBOX_BLOCK */
};
struct hub_figures hub_figures(struct hub *hub);

#endif

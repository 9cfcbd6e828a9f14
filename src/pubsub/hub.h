#ifndef PUBSUB_HUB_H
#define PUBSUB_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/bytes.h"
#include "pubsub/channel_tree.h"
#include "pubsub/post.h"
#include "pubsub/subscriber.h"
#include "pubsub/wire_form.h"

/*
 * Hub: the subscriptions of all subscribers, and the delivery of messages to them.
 *
 * A message is encoded once for each wire form and matching topic, into that form's frame log, and
 * queued in each subscriber's outbox as a range. If hub_publish() returns HUB_OK with n receivers,
 * each of n outboxes has the message, or dropped and counted it: by policy, or because the wire
 * form cannot carry it. The hub does not know RESP (wire forms are an interface) or clients (a
 * subscriber is embedded in an object that receives messages, and has a table of operations).
 *
 * A publisher is blocked by subscribers under OUTBOX_BLOCK that have no room, and by
 * limits.memory_bytes. Its owner publishes the message again later. Meanwhile the hub keeps the
 * publisher's place in the order of blocked publishers (struct hub_publication), but no copy of its
 * message. Which subscribers block which publishers is determined anew in rounds, in which every
 * blocked publisher is tried once (hub_begin_round).
 */
struct history_limits;
struct hub;

/*
 * The hub's record of a publisher whose message is not delivered yet. Embedded by value in the
 * publisher, zero at first. hub_end_publication() ends it, also if the message was not delivered.
 */
struct hub_publication {
	uint64_t ticket;   /* its place in the order of blocked publishers; 0: it has not waited */
	uint64_t since_us; /* when it got the ticket */
	uint64_t drafts;   /* identifies its drafts of a large message; 0: none */
	size_t bytes; /* bytes that the message adds to hub_memory(), if limits.memory_bytes was
			 checked */
};

struct hub_limits {
	uint32_t subscriptions; /* per subscriber, all kinds together; at least 1 */
	uint32_t subscribers;   /* per channel or pattern; at least 1 */
	uint32_t name_bytes;    /* of a channel or pattern, 1 to 65535 */
	size_t memory_bytes;    /* hub_memory() at which publishers wait; 0: no limit */
};

struct hub_config {
	const struct hub_limits *limits;      /* borrowed, may change */
	const struct history_limits *history; /* borrowed, may change; NULL: no limits */
	uint64_t epoch;                       /* of positions: see position.h */
	const struct wire_form *forms;        /* borrowed: the first ones, see hub_add_form */
	size_t form_count;
	size_t segment_bytes; /* of the frame logs */
};

struct hub *hub_new(const struct hub_config *config); /* copies config; returns owned (hub_free) */
void hub_free(struct hub *hub);                       /* all subscribers are detached */

/* Adds a wire form and returns its index; there may be up to HUB_FORMS_MAX. Borrows form. A form
 * that no subscriber uses takes a few words. */
#define HUB_FORMS_MAX 16
uint8_t hub_add_form(struct hub *hub, const struct wire_form *form);
const char *hub_form_name(const struct hub *hub, uint8_t form); /* NULL: there is none */

/* Borrows hub, ops and io (struct outbox); copies limits. */
void hub_attach(struct hub *hub, struct subscriber *s, const struct subscriber_ops *ops,
    const struct outbox_limits *limits, uint8_t form, void *io);

/*
 * Closes the outbox at once and frees at most `budget` subscriptions and queued ranges. True when
 * none is left: then the subscriber's memory may be freed. From the first call on it gets no
 * message and hub_publish() does not count it.
 */
bool hub_detach(struct subscriber *s, size_t budget) __attribute__((warn_unused_result));

enum hub_result hub_subscribe(struct subscriber *s, enum hub_kind kind, struct slice name)
    __attribute__((warn_unused_result));
enum hub_result hub_unsubscribe(struct subscriber *s, enum hub_kind kind, struct slice name)
    __attribute__((warn_unused_result));

/* The oldest subscription of that kind, or NULL; for unsubscribing from all in steps. Its name is
 * topic_name(result->topic). */
struct subscription *hub_first_subscription(struct subscriber *s, enum hub_kind kind);

bool hub_is_subscribed(struct subscriber *s, enum hub_kind kind, struct slice name);

/* Moves the first subscription to the end: for visiting all of them in steps between which they may
 * change. */
void hub_rotate_subscriptions(struct subscriber *s, enum hub_kind kind);

/* *out is set if the result is HUB_OK. */
enum hub_result hub_post(struct hub *hub, const struct hub_post *post, uint64_t now_us,
    struct hub_publication *p, struct hub_outcome *out) __attribute__((warn_unused_result));

/* hub_post() without an exception. *receivers is 0 unless the result is HUB_OK. */
enum hub_result hub_publish(struct hub *hub, enum hub_kind kind, struct slice channel,
    struct slice payload, uint64_t now_us, struct hub_publication *p, size_t *receivers)
    __attribute__((warn_unused_result));

/*
 * For several messages that are published together, as by EXEC: each is checked here before the
 * first is published. HUB_BLOCKED and HUB_FULL as from hub_post(); HUB_TOO_LARGE: together they
 * exceed limits.memory_bytes; HUB_OK: the message may be published with HUB_IGNORE_LIMITS. *bytes
 * is 0 before the first and sums up the messages that were checked.
 */
enum hub_result hub_may_post(struct hub *hub, const struct hub_post *post, uint64_t now_us,
    struct hub_publication *p, size_t *bytes) __attribute__((warn_unused_result));

/*
 * Call it if the publisher has to wait for something other than a subscriber: frees its drafts, and
 * no subscriber counts as blocking it any more. It keeps its place in the order of blocked
 * publishers.
 */
void hub_suspend_publication(struct hub *hub, struct hub_publication *p);

/* Call it when the message was delivered, refused or abandoned: releases the hub's record of it. */
void hub_end_publication(struct hub *hub, struct hub_publication *p);

/*
 * A round: between the two calls the owner publishes again for each publisher that got HUB_BLOCKED
 * or HUB_PREPARING and whose publication has not ended. hub_end_round() then finds the subscribers
 * that no publisher waits for any more. A round is due after a subscriber's room() was called.
 */
void hub_begin_round(struct hub *hub);
void hub_end_round(struct hub *hub);

/* The time at which messages of hub_post_now() are kept: it does not get one. now_us is monotonic,
 * as that of hub_post(). */
void hub_set_time(struct hub *hub, uint64_t now_us);

/* How limits apply to a message that cannot wait. */
enum hub_limiting {
	HUB_IGNORE_LIMITS, /* subscribers with OUTBOX_BLOCK get it even beyond their limits;
			      limits.memory_bytes may be exceeded, unless the message alone exceeds
			      it: HUB_TOO_LARGE */
	HUB_WITHIN_LIMITS, /* a subscriber with OUTBOX_BLOCK that has no room overflows, as under
			      OUTBOX_DISCONNECT; if it would exceed limits.memory_bytes it is not
			      delivered: HUB_FULL, HUB_TOO_LARGE */
};

/* As hub_post(), without waiting: HUB_OK, or HUB_FULL or HUB_TOO_LARGE and nothing was done. */
enum hub_result hub_post_now(struct hub *hub, const struct hub_post *post,
    enum hub_limiting limiting, struct hub_outcome *out) __attribute__((warn_unused_result));

/* hub_post_now() without an exception. *receivers is 0 unless the result is HUB_OK. */
enum hub_result hub_publish_now(struct hub *hub, enum hub_kind kind, struct slice channel,
    struct slice payload, enum hub_limiting limiting, size_t *receivers)
    __attribute__((warn_unused_result));

void hub_set_limits(struct subscriber *s, const struct outbox_limits *limits); /* of its outbox */
void hub_set_form(struct subscriber *s, uint8_t form); /* applies to later messages */
/* One copy of each message for the subscriber, through its channel or else one of its patterns. */
void hub_set_dedup(struct subscriber *s, bool dedup);
void hub_unbar(struct subscriber *s); /* outbox_unbar(); restarts the time of hub_expire() */

/* Calls room() of each subscriber for which publishers have waited longer than limit_us. If such a
 * publisher is tried again and still has to wait for it, hub_post() calls overflow(). Call it
 * often, and when the limit changes. */
void hub_expire(struct hub *hub, uint64_t now_us, uint64_t limit_us);

/* Call it once a turn, after the flush: see frame_log_tidy(). */
void hub_tidy(struct hub *hub);

/* Call it about once a second: frees memory that is kept for reuse and was not used since the last
 * call. */
void hub_shrink(struct hub *hub);

/*
 * A hold keeps a channel (HUB_CHANNEL or HUB_SHARD) in the tree even without subscribers, for
 * modules that attach data to it. There may be HUB_HOLDS_MAX holds on a channel; each is released
 * once. name.len is at most 65535.
 */
#define HUB_HOLDS_MAX 127
struct topic *hub_hold_channel(struct hub *hub, enum hub_kind kind, struct slice name);
void hub_release_channel(struct hub *hub, enum hub_kind kind, struct topic *topic);

/*
 * Interest: changed() is called when a channel or pattern gets its first subscription (is_wanted)
 * and when it loses its last one, once for each change, right after it. It must not subscribe,
 * unsubscribe, detach, hold or release; name is valid until it returns. A subscriber that is
 * detached in slices loses its subscriptions slice by slice.
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
/* Walks the channels in the order of names, including channels without subscribers (topic->count is
 * 0): see channel_tree_next. */
struct topic *hub_next_channel(struct hub *hub, enum hub_kind kind, struct slice after);
uint64_t hub_channel_dropped(struct hub *hub, enum hub_kind kind, struct slice name);

/* Memory of all frames that are queued in outboxes, in bytes; a frame in several outboxes counts
 * once. */
size_t hub_memory(const struct hub *hub);

/* hub_memory() plus the memory that large messages being prepared need: limits.memory_bytes limits
 * this sum. */
size_t hub_memory_claimed(const struct hub *hub);

/* False if waiting would not make room, because nothing is queued and no large message is being
 * prepared. Then every message is allowed. */
bool hub_memory_can_shrink(const struct hub *hub);

/* Closes the outbox and frees at most `budget` ranges queued in it. True if none is left; false
 * also while a write is in flight. Call hub_detach() next. */
bool hub_drop_queue(struct subscriber *s, size_t budget) __attribute__((warn_unused_result));

/* Totals. */
struct hub_figures {
	uint64_t published; /* calls of hub_publish that returned HUB_OK */
	uint64_t delivered; /* messages put into outboxes */
	uint64_t dropped;   /* messages dropped, by policy or because a form cannot carry them */
	uint64_t dropped_by[OUTBOX_POLICIES]; /* of these: by the policy of their outbox */
	size_t subscriptions;                 /* of all kinds and clients */
	size_t queued_bytes;                  /* in all outboxes, replies included */
	size_t queued_messages;
	size_t log_bytes;  /* held by frame logs */
	size_t tree_bytes; /* estimate: held by channel trees and the subscription table */
	size_t blocking;   /* clients with subscriptions and OUTBOX_BLOCK */
};
struct hub_figures hub_figures(struct hub *hub);

#endif

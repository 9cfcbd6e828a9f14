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
 * Publishers wait for subscribers under OUTBOX_BLOCK that have no room, and for memory. A publisher
 * that waits is tried again by its owner; it keeps its place among the others (struct
 * hub_publication) and nothing else: no copy of its message. For whom a publisher waits is worked
 * out anew in rounds, in which each publisher that waits is tried once (hub_begin_round): a
 * subscriber that none of them waits for any more is waited for no longer.
 */
struct hub;

/*
 * What a publisher claims while its message is not delivered; embedded by value in whoever
 * publishes, zero at first. Given up by hub_end_publication, however the message ended.
 */
struct hub_publication {
	uint64_t ticket;   /* its place among publishers that wait for room; 0: it never did */
	uint64_t since_us; /* ... since then */
	size_t drafts;     /* which are its own, of a large message; 0: none */
	size_t bytes;      /* what the message adds to hub_memory(), where it was asked for */
};

struct hub_limits {
	uint32_t subscriptions; /* per subscriber, of all kinds; at least 1 */
	uint32_t subscribers;   /* per channel or pattern; at least 1 */
	uint32_t name_bytes;    /* of a channel or pattern, 1 to 65535 */
	size_t memory_bytes;    /* hub_memory() at which messages wait; 0: no limit */
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
	HUB_BLOCKED,   /* a subscriber under OUTBOX_BLOCK has no room: nothing was done, try again
			  later */
	HUB_FULL,      /* limits.memory_bytes would be passed: nothing was done, try again later */
	HUB_TOO_LARGE, /* ... by this message alone */
	HUB_PREPARING, /* a large message is being copied: nobody has it yet, try again in the next
			  turn, with the same payload unless it is given up */
};

struct hub *hub_new(const struct hub_config *config); /* copies config; returns owned (hub_free) */
void hub_free(struct hub *hub);                       /* no subscriber is left */

/* One more wire form, up to HUB_FORMS_MAX in all; returns its index. Borrows. A form that no
 * subscriber has costs a few words. */
#define HUB_FORMS_MAX 16
uint8_t hub_add_form(struct hub *hub, const struct wire_form *form);

/* Borrows hub, ops and io, which is the outbox's (struct outbox); copies limits. */
void hub_attach(struct hub *hub, struct subscriber *s, const struct subscriber_ops *ops,
    const struct outbox_limits *limits, uint8_t form, void *io);

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

/* kind is HUB_CHANNEL or HUB_SHARD. *receivers is how many subscriptions the message reached. */
enum hub_result hub_publish(struct hub *hub, enum hub_kind kind, struct slice channel,
    struct slice payload, uint64_t now_us, struct hub_publication *p, size_t *receivers)
    __attribute__((warn_unused_result));

/*
 * Several messages that are to go out together: before the first, each is asked for here.
 * HUB_BLOCKED and HUB_FULL as from hub_publish; HUB_TOO_LARGE: they would pass limits.memory_bytes
 * by themselves; HUB_OK: it may be published with HUB_REGARDLESS. *bytes is 0 at first, and grows
 * by what was asked for.
 */
enum hub_result hub_may_publish(struct hub *hub, enum hub_kind kind, struct slice channel,
    struct slice payload, uint64_t now_us, struct hub_publication *p, size_t *bytes)
    __attribute__((warn_unused_result));

/* The publisher waits for something else: its drafts go, nobody is waited for on its behalf; its
 * place among the others stays. */
void hub_suspend_publication(struct hub *hub, struct hub_publication *p);

/* The message was delivered, refused or given up: nothing is claimed for it any more. */
void hub_end_publication(struct hub *hub, struct hub_publication *p);

/*
 * A round: after _begin each publisher that got HUB_BLOCKED or HUB_PREPARING, and has not ended, is
 * tried again; _end ends the waiting for whom none of them waits. To be done after room().
 */
void hub_begin_round(struct hub *hub);
void hub_end_round(struct hub *hub);

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
void hub_set_form(struct subscriber *s, uint8_t form); /* of the messages from now on */
void hub_unbar(struct subscriber *s); /* outbox_unbar(); hub_expire()'s time begins anew */

/* For a subscriber for which publishers have waited longer than limit_us, its room() is called; if
 * the round after that sees them wait on, its overflow(). To be called often. */
void hub_expire(struct hub *hub, uint64_t now_us, uint64_t limit_us);

/* Once a turn, after the flush. */
void hub_tidy(struct hub *hub);

/* About once a second: frees what is kept for reuse and was not used for as long. */
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

/* Questions. kind HUB_CHANNEL or HUB_SHARD. */
size_t hub_numsub(struct hub *hub, enum hub_kind kind, struct slice channel);
size_t hub_numpat(struct hub *hub);                       /* distinct patterns */
size_t hub_channels(struct hub *hub, enum hub_kind kind); /* with subscribers */
/* Walks channels in the order of names, those without subscribers (topic->count is 0), too: see
 * channel_tree_next. */
struct topic *hub_next_channel(struct hub *hub, enum hub_kind kind, struct slice after);
uint64_t hub_channel_dropped(struct hub *hub, enum hub_kind kind, struct slice name);

/* Bytes held for what is owed to anyone, shared ones once. */
size_t hub_memory(const struct hub *hub);

/* The same, and what large messages under way need: what limits.memory_bytes bounds. */
size_t hub_memory_claimed(const struct hub *hub);

/* False where nothing would make room: nobody is owed anything and no large message is under way.
 * Then every message has room. */
bool hub_memory_can_shrink(const struct hub *hub);

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
	size_t blocking;   /* clients with subscriptions and OUTBOX_BLOCK */
};
struct hub_figures hub_figures(struct hub *hub);

#endif

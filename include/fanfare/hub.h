#ifndef FANFARE_HUB_H
#define FANFARE_HUB_H

#include <fanfare/types.h>

/*
 * Hub: channels, patterns and their subscribers, and the delivery of messages to them.
 *
 * The library has no clock, no threads and no I/O. Times are monotonic microseconds that the caller
 * passes, below 2^62; an earlier time than before counts as the same time. A hub and all that
 * belongs to it is used by one thread at a time. Callbacks are called by functions of the library,
 * with the hub in the middle of a change: from within a callback, functions that change the hub or
 * read messages return FANFARE_BUSY and do nothing.
 */
#ifdef __cplusplus
extern "C" {
#endif

struct fanfare_hub;
struct fanfare_publisher;
struct fanfare_subscriber;

/* Each limit: 0 means the default. Beyond the range: FANFARE_INVALID. */
struct fanfare_hub_options {
	size_t size;

	/* Of positions; 0: 1. A hub that could give the same position to another message than an
	 * earlier hub did needs a greater epoch: the time at which it was created, for example. */
	uint64_t epoch;

	uint32_t subscriptions_max; /* of a subscriber: 1 to 2^31-1; default 1000000 */
	uint32_t subscribers_max;   /* of a channel or pattern: 1 to 2^31-1; default 1000000 */
	uint32_t name_max;          /* bytes of a channel or pattern: 1 to 65535; default 65535 */
	uint32_t segment;   /* bytes of a segment of messages: 4096 to 2^24; default 65536 */
	uint32_t kept_max;  /* channels with kept messages: 1 to 2^31-1; default 1000000 */
	uint32_t reserved;  /* 0 */
	size_t message_max; /* bytes of a payload: 1 to 2^29; default 2^26 */
	size_t memory_max;  /* bytes of the segments with messages that are queued in outboxes,
			       so it should be many segments; default: no limit. A message in
			       several outboxes counts once for each form. */
	size_t history_max; /* bytes of kept messages; default: no limit */
	uint64_t block_us;  /* a subscriber under FANFARE_BLOCK for which publishers wait longer
			       is closed (overflow); default: none is */

	/* Publishers that got FANFARE_BLOCKED may be tried again: see fanfare_hub_begin_round(). */
	void (*room)(void *arg, struct fanfare_hub *hub);

	/* A channel or pattern got its first subscription (is_wanted) or lost its last one. name is
	 * valid until it returns. */
	void (*interest)(void *arg, struct fanfare_hub *hub, bool is_pattern,
	    struct fanfare_bytes name, bool is_wanted);

	void *arg; /* of the two */
};

/* Copies the options; NULL: all defaults. *hub is to be freed with fanfare_hub_free(). */
FANFARE_CHECKED enum fanfare_result fanfare_hub_new(
    const struct fanfare_hub_options *options, struct fanfare_hub **hub);

/* Frees the hub with all its subscribers and publishers, without callbacks. FANFARE_BUSY from
 * within a callback. NULL is allowed. */
FANFARE_API enum fanfare_result fanfare_hub_free(struct fanfare_hub *hub);

FANFARE_API void *fanfare_hub_arg(const struct fanfare_hub *hub);

/* memory_max, history_max and block_us may change later; 0 means the default. */
FANFARE_CHECKED enum fanfare_result fanfare_hub_set_memory(
    struct fanfare_hub *hub, size_t memory_max, size_t history_max);
FANFARE_CHECKED enum fanfare_result fanfare_hub_set_block(
    struct fanfare_hub *hub, uint64_t block_us);

/*
 * What is due: portions of replays, changed options of channels, expiry, and the memory of messages
 * that were read. Call it after messages were published or read, and at the time that it asks for.
 * A call takes about a millisecond at most. FANFARE_MORE: call it again soon. FANFARE_OK: call it
 * again at *next_us (UINT64_MAX: not before something changes). next_us may be NULL.
 */
FANFARE_CHECKED enum fanfare_result fanfare_hub_work(
    struct fanfare_hub *hub, uint64_t now_us, uint64_t *next_us);

/* ---- Options of channels ------------------------------------------------------------------ */

#define FANFARE_ERROR_TEXT 256 /* bytes of an error text with its NUL, at most */

/*
 * Sets options of the channels that the glob matches, in the words of the directive `channel` of
 * fanfared.conf(5): "history-size 100 history-ttl 60". Where several globs match and set the same
 * option, the glob that was added last counts. The options are history-size, history-ttl,
 * history-bytes, history-message-bytes, replay, outbox-policy, max-subscribers and max-message. If
 * there are many channels, some of them follow in fanfare_hub_work(). FANFARE_INVALID: error says
 * why; it has FANFARE_ERROR_TEXT bytes, or is NULL. FANFARE_BUSY: error is empty.
 */
FANFARE_CHECKED enum fanfare_result fanfare_channel_set(
    struct fanfare_hub *hub, struct fanfare_bytes glob, struct fanfare_bytes words, char *error);

/* Removes the named options of a glob, separated by blanks; no name: all of them. */
FANFARE_CHECKED enum fanfare_result fanfare_channel_unset(
    struct fanfare_hub *hub, struct fanfare_bytes glob, struct fanfare_bytes names, char *error);

/* ---- Publishing --------------------------------------------------------------------------- */

struct fanfare_outcome {
	size_t receivers;                 /* subscriptions that it reached */
	size_t queued;                    /* outboxes that took it */
	size_t catching_up;               /* get it from the history later; the others dropped it */
	struct fanfare_position position; /* 0-0: the channel keeps no history */
};

struct fanfare_post {
	size_t size;
	struct fanfare_bytes channel;
	struct fanfare_bytes payload;

	/* Does not get it; NULL: all get it. While it catches up or resumes it may get it from the
	 * history, which does not keep for whom a message was. */
	const struct fanfare_subscriber *except;

	/* NULL: the message does not wait. A subscriber under FANFARE_BLOCK that has no room then
	 * overflows, as under FANFARE_DISCONNECT. */
	struct fanfare_publisher *publisher;
};

/*
 * FANFARE_OK: the message is in the outboxes of its subscribers, or was dropped there by policy and
 * counted. Sets *outcome, which may be NULL, at FANFARE_OK only. FANFARE_TOO_LARGE, FANFARE_FULL.
 * With a publisher also FANFARE_BLOCKED and FANFARE_PREPARING: the publisher then waits, until its
 * message is delivered or refused (FANFARE_FULL does not refuse it). Meanwhile it publishes the
 * same message again, or calls fanfare_publisher_end(). For another message it gets
 * FANFARE_INVALID, as far as the library can tell: it compares lengths, and hashes of parts.
 */
FANFARE_CHECKED enum fanfare_result fanfare_post(struct fanfare_hub *hub,
    const struct fanfare_post *post, uint64_t now_us, struct fanfare_outcome *outcome);

/* fanfare_post() without exception and publisher. */
FANFARE_CHECKED enum fanfare_result fanfare_publish(struct fanfare_hub *hub,
    struct fanfare_bytes channel, struct fanfare_bytes payload, uint64_t now_us,
    struct fanfare_outcome *outcome);

/* A publisher that can wait: the hub keeps its place in the order of blocked publishers, not its
 * message. */
FANFARE_CHECKED enum fanfare_result fanfare_publisher_new(
    struct fanfare_hub *hub, struct fanfare_publisher **publisher);
FANFARE_API enum fanfare_result fanfare_publisher_free(struct fanfare_publisher *publisher);

/* Gives up the message that was not delivered. */
FANFARE_API enum fanfare_result fanfare_publisher_end(struct fanfare_publisher *publisher);

/*
 * A round, due after room(): between the two calls each publisher that got FANFARE_BLOCKED or
 * FANFARE_PREPARING and was not ended publishes its message again, once. Rounds do not nest:
 * FANFARE_INVALID.
 */
FANFARE_CHECKED enum fanfare_result fanfare_hub_begin_round(struct fanfare_hub *hub);
FANFARE_CHECKED enum fanfare_result fanfare_hub_end_round(struct fanfare_hub *hub);

/* ---- Looking into a hub ------------------------------------------------------------------- */

/* These may be called from within callbacks. */
FANFARE_API size_t fanfare_numsub(const struct fanfare_hub *hub, struct fanfare_bytes channel);
FANFARE_API size_t fanfare_numpat(const struct fanfare_hub *hub); /* distinct patterns */

/* Walks the channels that have subscribers or kept messages, in the order of their bytes: the first
 * one behind `after`, or of all if after.data is NULL. *name is valid until the hub changes.
 * FANFARE_EMPTY: there is none. */
FANFARE_CHECKED enum fanfare_result fanfare_next_channel(
    const struct fanfare_hub *hub, struct fanfare_bytes after, struct fanfare_bytes *name);

struct fanfare_figures {
	size_t size;
	uint64_t published; /* messages */
	uint64_t delivered; /* messages put into outboxes */
	uint64_t dropped;   /* messages dropped by policy, or because a form cannot carry them */
	uint64_t replayed;  /* messages that came from the history, by replays */
	uint64_t overtaken; /* messages that left the history before a replay read them */
	uint64_t evicted;   /* kept messages that went because of history_max or kept_max */
	uint64_t expired;   /* kept messages that went because of history-ttl */
	size_t subscribers;
	size_t subscriptions;
	size_t channels; /* with subscribers */
	size_t patterns; /* distinct */
	size_t queued_bytes;
	size_t queued_messages;
	size_t memory;        /* bytes that memory_max limits */
	size_t log_bytes;     /* held for queued messages */
	size_t tree_bytes;    /* estimate: held for channels, patterns and subscriptions */
	size_t kept_channels; /* with kept messages */
	size_t kept_messages;
	size_t kept_bytes; /* that history_max limits */
	size_t replays;    /* subscribers that are catching up */
};

/* Sets the first figures->size bytes. */
FANFARE_API enum fanfare_result fanfare_hub_figures(
    const struct fanfare_hub *hub, struct fanfare_figures *figures);

#ifdef __cplusplus
}
#endif

#endif

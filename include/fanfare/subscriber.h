#ifndef FANFARE_SUBSCRIBER_H
#define FANFARE_SUBSCRIBER_H

#include <fanfare/hub.h>

/*
 * Subscriber: its subscriptions, and its outbox, a queue of messages with limits and a policy.
 *
 * A subscriber has a form. Under FANFARE_RECORDS messages are read one by one
 * (fanfare_subscriber_next). Under a form of the caller's (<fanfare/form.h>) its output is bytes
 * for a socket: fanfare_subscriber_peek and fanfare_subscriber_consume.
 */
#ifdef __cplusplus
extern "C" {
#endif

/* What happens to a message that exceeds the limits of an outbox. */
enum fanfare_policy {
	FANFARE_DISCONNECT = 0,  /* overflow(): the subscriber must be closed */
	FANFARE_DROP_OLDEST = 1, /* the oldest messages are dropped */
	FANFARE_DROP_NEWEST = 2, /* this message is dropped */
	FANFARE_BLOCK = 3,       /* publishers wait */
	FANFARE_CATCH_UP = 4,    /* it and later ones come from the history when there is room; as
				    FANFARE_DISCONNECT in channels that keep none, and beyond
				    FANFARE_REPLAYED_MAX */
};

/* The channels from which a subscriber gets messages of the history at a time, counted once for
 * each subscription. A message that would come from one more: overflow(). */
#define FANFARE_REPLAYED_MAX 16384

struct fanfare_limits {
	size_t size;
	size_t bytes;      /* of messages queued, in their form; 0: no limit */
	uint32_t messages; /* queued; 0: no limit */
	enum fanfare_policy policy;
	bool notify;      /* mark dropped messages with FANFARE_MISSED, in their place */
	bool by_channels; /* a channel's option outbox-policy takes precedence over `policy` */
};

/* Why a subscriber must be closed. */
enum fanfare_end {
	FANFARE_OVERFLOW = 0,  /* its outbox exceeded its limits, or publishers waited too long */
	FANFARE_OVERTAKEN = 1, /* messages left the history before it read them, and it has no
				  `notify` */
};

#define FANFARE_RECORDS 0 /* the form of messages that are read one by one */

struct fanfare_subscriber_options {
	size_t size;
	const struct fanfare_limits *limits; /* NULL: none, FANFARE_DISCONNECT. Copied */
	unsigned form;                       /* FANFARE_RECORDS, or from fanfare_hub_add_form() */
	bool dedup; /* one copy of each message, through its channel or else one of its patterns */

	/* There is output, after there was none. Read until FANFARE_EMPTY: only then it is called
	 * again. */
	void (*ready)(void *arg, struct fanfare_subscriber *s);

	/* It gets nothing more, and must be closed; what is queued can be read before. */
	void (*overflow)(void *arg, struct fanfare_subscriber *s, enum fanfare_end end);

	void *arg; /* of the two */
};

/* Copies the options; NULL: all defaults. *s is to be closed with fanfare_subscriber_close(). */
FANFARE_CHECKED enum fanfare_result fanfare_subscriber_new(struct fanfare_hub *hub,
    const struct fanfare_subscriber_options *options, struct fanfare_subscriber **s);

/*
 * Frees at most `budget` subscriptions and queued items, at least 1: FANFARE_MORE until the
 * subscriber is freed (FANFARE_OK). From the first call on it gets no message, and all other
 * functions for it return FANFARE_CLOSED. SIZE_MAX frees it at once. NULL is allowed.
 */
FANFARE_API enum fanfare_result fanfare_subscriber_close(
    struct fanfare_subscriber *s, size_t budget);

FANFARE_API void *fanfare_subscriber_arg(const struct fanfare_subscriber *s);
FANFARE_API struct fanfare_hub *fanfare_subscriber_hub(const struct fanfare_subscriber *s);

FANFARE_CHECKED enum fanfare_result fanfare_subscriber_set_limits(
    struct fanfare_subscriber *s, const struct fanfare_limits *limits);
FANFARE_CHECKED enum fanfare_result fanfare_subscriber_set_dedup(
    struct fanfare_subscriber *s, bool dedup);

/* ---- Subscriptions ------------------------------------------------------------------------ */

/* A channel with the option replay delivers its last messages first; FANFARE_TOO_MANY then as in
 * fanfare_resume(). */
FANFARE_CHECKED enum fanfare_result fanfare_subscribe(
    struct fanfare_subscriber *s, struct fanfare_bytes channel, uint64_t now_us);
FANFARE_CHECKED enum fanfare_result fanfare_unsubscribe(
    struct fanfare_subscriber *s, struct fanfare_bytes channel);
FANFARE_CHECKED enum fanfare_result fanfare_psubscribe(
    struct fanfare_subscriber *s, struct fanfare_bytes pattern);
FANFARE_CHECKED enum fanfare_result fanfare_punsubscribe(
    struct fanfare_subscriber *s, struct fanfare_bytes pattern);

/* The oldest subscription; FANFARE_EMPTY: it has none. *name is valid until it is unsubscribed. */
FANFARE_CHECKED enum fanfare_result fanfare_first_subscription(
    const struct fanfare_subscriber *s, bool is_pattern, struct fanfare_bytes *name);
FANFARE_API size_t fanfare_subscription_count(const struct fanfare_subscriber *s);

enum fanfare_verdict {
	FANFARE_RESUMED = 0,    /* every message behind the position follows */
	FANFARE_LOST = 1,       /* some cannot: it is subscribed, and only new messages follow */
	FANFARE_NEW = 2,        /* `since` names no position, so nothing can be missing */
	FANFARE_NO_HISTORY = 3, /* the channel keeps nothing: only new messages follow */
};

struct fanfare_resumption {
	enum fanfare_verdict verdict;
	struct fanfare_position position; /* behind which messages follow; 0-0: no history */
	uint64_t count;                   /* kept messages that follow before new ones */
};

/*
 * As fanfare_subscribe(), and goes on behind `since`: "EPOCH-SEQ" (a position), "0" (everything
 * kept), "$" (only new messages) or "-N" (the last N messages). The kept messages are queued by
 * fanfare_hub_work(), while the outbox is less than half full, each once and in their order, and
 * then new ones. resumption may be NULL. FANFARE_ALREADY changes nothing. FANFARE_TOO_MANY: also if
 * FANFARE_REPLAYED_MAX channels would be replayed; there are fewer after fanfare_hub_work().
 */
FANFARE_CHECKED enum fanfare_result fanfare_resume(struct fanfare_subscriber *s,
    struct fanfare_bytes channel, struct fanfare_bytes since, uint64_t now_us,
    struct fanfare_resumption *resumption);

/* The same for a pattern: messages of all channels that it matches, in the order of their
 * positions. Its cost grows with the channels that were written to behind the position;
 * FANFARE_TOO_MANY: more than channels_max (0 or above 8192: 8192), or as in fanfare_resume(). "-N"
 * gives at most the last 8192 messages. */
FANFARE_CHECKED enum fanfare_result fanfare_presume(struct fanfare_subscriber *s,
    struct fanfare_bytes pattern, struct fanfare_bytes since, uint64_t now_us,
    uint32_t channels_max, struct fanfare_resumption *resumption);

/* Everything that is kept up to this position was queued; a resumption may begin there. */
FANFARE_API struct fanfare_position fanfare_queued_position(const struct fanfare_subscriber *s);

/* ---- Output ------------------------------------------------------------------------------- */

/*
 * FANFARE_RECORDS only. Takes the next message out of the outbox. Its bytes are valid until the
 * next fanfare_subscriber_next() for any subscriber of the hub, whatever is published or closed
 * meanwhile. FANFARE_EMPTY: there is none. FANFARE_CLOSED: there is none, and none will come.
 */
FANFARE_CHECKED enum fanfare_result fanfare_subscriber_next(
    struct fanfare_subscriber *s, struct fanfare_message *message);

/*
 * Other forms only. The first queued bytes as at most *count pieces, 1 to 1024; sets *count to
 * their number. Valid until the hub is called again. FANFARE_EMPTY: there are none. FANFARE_CLOSED:
 * there are none, and none will come.
 */
FANFARE_CHECKED enum fanfare_result fanfare_subscriber_peek(
    struct fanfare_subscriber *s, struct fanfare_bytes *pieces, size_t *count);

/* Takes the first len bytes out of the outbox, which were peeked at. FANFARE_INVALID: there are not
 * so many. */
FANFARE_CHECKED enum fanfare_result fanfare_subscriber_consume(
    struct fanfare_subscriber *s, size_t len);

/*
 * A write in flight: as fanfare_subscriber_peek(), but the bytes are valid until
 * fanfare_subscriber_end_write(), which takes the first len of them out. Meanwhile they do not
 * count towards the limits; peek, consume and another write are FANFARE_INVALID, and close frees
 * nothing (FANFARE_MORE).
 */
FANFARE_CHECKED enum fanfare_result fanfare_subscriber_begin_write(
    struct fanfare_subscriber *s, struct fanfare_bytes *pieces, size_t *count);
FANFARE_CHECKED enum fanfare_result fanfare_subscriber_end_write(
    struct fanfare_subscriber *s, size_t len);

/* Other forms only. Queues bytes of the caller's behind what is queued, 1 to 2^24: an answer, or a
 * sign of life. They are never dropped and do not count as a message. */
FANFARE_CHECKED enum fanfare_result fanfare_subscriber_push(
    struct fanfare_subscriber *s, struct fanfare_bytes bytes);

struct fanfare_queue {
	size_t size;
	size_t bytes; /* queued, in their form */
	size_t messages;
	uint64_t dropped; /* messages, since the subscriber was made */
	uint64_t behind;  /* kept messages that are still to be queued by replays */
};

/* Sets the first queue->size bytes. */
FANFARE_API enum fanfare_result fanfare_subscriber_queue(
    const struct fanfare_subscriber *s, struct fanfare_queue *queue);

#ifdef __cplusplus
}
#endif

#endif

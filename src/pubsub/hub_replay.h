#ifndef PUBSUB_HUB_REPLAY_H
#define PUBSUB_HUB_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/hub.h"
#include "pubsub/position.h"

/*
 * Replay: a subscription that begins with kept messages of its channel, or of the channels that its
 * pattern matches, and goes on with new ones, without a gap and without a message twice. Under
 * OUTBOX_CATCH_UP a live subscription becomes one again when its outbox has no room.
 *
 * The kept messages of all channels that a subscriber resumes are queued in the order of seq, in
 * portions, while its outbox is low. Until none is left, new messages of these channels go to the
 * rings only; hub_publish() counts the subscriber as a receiver. If a ring drops messages before
 * they are queued, their number is noted in their place where the outbox has `notify`; otherwise
 * the subscriber is closed (subscriber_ops.overtaken). What ends early: a subscription that is
 * unsubscribed, and one whose channel stops keeping history, which gets live messages from then on.
 * A pattern gets messages of channels that keep no history at once.
 */

enum hub_verdict {
	HUB_RESUMED,    /* every message behind the position can be replayed */
	HUB_LOST,       /* some cannot, or the position is of another epoch or in the future */
	HUB_NEW,        /* it did not name a position, so nothing can be missing */
	HUB_SUBSCRIBED, /* it is subscribed already */
	HUB_NO_HISTORY, /* the channel keeps none */
};
#define HUB_VERDICTS (HUB_NO_HISTORY + 1)

struct hub_resumption {
	enum hub_verdict verdict;
	/*
	 * HUB_RESUMED, HUB_NEW: behind which the replay begins. HUB_LOST: behind which all messages
	 * are kept. HUB_SUBSCRIBED: up to which messages were queued. HUB_NO_HISTORY: 0-0.
	 */
	struct hub_position position;
	uint64_t count; /* messages that are kept behind it; HUB_SUBSCRIBED, HUB_NO_HISTORY: 0 */
};

/* What becomes of a subscriber that goes on with the channel at `since`. */
struct hub_resumption hub_judge(struct subscriber *s, struct slice channel,
    const struct position_since *since, uint64_t now_us);

/* True if every message of the channel behind the seq is kept: it may be passed to
 * hub_subscribe_after(). */
bool hub_can_resume(struct hub *hub, struct slice channel, uint64_t after_seq, uint64_t now_us)
    __attribute__((warn_unused_result));

/* As hub_subscribe() with HUB_CHANNEL; at HUB_OK the messages behind after_seq are replayed. Call
 * hub_start_replay() when the subscriber was told of its subscriptions. */
enum hub_result hub_subscribe_after(struct subscriber *s, struct slice channel, uint64_t after_seq,
    uint64_t now_us) __attribute__((warn_unused_result));

/* A channel that the replay of a pattern begins with. */
struct hub_matched {
	struct topic *topic; /* with a ring */
	uint64_t after_seq;
	uint32_t number; /* of the messages that the ring ever had, how many come up to after_seq,
			    modulo 2^32 */
};

/*
 * As hub_subscribe() with HUB_PATTERN; at HUB_OK the messages of the matched channels are replayed,
 * merged by seq with all others of the subscriber. Every channel that the pattern matches and whose
 * ring has a newest_seq above after_seq is in `matched`, once, and no other. Call
 * hub_start_replay() when the subscriber was told of its subscriptions.
 */
enum hub_result hub_psubscribe_after(struct subscriber *s, struct slice pattern, uint64_t after_seq,
    const struct hub_matched *matched, size_t count) __attribute__((warn_unused_result));

/* From now on new messages that are kept are left to a replay, although there may be none yet: the
 * subscriber is about to subscribe to further channels, whose messages may be older. Then call
 * hub_start_replay(). */
void hub_hold_replay(struct subscriber *s);

/* Lets the replay begin, if there is one. */
void hub_start_replay(struct subscriber *s);

enum hub_replay_result {
	HUB_REPLAY_IDLE, /* nothing can be done before an outbox is low */
	HUB_REPLAY_MORE,
	HUB_REPLAY_FULL, /* limits.memory_bytes is reached: call it again soon */
};

/* Queues the next portion of one subscriber. Or ends, first of all, some of the replays from a ring
 * that was freed. */
enum hub_replay_result hub_replay(struct hub *hub, uint64_t now_us);

/* True if a ring was freed and not all that read it have noticed: call hub_replay() soon. */
bool hub_replay_is_forgetting(const struct hub *hub);

/* The channels that are still read for the subscriber, counted once for each subscription: at most
 * CURSOR_ENTRIES_MAX (cursor.h), or it overflows when a publisher adds one. */
size_t hub_replay_entries(const struct subscriber *s);

/* Up to which messages were queued: the newest position, unless a replay has more to queue. */
struct hub_position hub_queued_position(const struct subscriber *s);

/* How far a subscriber is. */
struct hub_replay_progress {
	uint32_t channels;            /* subscriptions that are being replayed */
	uint64_t behind;              /* messages that are still to be queued for them */
	struct hub_position position; /* everything up to it was queued */
};
struct hub_replay_progress hub_replay_progress(const struct subscriber *s);

struct hub_replay_figures {
	size_t cursors;       /* subscribers with a replay */
	uint64_t replayed;    /* messages that were queued by replays */
	uint64_t overtaken;   /* messages that left a ring before they were queued */
	uint64_t fell_behind; /* live subscriptions that became replayed ones */
	size_t bytes;         /* memory of encoded portions that are kept for sharing */
};
struct hub_replay_figures hub_replay_figures(const struct hub *hub);

#endif

#ifndef PUBSUB_HISTORY_H
#define PUBSUB_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/position.h"
#include "pubsub/recent_rings.h"
#include "pubsub/ring.h"

/*
 * History: the rings of all channels, and which messages they keep: limits by channel, expiry,
 * bounds for all rings together, and the verdict on a reader that comes back.
 *
 * Every message that is to be kept gets the next seq. What cannot be had any more is known by three
 * numbers. trimmed_seq of a ring: all messages of this channel with a higher seq are in the ring.
 * forgotten_seq: a channel without a ring had no message with a higher seq. floor_seq: no reader
 * begins with a message up to it, although rings may have some; readers that began before
 * history_forget() go on with them. A ring that becomes
 * empty stays for its time to live after the last message, because freeing it raises forgotten_seq,
 * which other channels' readers feel; eviction frees it earlier.
 *
 * Under the memory limit the oldest chunk of all rings goes first. At the limit of channels, of the
 * next eight rings in turn the one that was written to least recently goes.
 *
 * A channel is an owner: a pointer that history never follows, and the number of its ring, which
 * the owner stores. Times are monotonic microseconds, given as arguments. It
 * knows no clients, no names and no option lines.
 */
struct history;

struct history_limits {
	size_t memory_bytes; /* of rings; 0: no limit */
	uint32_t channels;   /* with a ring, at least 1 */
};

struct history_config {
	const struct history_limits *limits; /* borrowed, may change: then call history_work() */
	uint64_t epoch;
	/* The owner's ring is freed: its number is 0 from now on. It had or skipped `appended`
	 * messages, modulo 2^32. May be called by each function that says so. It must not call
	 * history. */
	void (*forgotten)(void *arg, void *owner, uint32_t appended);
	void *arg;
};

/* What a channel keeps. keeps nothing if size is 0. */
struct history_rules {
	uint32_t size;          /* messages */
	uint32_t ttl_s;         /* at least 1 if size is not 0 */
	uint64_t bytes;         /* of payloads */
	uint64_t message_bytes; /* a longer message is not kept, nor anything before it */
};

struct history *history_new(const struct history_config *config); /* returns owned */
void history_free(struct history *history);                       /* does not call forgotten() */

struct hub_position history_position(const struct history *history); /* of the newest message */
uint64_t history_forgotten_seq(const struct history *history);
uint64_t history_floor_seq(const struct history *history);

/*
 * Keeps a message of owner, whose ring has the number *ring or, if *ring is 0, gets one. Copies
 * payload. Returns its seq. rules->size is not 0. It never calls forgotten(): call
 * history_enforce() afterwards.
 */
uint64_t history_append(struct history *history, void *owner, uint32_t *ring,
    const struct history_rules *rules, struct slice payload, uint64_t now_us);

/* Counts a message that this ring does not keep, and frees those before it: a reader that is behind
 * it has lost it. Returns its seq. */
uint64_t history_skip(struct history *history, uint32_t ring, uint64_t now_us);

/* Frees what exceeds the limits, as far as messages that were appended since the last call can
 * exceed them. May call forgotten(). */
void history_enforce(struct history *history);

/* From now on messages are kept that were not before, in a channel or in many: nobody whose
 * position is older has all messages of a channel without ring. Takes a seq, which names no
 * message. */
void history_begin_keeping(struct history *history);

/* No position that was given before can be resumed from now on, in any channel: messages were
 * missed that no ring has. Takes a seq, which names no message. */
void history_forget(struct history *history);

/*
 * From now on another server gives the positions: see hub_follow.h. Nothing here takes a seq, and
 * of a channel without a ring nothing can be resumed. history_advance: the newest position is seq,
 * not less than before; the next message that is appended or skipped is the one behind it.
 */
void history_follow(struct history *history);
bool history_follows(const struct history *history);
void history_advance(struct history *history, uint64_t seq);

/* Ranges of seqs that the other server does not give: a position in one is that of a message which
 * was lost there, and cannot be resumed. Copies; count is at most HISTORY_HOLES. */
#define HISTORY_HOLES 64
struct history_hole {
	uint64_t first, last;
};
void history_set_holes(struct history *history, const struct history_hole *holes, size_t count);
bool history_is_hole(const struct history *history, uint64_t seq);

/* The options of a channel with that ring changed; size 0 frees the ring. May call forgotten(). */
void history_set_rules(
    struct history *history, uint32_t ring, const struct history_rules *rules, uint64_t now_us);

/* The ring of that number without what has expired by now. NULL for 0, and if nothing is left of
 * it. Borrows, until history is called again. May call forgotten(). */
struct ring *history_ring(struct history *history, uint32_t ring, uint64_t now_us);

/* All rings, also those whose messages have expired, for walks that end before history does. */
struct recent_rings *history_recent(struct history *history);

/* The ring of that number as it is: messages in it may have expired. NULL if there is none. A
 * number that an owner had before may be that of another ring now. Borrows, until history is called
 * again. */
const struct ring *history_peek(const struct history *history, uint32_t ring);

/* Removes all messages of a ring and returns history_count() of it. Readers of this channel that
 * had not read them are lost. May call forgotten(). */
uint64_t history_delete(struct history *history, uint32_t ring, uint64_t now_us);

/* history_reader.c: for readers that begin now; ring is what history_ring() returned.
 *
 * history_complete_seq: behind which all messages of the channel are kept: a reader begins there or
 * later. history_count: the messages behind it. history_seq_before_last: behind which the last n of
 * these come, or all if there are fewer. */
uint64_t history_complete_seq(const struct history *history, const struct ring *ring);
uint64_t history_count(const struct history *history, const struct ring *ring);
uint64_t history_seq_before_last(
    const struct history *history, const struct ring *ring, uint64_t n);

/* For a reader that has all messages up to the position. True if every message of the channel
 * behind it is in the ring. */
bool history_can_resume(const struct history *history, const struct ring *ring,
    struct hub_position position) __attribute__((warn_unused_result));

/*
 * One slice of expiry, of eviction after limits were lowered, and of freeing: about `budget`
 * messages, chunks or rings. False: more is due at now_us; call it again soon. May call
 * forgotten().
 */
bool history_work(struct history *history, uint64_t now_us, size_t budget)
    __attribute__((warn_unused_result));

/* When history_work() has to do something again; UINT64_MAX: never, unless history changes. It may
 * be earlier than necessary. */
uint64_t history_due_us(const struct history *history);

struct history_figures {
	size_t rings;
	size_t messages;
	size_t bytes;     /* of memory, which limits.memory_bytes limits */
	uint64_t evicted; /* messages that went because of limits.memory_bytes or limits.channels */
	uint64_t expired; /* messages */
};
struct history_figures history_figures(const struct history *history);

/* Of one ring, in bytes. */
size_t history_ring_bytes(const struct ring *ring);

/*
 * For a copy of the whole history, in another process or at the next start: hub_image.h.
 *
 * Writing: ring number i, below figures.rings, in no particular order; valid until history changes.
 * An age is a time before now_us.
 */
struct ring *history_ring_at(const struct history *history, size_t i);
uint64_t history_age_us(uint64_t then_us, uint64_t now_us); /* of appended_us, touched_us */

/*
 * Reading, into a history without rings. Between begin and end no other function is called except
 * for history_position(). The epoch is taken over as well.
 */
struct history_restored_ring {
	uint32_t ttl_s; /* at least 1 */
	uint32_t appended;
	uint64_t trimmed_seq, newest_seq; /* at most the newest position's */
	uint64_t touched_age_us;
};

void history_restore_begin(
    struct history *history, struct hub_position newest, uint64_t forgotten_seq);
struct ring *history_restore_ring(struct history *history, void *owner, uint32_t *number,
    const struct history_restored_ring *fields, uint64_t now_us);
/* Messages of a ring in the order of seq: above trimmed_seq, at most newest_seq. */
void history_restore_message(struct ring *ring, uint64_t seq, uint64_t age_us, struct slice payload,
    bool is_single, uint64_t now_us);
void history_restore_end(struct history *history);

/* The same for one ring in a history that follows and has others: history_load_begin(),
 * history_restore_ring(), history_restore_message(), history_load_end(). At the limit of channels
 * another ring is freed at the begin; then it calls forgotten(). */
void history_load_begin(struct history *history);
void history_load_end(struct history *history, struct ring *ring);

/* Messages of the ring are missing: the newest of them has this seq, and `count` were not seen.
 * Those before them are freed: see history_skip(). seq is not above the newest position. */
void history_miss(struct history *history, uint32_t ring, uint64_t seq, uint64_t count);

#endif

#ifndef PUBSUB_HISTORY_STATE_H
#define PUBSUB_HISTORY_STATE_H

#include "base/time_queue.h"
#include "pubsub/freed_rings.h"
#include "pubsub/history.h"

/* The state of a history. For the files of history.h only. */

/* Added to all times that are given, so that a restored message can be older than the clock. */
#define HISTORY_BASE_US (UINT64_C(1) << 52)

struct history {
	struct history_config config;
	struct ring_pool pool;
	uint64_t seq;
	uint64_t forgotten_seq;
	uint64_t floor_seq;
	uint64_t now_us;       /* of the newest message */
	size_t appended_bytes; /* of payload, since history_enforce() */
	/* The rings by number, from 1 on; unused slots are a list: see first_unused. */
	struct ring **rings;
	uint32_t room;  /* slots */
	uint32_t begun; /* slots that were ever used, since the table was empty */
	uint32_t first_unused;
	/* Each ring, with a time not later than that at which its oldest message expires. */
	struct time_queue queue;
	struct recent_rings recent;
	size_t hand; /* where in the queue the next samples are taken */
	struct freed_rings freed;
	uint64_t evicted;
	uint64_t expired;
	bool follows;
	uint32_t hole_count;
	struct history_hole holes[HISTORY_HOLES];
};

/* A new ring, whose newest message was appended at now_us (with HISTORY_BASE_US). */
struct ring *history_add_ring(
    struct history *history, void *owner, uint32_t ttl_s, uint64_t now_us);

/* When the oldest message expires; an empty ring goes a ttl after its last message. */
uint64_t history_end_us(const struct ring *ring);

#endif

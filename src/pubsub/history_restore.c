#include "config.h"

#include "pubsub/history.h"

#include <assert.h>

#include "pubsub/history_state.h"

/* Rings that another process or another server had. */

struct ring *
history_ring_at(const struct history *history, size_t i)
{
	return time_queue_at(&history->queue, (uint32_t)i)->thing;
}

uint64_t
history_age_us(uint64_t then_us, uint64_t now_us)
{
	now_us += HISTORY_BASE_US;
	return now_us > then_us ? now_us - then_us : 0;
}

static uint64_t
time_of_age(uint64_t age_us, uint64_t now_us)
{
	now_us += HISTORY_BASE_US;
	return age_us < now_us ? now_us - age_us : 0;
}

void
history_restore_begin(struct history *history, struct hub_position newest, uint64_t forgotten_seq)
{
	assert(history->queue.count == 0 && forgotten_seq <= newest.seq);
	history->config.epoch = newest.epoch;
	history->seq = newest.seq;
	history->forgotten_seq = forgotten_seq;
	history->floor_seq = 0;
}

struct ring *
history_restore_ring(struct history *history, void *owner, uint32_t *number,
    const struct history_restored_ring *fields, uint64_t now_us)
{
	struct ring *ring;

	assert(fields->ttl_s > 0 && fields->newest_seq <= history->seq);
	now_us = time_of_age(fields->touched_age_us, now_us);
	ring = history_add_ring(history, owner, fields->ttl_s, now_us);
	ring->trimmed_seq = fields->trimmed_seq;
	ring->newest_seq = fields->newest_seq;
	ring->appended = fields->appended;
	*number = ring->index;
	if (history->now_us < now_us)
		history->now_us = now_us;
	return ring;
}

void
history_restore_message(struct ring *ring, uint64_t seq, uint64_t age_us, struct slice payload,
    bool is_single, uint64_t now_us)
{
	ring_restore(ring, seq, time_of_age(age_us, now_us), payload, is_single);
}

void
history_restore_end(struct history *history)
{
	for (size_t i = 0; i < history->queue.count; i++) {
		struct ring *ring = history_ring_at(history, i);

		/* It can only become earlier, so ring i is not a later one now. */
		time_queue_change(&history->queue, ring->place, (int64_t)history_end_us(ring));
	}
	recent_rings_sort(&history->recent);
	ring_pool_sort(&history->pool);
}

void
history_load_end(struct history *history, struct ring *ring)
{
	time_queue_change(&history->queue, ring->place, (int64_t)history_end_us(ring));
}

void
history_set_holes(struct history *history, const struct history_hole *holes, size_t count)
{
	assert(count <= HISTORY_HOLES);
	history->hole_count = (uint32_t)count;
	for (size_t i = 0; i < count; i++)
		history->holes[i] = holes[i];
}

bool
history_is_hole(const struct history *history, uint64_t seq)
{
	for (uint32_t i = 0; i < history->hole_count; i++)
		if (seq >= history->holes[i].first && seq <= history->holes[i].last)
			return true;
	return false;
}

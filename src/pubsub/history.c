#include "config.h"

#include "pubsub/history.h"

#include <assert.h>

#include "base/alloc.h"
#include "pubsub/history_state.h"

#define SAMPLES 8  /* rings among which the least recently written is evicted */
#define AT_ONCE 16 /* chunks of a ring, or messages, that are freed at once */

/* For each message, chunks and rings that are freed at the memory limit: a chunk or a ring takes
 * about ENFORCE_BYTES or more, so that is more than the message takes. */
#define ENFORCE_LEAST 64
#define ENFORCE_BYTES 256

static void
set_place(void *thing, uint32_t place)
{
	((struct ring *)thing)->place = place;
}

static const struct time_queue_ops queue_ops = {set_place, xrealloc, xfree};

struct history *
history_new(const struct history_config *config)
{
	struct history *history = xcalloc(1, sizeof(*history));

	history->config = *config;
	ring_pool_init(&history->pool);
	time_queue_init(&history->queue, &queue_ops);
	recent_rings_init(&history->recent);
	return history;
}

static size_t
table_bytes(const struct history *history)
{
	return history->room * sizeof(*history->rings);
}

void
history_free(struct history *history)
{
	size_t budget = SIZE_MAX;
	struct time_queue_entry *entry;

	while ((entry = time_queue_first(&history->queue)) != NULL) {
		struct ring *ring = entry->thing;

		time_queue_remove(&history->queue, ring->place);
		while (!ring_free(ring, &budget))
			;
	}
	while (!freed_rings_work(&history->freed, &budget))
		;
	time_queue_release(&history->queue);
	xgrow_free(history->rings, table_bytes(history));
	xfree(history);
}

struct hub_position
history_position(const struct history *history)
{
	return (struct hub_position){history->config.epoch, history->seq};
}

uint64_t
history_forgotten_seq(const struct history *history)
{
	return history->forgotten_seq;
}

uint64_t
history_floor_seq(const struct history *history)
{
	return history->floor_seq;
}

static void
forget_upto(struct history *history, uint64_t seq)
{
	if (history->forgotten_seq < seq)
		history->forgotten_seq = seq;
}

/* Unused slots have the number of the next one, times 2, plus 1. */
static uint32_t
take_slot(struct history *history, struct ring *ring)
{
	uint32_t slot = history->first_unused;

	if (slot != 0) {
		history->first_unused = (uint32_t)((uintptr_t)history->rings[slot] >> 1);
	} else {
		if (history->begun + 1 >= history->room) {
			size_t room = history->room > 0 ? (size_t)history->room * 2 : 16;

			assert(room <= UINT32_MAX);
			history->rings = xgrow(
			    history->rings, table_bytes(history), room * sizeof(*history->rings));
			history->room = (uint32_t)room;
		}
		slot = ++history->begun;
	}
	history->rings[slot] = ring;
	return slot;
}

static void
release_slot(struct history *history, uint32_t slot)
{
	if (history->queue.count == 0) {
		xgrow_free(history->rings, table_bytes(history));
		history->rings = NULL;
		history->room = history->begun = history->first_unused = 0;
		return;
	}
	history->rings[slot] = (struct ring *)(((uintptr_t)history->first_unused << 1) | 1);
	history->first_unused = slot;
}

static uint64_t
ttl_us(const struct ring *ring)
{
	return (uint64_t)ring->ttl_s * 1000000;
}

uint64_t
history_end_us(const struct ring *ring)
{
	struct ring_message oldest;

	return (ring_oldest(ring, &oldest) ? oldest.appended_us : ring->touched_us) + ttl_us(ring);
}

struct ring *
history_add_ring(struct history *history, void *owner, uint32_t ttl_s, uint64_t now_us)
{
	struct ring *ring = ring_new(&history->pool, owner);

	ring->trimmed_seq = history->forgotten_seq;
	ring->touched_us = now_us;
	ring->ttl_s = ttl_s;
	ring->index = take_slot(history, ring);
	time_queue_add(&history->queue, ring, (int64_t)(now_us + ttl_us(ring)));
	recent_rings_add(&history->recent, ring);
	return ring;
}

static void
free_ring(struct history *history, struct ring *ring)
{
	void *owner = ring->owner;
	uint32_t appended = ring->appended;

	forget_upto(
	    history, ring->newest_seq > ring->trimmed_seq ? ring->newest_seq : ring->trimmed_seq);
	time_queue_remove(&history->queue, ring->place);
	recent_rings_remove(&history->recent, ring);
	release_slot(history, ring->index);
	freed_rings_add(&history->freed, ring);
	history->config.forgotten(history->config.arg, owner, appended);
}

/* Drops chunks, the oldest ones: many are freed in slices. */
static void
drop_chunks(struct history *history, struct ring *ring, uint32_t chunks)
{
	if (chunks > AT_ONCE)
		freed_rings_add(&history->freed, ring_cut(ring, chunks));
}

static void
trim(struct history *history, struct ring *ring, const struct history_rules *rules)
{
	drop_chunks(history, ring, ring_chunks_to_trim(ring, rules->size, rules->bytes));
	ring_trim(ring, rules->size, rules->bytes);
}

/* Takes all messages out of the ring; if there are many, another ring takes its place. */
static struct ring *
empty_ring(struct history *history, struct ring *ring)
{
	struct ring *fresh;

	if (ring->count <= AT_ONCE) {
		ring_trim(ring, 0, 0);
		return ring;
	}
	fresh = ring_new(&history->pool, ring->owner);
	fresh->newest_seq = fresh->trimmed_seq = ring->newest_seq;
	fresh->touched_us = ring->touched_us;
	fresh->appended = ring->appended;
	fresh->ttl_s = ring->ttl_s;
	fresh->index = ring->index;
	fresh->place = ring->place;
	history->rings[fresh->index] = fresh;
	time_queue_at(&history->queue, fresh->place)->thing = fresh;
	recent_rings_replace(&history->recent, ring, fresh);
	freed_rings_add(&history->freed, ring);
	return fresh;
}

static bool
fits(const struct history_rules *rules, size_t len)
{
	return len <= rules->message_bytes && len <= rules->bytes && len <= RING_PAYLOAD_MAX;
}

uint64_t
history_append(struct history *history, void *owner, uint32_t *number,
    const struct history_rules *rules, struct slice payload, uint64_t now_us)
{
	struct ring *ring;

	assert(rules->size > 0 && rules->ttl_s > 0);
	now_us += HISTORY_BASE_US;
	if (now_us < history->now_us) /* messages of a ring expire in their order */
		now_us = history->now_us;
	history->now_us = now_us;
	if (*number == 0) {
		ring = history_add_ring(history, owner, rules->ttl_s, now_us);
		*number = ring->index;
	} else {
		ring = history->rings[*number];
	}
	history->seq++;
	if (fits(rules, payload.len)) {
		if (ring->count > rules->size || ring->payload_bytes > rules->bytes)
			trim(history, ring, rules); /* they were lowered */
		history->appended_bytes += payload.len;
		ring_append(ring, history->seq, now_us, payload, rules->size, rules->bytes);
	} else {
		ring = empty_ring(history, ring);
		ring_skip(ring, history->seq, now_us);
	}
	recent_rings_touch(&history->recent, ring);
	return history->seq;
}

uint64_t
history_skip(struct history *history, uint32_t number, uint64_t now_us)
{
	struct ring *ring = empty_ring(history, history->rings[number]);

	now_us += HISTORY_BASE_US;
	if (now_us > history->now_us)
		history->now_us = now_us;
	ring_skip(ring, ++history->seq, history->now_us);
	recent_rings_touch(&history->recent, ring);
	return history->seq;
}

/* A seq that names no message. Positions of another server have none of those. */
static uint64_t
take_seq(struct history *history)
{
	return history->follows ? history->seq : ++history->seq;
}

void
history_miss(struct history *history, uint32_t number, uint64_t seq, uint64_t count)
{
	struct ring *ring = history->rings[number];

	if (seq <= ring->newest_seq)
		return;
	ring = empty_ring(history, ring);
	ring_skip(ring, seq, ring->touched_us);
	/* Readers count what they have missed modulo 2^32. */
	ring->appended += (uint32_t)(count < UINT32_MAX / 2 ? count : UINT32_MAX / 2) - 1;
	recent_rings_touch(&history->recent, ring);
}

void
history_begin_keeping(struct history *history)
{
	forget_upto(history, take_seq(history));
}

void
history_forget(struct history *history)
{
	forget_upto(history, take_seq(history));
	history->floor_seq = history->seq;
}

void
history_follow(struct history *history)
{
	history->follows = true;
}

bool
history_follows(const struct history *history)
{
	return history->follows;
}

void
history_advance(struct history *history, uint64_t seq)
{
	assert(history->follows && seq >= history->seq);
	history->seq = seq;
}

void
history_set_rules(
    struct history *history, uint32_t number, const struct history_rules *rules, uint64_t now_us)
{
	struct ring *ring = history_ring(history, number, now_us);

	if (ring == NULL)
		return;
	if (rules->size == 0) {
		free_ring(history, ring);
		return;
	}
	assert(rules->ttl_s > 0);
	ring->ttl_s = rules->ttl_s;
	trim(history, ring, rules);
	time_queue_change(&history->queue, ring->place, (int64_t)history_end_us(ring));
}

/* Removes what has expired. False: the budget is used up. The ring may be freed, also then. With
 * SIZE_MAX all messages go at once, and the memory of many in slices. */
static bool
expire(struct history *history, struct ring *ring, uint64_t now_us, size_t *budget)
{
	uint64_t ttl = ttl_us(ring), before = ring->count;
	bool is_done = true;

	if (ring->touched_us + ttl <= now_us) {
		history->expired += before;
		free_ring(history, ring);
		return true;
	}
	if (now_us >= ttl && *budget == SIZE_MAX)
		drop_chunks(history, ring, ring_chunks_to_expire(ring, now_us - ttl));
	if (now_us >= ttl)
		is_done = ring_expire(ring, now_us - ttl, budget);
	history->expired += before - ring->count;
	return is_done;
}

struct ring *
history_ring(struct history *history, uint32_t number, uint64_t now_us)
{
	struct ring *ring = number != 0 ? history->rings[number] : NULL;
	size_t budget = SIZE_MAX;

	now_us += HISTORY_BASE_US;
	if (ring == NULL || history_end_us(ring) > now_us)
		return ring;
	if (ring->touched_us + ttl_us(ring) <= now_us)
		ring = NULL; /* see expire() */
	(void)expire(history, history->rings[number], now_us, &budget);
	return ring;
}

const struct ring *
history_peek(const struct history *history, uint32_t number)
{
	if (number == 0 || number > history->begun || ((uintptr_t)history->rings[number] & 1) != 0)
		return NULL;
	return history->rings[number];
}

struct recent_rings *
history_recent(struct history *history)
{
	return &history->recent;
}

uint64_t
history_delete(struct history *history, uint32_t number, uint64_t now_us)
{
	struct ring *ring = history_ring(history, number, now_us);
	uint64_t count = history_count(history, ring);

	if (ring != NULL && ring->count > 0)
		(void)empty_ring(history, ring);
	return count;
}

size_t
history_ring_bytes(const struct ring *ring)
{
	return ring_bytes(ring) + sizeof(struct time_queue_entry) + sizeof(struct ring *);
}

static size_t
bytes_of(const struct history *history)
{
	return history->pool.bytes + history->queue.room * sizeof(struct time_queue_entry) +
	       table_bytes(history) + freed_rings_bytes(&history->freed);
}

struct history_figures
history_figures(const struct history *history)
{
	return (struct history_figures){
	    .rings = history->queue.count,
	    .messages = history->pool.messages,
	    .bytes = bytes_of(history),
	    .evicted = history->evicted,
	    .expired = history->expired,
	};
}

static struct ring *
least_recently_written(struct history *history)
{
	struct ring *least = NULL;

	for (int i = 0; i < SAMPLES; i++) {
		struct ring *ring;

		if (++history->hand >= history->queue.count)
			history->hand = 0;
		ring = time_queue_at(&history->queue, (uint32_t)history->hand)->thing;
		if (least == NULL || ring->newest_seq < least->newest_seq)
			least = ring;
	}
	return least;
}

static void
evict_ring(struct history *history)
{
	struct ring *ring = least_recently_written(history);

	history->evicted += ring->count;
	free_ring(history, ring);
}

/* Otherwise the ring that is loaded would go at once, if its messages are the oldest. */
void
history_load_begin(struct history *history)
{
	if (history->queue.count > 0 && history->queue.count >= history->config.limits->channels)
		evict_ring(history);
}

/* False: nothing is left to evict. */
static bool
evict_chunk(struct history *history)
{
	struct ring *ring = ring_pool_oldest(&history->pool);
	uint64_t before;

	if (ring == NULL) {
		if (history->queue.count == 0)
			return false;
		evict_ring(history);
		return true;
	}
	before = ring->count;
	ring_drop_oldest_chunk(ring);
	history->evicted += before - ring->count;
	if (ring->owner != NULL && ring->count == 0)
		free_ring(history, ring);
	return true;
}

static inline bool
is_over_limits(const struct history *history)
{
	const struct history_limits *limits = history->config.limits;

	return history->queue.count > limits->channels ||
	       (limits->memory_bytes > 0 && bytes_of(history) > limits->memory_bytes &&
		   history->pool.rings > 0);
}

/* Brings the rings below the limits. False: the budget is used up. */
static __attribute__((noinline)) bool
enforce(struct history *history, size_t *budget)
{
	while (is_over_limits(history)) {
		if (*budget == 0)
			return false;
		(*budget)--;
		if (history->queue.count > history->config.limits->channels)
			evict_ring(history);
		else if (!evict_chunk(history) && freed_rings_work(&history->freed, budget))
			break;
	}
	return true;
}

void
history_enforce(struct history *history)
{
	size_t budget = ENFORCE_LEAST + history->appended_bytes / ENFORCE_BYTES;

	history->appended_bytes = 0;
	if (is_over_limits(history))
		(void)enforce(history, &budget);
}

bool
history_work(struct history *history, uint64_t now_us, size_t budget)
{
	struct time_queue_entry *entry;

	now_us += HISTORY_BASE_US;
	if (!freed_rings_work(&history->freed, &budget) || !enforce(history, &budget))
		return false;
	while (
	    (entry = time_queue_first(&history->queue)) != NULL && (uint64_t)entry->at <= now_us) {
		struct ring *ring = entry->thing;
		size_t rings = history->queue.count;

		if (budget == 0)
			return false;
		budget--;
		if (!expire(history, ring, now_us, &budget))
			return false;
		if (history->queue.count == rings)
			time_queue_change(
			    &history->queue, ring->place, (int64_t)history_end_us(ring));
	}
	return history->freed.count == 0;
}

uint64_t
history_due_us(const struct history *history)
{
	const struct time_queue_entry *first = time_queue_first(&history->queue);

	if (history->freed.count > 0 || is_over_limits(history))
		return 0;
	if (first == NULL)
		return UINT64_MAX;
	return (uint64_t)first->at > HISTORY_BASE_US ? (uint64_t)first->at - HISTORY_BASE_US : 0;
}

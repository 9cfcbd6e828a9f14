#include "config.h"

#include "pubsub/hub_gather.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/hash_map.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/hub_state.h"
#include "pubsub/newest_seqs.h"
#include "pubsub/recent_rings.h"

/* A look at a ring costs about as much as so many steps of the channel tree, chunks of a ring, and
 * messages of one. */
#define TREE_STEPS 64
#define CHUNKS 8
#define MESSAGES 16

struct gathered {
	struct hub_matched matched; /* topic NULL: the ring was freed, or has another owner */
	uint32_t ring;              /* its number */
	uint32_t pattern;
	uint32_t count; /* of messages behind matched.after_seq */
	uint32_t next;  /* of the same ring: its index + 1 */
};

struct gathered_pattern {
	const struct topic *topic; /* in the gather's tree */
	struct hub_start start;
	struct newest_seqs newest; /* most 0: it was not asked for the last N messages */
	size_t first, count;       /* in sorted */
};

struct hub_gather {
	struct hub *hub;
	struct channel_tree *tree; /* the patterns, whose tags are their numbers */
	struct gathered_pattern *patterns;
	struct gathered *entries;
	struct hub_matched *sorted;   /* by pattern */
	struct hash_map *by_ring;     /* number of a ring -> index of its first entry + 1 */
	struct ring_walk walk;        /* of the pass in progress */
	struct ring_walk begun_at[2]; /* in a hub that follows: where the last passes began */
	struct hub_position begun;    /* the newest position at the beginning */
	struct position_since since;  /* of hub_gather_since() */
	uint64_t top_seq;             /* the newest seq when the last pass began */
	uint64_t low_seq;             /* the pass ends there */
	uint32_t pattern_count;
	uint32_t count, room, channels_max;
	uint32_t ended_by; /* hub_gather_lost() */
	uint32_t passes;
	uint8_t result;  /* enum hub_gather_result: of what was gathered so far */
	bool has_paused; /* the hub may have changed since the beginning */
	bool has_begun;
	bool has_passed; /* the first pass, which visits each ring once, is over */
};

bool
hub_gather_may_begin(const struct hub *hub)
{
	return hub->gathers < HUB_GATHERS_MAX;
}

struct hub_gather *
hub_gather_new(struct hub *hub, uint32_t channels_max)
{
	struct hub_gather *gather = xcalloc(1, sizeof(*gather));

	gather->hub = hub;
	hub->gathers++;
	gather->tree = channel_tree_new();
	gather->by_ring = hash_map_new();
	gather->channels_max = channels_max;
	gather->low_seq = UINT64_MAX;
	gather->result = HUB_GATHER_DONE;
	return gather;
}

void
hub_gather_free(struct hub_gather *gather)
{
	if (gather == NULL)
		return;
	gather->hub->gathers--;
	ring_walk_end(&gather->walk);
	ring_walk_end(&gather->begun_at[0]);
	ring_walk_end(&gather->begun_at[1]);
	for (uint32_t i = 0; i < gather->pattern_count; i++)
		newest_seqs_release(&gather->patterns[i].newest);
	channel_tree_free(gather->tree);
	hash_map_free(gather->by_ring);
	xfree(gather->patterns);
	xfree(gather->entries);
	xfree(gather->sorted);
	xfree(gather);
}

uint32_t
hub_gather_add(struct hub_gather *gather, struct slice pattern, struct hub_start start)
{
	struct topic *topic = channel_tree_add(gather->tree, true, pattern);
	uint32_t number = gather->pattern_count++;

	assert(!gather->has_begun && start.after_seq <= start.whole_seq);
	topic->tag = number;
	if ((number & (number - 1)) == 0) /* there is room for a power of two */
		gather->patterns = xrealloc(
		    gather->patterns, (number > 0 ? number * 2 : 1) * sizeof(*gather->patterns));
	gather->patterns[number] = (struct gathered_pattern){.topic = topic, .start = start};
	if (start.after_seq < gather->low_seq)
		gather->low_seq = start.after_seq;
	return number;
}

bool
hub_gather_find(const struct hub_gather *gather, struct slice pattern, uint32_t *number)
{
	const struct topic *topic = channel_tree_find(gather->tree, true, pattern);

	if (topic != NULL)
		*number = topic->tag;
	return topic != NULL;
}

static void
end(struct hub_gather *gather, enum hub_gather_result result, uint32_t pattern)
{
	if (gather->result != HUB_GATHER_DONE)
		return;
	gather->result = (uint8_t)result;
	gather->ended_by = pattern;
}

/* A freed ring, or one that is not kept any more, raises forgotten_seq. */
static void
check_forgotten(struct hub_gather *gather)
{
	const struct history *history = hub_history(gather->hub);
	uint64_t forgotten_seq = history_position(history).epoch == gather->begun.epoch
				     ? history_forgotten_seq(history)
				     : UINT64_MAX;

	for (uint32_t i = 0; i < gather->pattern_count; i++)
		if (forgotten_seq > gather->patterns[i].start.whole_seq)
			end(gather, HUB_GATHER_LOST, i);
}

/* Up to which seq messages of the pattern are not wanted, as far as is known. */
static uint64_t
floor_of(const struct hub_gather *gather, const struct gathered_pattern *pattern)
{
	uint64_t seq = pattern->newest.most > 0 ? newest_seqs_floor(&pattern->newest)
						: pattern->start.after_seq;
	uint64_t floor_seq = history_floor_seq(hub_history(gather->hub));

	return seq > floor_seq ? seq : floor_seq;
}

static struct slice
key_of(const uint32_t *ring)
{
	return (struct slice){(const char *)ring, sizeof(*ring)};
}

static uint32_t
first_of(const struct hub_gather *gather, uint32_t ring)
{
	return (uint32_t)(uintptr_t)hash_map_get(gather->by_ring, key_of(&ring));
}

/* The entry for that pattern and ring. NULL: there are too many. */
static struct gathered *
entry_of(struct hub_gather *gather, uint32_t pattern, uint32_t ring)
{
	uint32_t first = first_of(gather, ring);
	struct gathered *entry;

	for (uint32_t i = first; i != 0; i = entry->next) {
		entry = &gather->entries[i - 1];
		if (entry->pattern == pattern)
			return entry;
	}
	if (gather->count == gather->channels_max) {
		end(gather, HUB_GATHER_TOO_MANY, pattern);
		return NULL;
	}
	if (gather->count == gather->room) {
		gather->room = gather->room > 0 ? gather->room * 2 : 8;
		gather->entries =
		    xrealloc(gather->entries, gather->room * sizeof(*gather->entries));
	}
	entry = &gather->entries[gather->count++];
	*entry = (struct gathered){.ring = ring, .pattern = pattern, .next = first};
	(void)hash_map_set(gather->by_ring, key_of(&ring), (void *)(uintptr_t)gather->count);
	return entry;
}

/* Where the ring's part of the pattern's replay begins. */
static void
set_entry(struct hub_gather *gather, struct gathered *entry, const struct ring *ring)
{
	const struct gathered_pattern *pattern = &gather->patterns[entry->pattern];
	uint64_t after_seq = floor_of(gather, pattern);

	if (ring->trimmed_seq > pattern->start.whole_seq)
		end(gather, HUB_GATHER_LOST, entry->pattern);
	if (after_seq < ring->trimmed_seq)
		after_seq = ring->trimmed_seq;
	entry->count = (uint32_t)ring_count_after(ring, after_seq);
	entry->matched = (struct hub_matched){
	    .topic = ring->owner,
	    .after_seq = after_seq,
	    .number = ring->appended - entry->count,
	};
}

/* Adds the messages of the ring that were there at the beginning to the last N of the pattern. */
static void
add_newest(
    struct hub_gather *gather, struct newest_seqs *newest, const struct ring *ring, size_t *cost)
{
	struct ring_reverse_iterator it;
	struct ring_message message;

	ring_before(ring, gather->begun.seq, &it);
	while (ring_previous(&it, &message)) {
		*cost += 1;
		if (!newest_seqs_add(newest, message.seq))
			break;
	}
}

static void
gather_ring(struct hub_gather *gather, uint32_t number, struct ring *ring, size_t *cost)
{
	struct gathered_pattern *pattern = &gather->patterns[number];
	uint32_t before = gather->count;
	struct gathered *entry;

	if (ring->newest_seq <= floor_of(gather, pattern))
		return;
	entry = entry_of(gather, number, ring->index);
	if (entry == NULL)
		return;
	/* A ring that was visited before has nothing more that was there at the beginning. */
	if (pattern->newest.most > 0 && gather->count > before)
		add_newest(gather, &pattern->newest, ring, cost);
	set_entry(gather, entry, ring);
}

/* True if some pattern wants messages of a ring with that newest seq. */
static bool
is_wanted(const struct hub_gather *gather, struct topic **topics, size_t count, uint64_t newest_seq)
{
	for (size_t i = 0; i < count; i++)
		if (newest_seq > floor_of(gather, &gather->patterns[topics[i]->tag]))
			return true;
	return false;
}

/* Returns about how many times the cost of a look at a ring this one took besides the look. */
static size_t
visit(struct hub_gather *gather, struct ring *ring, uint64_t now_us)
{
	uint64_t steps = channel_tree_steps(gather->tree);
	uint32_t number = ring->index;
	size_t count, cost = 0;
	struct topic **topics;

	if (gather->has_passed)
		for (uint32_t i = first_of(gather, number); i != 0; i = gather->entries[i - 1].next)
			gather->entries[i - 1].matched.topic = NULL;
	topics = channel_tree_match(gather->tree, topic_name(ring->owner), &count);
	if (is_wanted(gather, topics, count, ring->newest_seq)) {
		cost = ring->chunk_count / CHUNKS;
		ring = history_ring(hub_history(gather->hub), number, now_us);
		for (size_t i = 0; i < count && ring != NULL; i++)
			gather_ring(gather, topics[i]->tag, ring, &cost);
	}
	return cost / MESSAGES + (channel_tree_steps(gather->tree) - steps) / TREE_STEPS;
}

/* The rest of a pass need not be walked. */
static bool
is_below(const struct hub_gather *gather, const struct ring *ring)
{
	uint64_t low = gather->low_seq;

	if (history_follows(hub_history(gather->hub)))
		return false; /* rings that were loaded are not in the order of their seqs */
	/* If there is one pattern, its floor may rise. */
	if (gather->pattern_count == 1 && floor_of(gather, &gather->patterns[0]) > low)
		low = floor_of(gather, &gather->patterns[0]);
	return ring->newest_seq <= low;
}

/* False: the budget is used up. */
static bool
walk(struct hub_gather *gather, uint64_t now_us, size_t *budget)
{
	while (*budget > 0 && gather->result == HUB_GATHER_DONE) {
		struct ring *ring = ring_walk_next(&gather->walk, budget);
		size_t cost;

		if (ring == NULL && *budget == 0)
			return false;
		if (ring == NULL || is_below(gather, ring)) {
			ring_walk_end(&gather->walk);
			return true;
		}
		cost = visit(gather, ring, now_us);
		*budget -= cost < *budget ? cost : *budget;
	}
	return gather->result != HUB_GATHER_DONE;
}

/*
 * Rings may have been trimmed and freed since they were visited, and the floor may have risen. It
 * looks at no message unless that is so, because it is not divided into steps.
 */
static void
settle(struct hub_gather *gather)
{
	const struct history *history = hub_history(gather->hub);

	for (uint32_t i = 0; i < gather->count; i++) {
		struct gathered *entry = &gather->entries[i];
		uint64_t floor_seq = floor_of(gather, &gather->patterns[entry->pattern]);
		const struct ring *ring = history_peek(history, entry->ring);

		if (entry->matched.topic == NULL)
			continue;
		if (ring == NULL || ring->newest_seq <= floor_seq)
			entry->matched.topic = NULL;
		else if (entry->matched.after_seq < ring->trimmed_seq ||
			 entry->matched.after_seq < floor_seq)
			set_entry(gather, entry, ring);
	}
}

static void
sort(struct hub_gather *gather)
{
	size_t at = 0;

	for (uint32_t i = 0; i < gather->pattern_count; i++)
		gather->patterns[i].count = 0;
	for (uint32_t i = 0; i < gather->count; i++)
		gather->patterns[gather->entries[i].pattern].count +=
		    gather->entries[i].matched.topic != NULL;
	for (uint32_t i = 0; i < gather->pattern_count; i++) {
		gather->patterns[i].first = at;
		at += gather->patterns[i].count;
		gather->patterns[i].count = 0;
	}
	xfree(gather->sorted);
	gather->sorted = xcalloc(at + 1, sizeof(*gather->sorted));
	for (uint32_t i = 0; i < gather->count; i++) {
		struct gathered_pattern *pattern = &gather->patterns[gather->entries[i].pattern];

		if (gather->entries[i].matched.topic != NULL)
			gather->sorted[pattern->first + pattern->count++] =
			    gather->entries[i].matched;
	}
}

static void
begin(struct hub_gather *gather)
{
	struct history *history = hub_history(gather->hub);

	gather->begun = history_position(history);
	gather->has_begun = true;
	gather->top_seq = gather->low_seq;
	/* No ring has a message behind the newest one. */
	if (history_follows(history) && gather->low_seq >= gather->begun.seq)
		ring_walk_begin(&gather->begun_at[gather->passes++ % 2], history_recent(history));
}

/* Walks through the rings that were written to since the last pass began, or loaded. */
static void
begin_pass(struct hub_gather *gather)
{
	struct history *history = hub_history(gather->hub);
	struct ring_walk *here = &gather->begun_at[gather->passes % 2];

	gather->has_passed = gather->passes > 0;
	gather->low_seq = gather->top_seq;
	gather->top_seq = history_position(history).seq;
	ring_walk_begin(&gather->walk, history_recent(history));
	if (history_follows(history)) {
		if (gather->has_passed)
			ring_walk_until(&gather->walk, &gather->begun_at[1 - gather->passes % 2]);
		ring_walk_end(here);
		ring_walk_begin(here, history_recent(history));
	}
	gather->passes++;
}

/* No ring has changed since the last pass began. */
static bool
is_up_to_date(const struct hub_gather *gather)
{
	const struct history *history = hub_history(gather->hub);

	if (history_follows(history))
		return gather->passes > 0 &&
		       !ring_walk_is_behind(&gather->begun_at[1 - gather->passes % 2]);
	return gather->top_seq >= history_position(history).seq;
}

enum hub_gather_result
hub_gather_step(struct hub_gather *gather, uint64_t now_us, size_t budget)
{
	assert(gather->result == HUB_GATHER_DONE && budget > 0);
	if (!gather->has_begun)
		begin(gather);
	check_forgotten(gather);
	while (gather->result == HUB_GATHER_DONE) {
		if (gather->walk.rings == NULL) {
			if (is_up_to_date(gather))
				break;
			begin_pass(gather);
		}
		if (!walk(gather, now_us, &budget)) {
			gather->has_paused = true;
			return HUB_GATHER_MORE;
		}
	}
	if (gather->result == HUB_GATHER_DONE &&
	    (gather->has_paused || gather->patterns[0].newest.most > 0))
		settle(gather);
	gather->has_paused = true;
	check_forgotten(gather);
	if (gather->result == HUB_GATHER_DONE)
		sort(gather);
	return gather->result;
}

uint32_t
hub_gather_lost(const struct hub_gather *gather)
{
	assert(gather->result != HUB_GATHER_DONE);
	return gather->ended_by;
}

const struct hub_matched *
hub_gather_matched(const struct hub_gather *gather, uint32_t number, size_t *count)
{
	assert(number < gather->pattern_count && gather->sorted != NULL);
	*count = gather->patterns[number].count;
	return gather->sorted + gather->patterns[number].first;
}

struct hub_start
hub_gather_start(const struct hub_gather *gather, uint32_t number)
{
	struct hub_start start;

	assert(number < gather->pattern_count);
	start = gather->patterns[number].start;
	start.after_seq = floor_of(gather, &gather->patterns[number]);
	return start;
}

struct slice
hub_gather_pattern(const struct hub_gather *gather, uint32_t number)
{
	assert(number < gather->pattern_count);
	return topic_name(gather->patterns[number].topic);
}

uint32_t
hub_gather_channels(const struct hub_gather *gather)
{
	return gather->count;
}

/* The start of a gather that is to judge the position. */
static struct hub_start
start_of(const struct position_since *since)
{
	if (since->kind == POSITION_AT)
		return (struct hub_start){since->at.seq, since->at.seq};
	return (struct hub_start){0, UINT64_MAX};
}

void
hub_set_partial_patterns(struct hub *hub, bool are_partial)
{
	hub->has_partial_patterns = are_partial;
}

struct hub_gather *
hub_gather_since(struct subscriber *s, struct slice pattern, const struct position_since *since,
    uint32_t channels_max, struct hub_resumption *out)
{
	struct hub_position newest = history_position(hub_history(s->hub));
	struct hub_gather *gather;
	uint32_t number;

	*out = (struct hub_resumption){.verdict = HUB_NO_HISTORY};
	if ((hub_options_in_use(s->hub) & CHANNEL_BIT(history_size)) == 0)
		return NULL;
	if (hub_is_subscribed(s, HUB_PATTERN, pattern)) {
		*out = (struct hub_resumption){
		    .verdict = HUB_SUBSCRIBED, .position = hub_queued_position(s)};
		return NULL;
	}
	if (since->kind != POSITION_AT && s->hub->has_partial_patterns)
		return NULL;
	if (since->kind == POSITION_AT &&
	    (s->hub->has_partial_patterns || since->at.epoch != newest.epoch ||
		since->at.seq > newest.seq ||
		history_follows(hub_history(s->hub)))) { /* of which channels is not known here */
		*out = (struct hub_resumption){.verdict = HUB_LOST, .position = newest};
		return NULL;
	}
	if (since->kind == POSITION_NEW) {
		*out = (struct hub_resumption){.verdict = HUB_NEW, .position = newest};
		return NULL;
	}
	gather = hub_gather_new(s->hub, channels_max);
	gather->since = *since;
	number = hub_gather_add(gather, pattern, start_of(since));
	if (since->kind == POSITION_LAST)
		gather->patterns[number].newest.most = since->count < HUB_GATHER_LAST_MAX
							   ? (uint32_t)since->count
							   : HUB_GATHER_LAST_MAX;
	return gather;
}

static uint64_t
count_messages(const struct hub_gather *gather)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < gather->count; i++)
		if (gather->entries[i].matched.topic != NULL)
			count += gather->entries[i].count;
	return count;
}

struct hub_resumption
hub_gather_judge(
    const struct hub_gather *gather, enum hub_gather_result result, struct hub_start *start)
{
	struct hub_position newest = history_position(hub_history(gather->hub));
	struct hub_resumption resumption = {.verdict = HUB_LOST, .position = newest};

	assert(result != HUB_GATHER_MORE && gather->pattern_count == 1);
	if (result != HUB_GATHER_DONE)
		return resumption;
	*start = gather->patterns[0].start;
	resumption.verdict = HUB_RESUMED;
	if (gather->since.kind != POSITION_AT) {
		resumption.verdict = HUB_NEW;
		start->after_seq = floor_of(gather, &gather->patterns[0]);
		start->whole_seq = newest.seq;
	}
	resumption.position.seq = start->after_seq;
	resumption.count = count_messages(gather);
	return resumption;
}

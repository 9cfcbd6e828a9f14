#include "config.h"

#include "edge/opening.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "pubsub/channel_options.h"
#include "pubsub/hub_gather.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "server/request.h"

/* Rings in one step of a gather. */
#define STEP 64

/* Channels of all patterns: the subscriptions are made in one turn, at less than a microsecond
 * each. */
#define CHANNELS_MAX 8192

struct entry {
	struct edge_name name;
	struct position_since since;
	struct hub_start start; /* HUB_RESUMED, HUB_NEW of a pattern */
	bool has_since;
};

struct edge_opening {
	struct subscriber *subscriber;
	struct entry *entries;
	size_t count, room;
	struct edge_check check;   /* the caller's */
	size_t judged;             /* entries whose verdict is known, from the first */
	struct hub_gather *gather; /* of the pattern entries[judged]; or, when all are judged, of
				      all patterns together */
	uint32_t channels;         /* that the patterns judged so far have */
};

struct edge_opening *
edge_opening_new(struct subscriber *s)
{
	struct edge_opening *opening = xcalloc(1, sizeof(*opening));

	opening->subscriber = s;
	return opening;
}

void
edge_opening_free(struct edge_opening *opening)
{
	if (opening == NULL)
		return;
	hub_gather_free(opening->gather);
	for (size_t i = 0; i < opening->count; i++)
		xfree((char *)(uintptr_t)opening->entries[i].name.name.ptr);
	xfree(opening->entries);
	xfree(opening);
}

/* NULL: the name is there already. */
static struct entry *
add(struct edge_opening *opening, struct slice name, bool is_pattern)
{
	struct entry *entry;
	char *copy;

	for (size_t i = 0; i < opening->count; i++)
		if (opening->entries[i].name.is_pattern == is_pattern &&
		    slice_eq(opening->entries[i].name.name, name))
			return NULL;
	if (opening->count == opening->room) {
		opening->room = opening->room > 0 ? opening->room * 2 : 2;
		opening->entries =
		    xrealloc(opening->entries, opening->room * sizeof(*opening->entries));
	}
	copy = xmalloc(name.len + 1);
	memcpy(copy, name.ptr, name.len);
	entry = &opening->entries[opening->count++];
	*entry = (struct entry){
	    .name = {.name = {copy, name.len}, .is_pattern = is_pattern},
	};
	return entry;
}

void
edge_opening_add(struct edge_opening *opening, struct slice name, bool is_pattern,
    const struct position_since *since)
{
	struct entry *entry = add(opening, name, is_pattern);

	if (entry == NULL)
		return;
	entry->name.verdict = HUB_NO_HISTORY;
	if (since != NULL) {
		entry->since = *since;
		entry->has_since = true;
	}
}

void
edge_opening_add_lost(struct edge_opening *opening, struct slice name, bool is_pattern)
{
	/* The position 0-1: no daemon has the epoch 0. */
	static const struct position_since since = {.kind = POSITION_AT, .at = {0, 1}};

	edge_opening_add(opening, name, is_pattern, &since);
}

size_t
edge_opening_count(const struct edge_opening *opening)
{
	return opening->count;
}

const struct edge_name *
edge_opening_name(const struct edge_opening *opening, size_t i)
{
	return &opening->entries[i].name;
}

struct edge_check *
edge_opening_check(struct edge_opening *opening)
{
	return &opening->check;
}

/* The result of a step, or HUB_GATHER_MORE if the slice is over. */
static enum hub_gather_result
gather(struct edge_opening *opening, struct request *rq)
{
	enum hub_gather_result result;

	do {
		result = hub_gather_step(opening->gather, rq->now_us, STEP);
	} while (result == HUB_GATHER_MORE && !request_units_are_over(rq, STEP));
	return result;
}

static void
drop_gather(struct edge_opening *opening)
{
	hub_gather_free(opening->gather);
	opening->gather = NULL;
}

/* False: to be continued. */
static bool
judge_pattern(struct edge_opening *opening, struct entry *entry, struct request *rq)
{
	struct hub *hub = opening->subscriber->hub;
	struct hub_resumption resumption = {.verdict = HUB_NO_HISTORY};
	enum hub_gather_result result;

	if (opening->gather == NULL) {
		if (!hub_gather_may_begin(hub))
			return false;
		opening->gather = hub_gather_since(opening->subscriber, entry->name.name,
		    &entry->since, CHANNELS_MAX - opening->channels, &resumption);
		entry->start = (struct hub_start){resumption.position.seq, resumption.position.seq};
	}
	if (opening->gather != NULL) {
		result = gather(opening, rq);
		if (result == HUB_GATHER_MORE)
			return false;
		resumption = hub_gather_judge(opening->gather, result, &entry->start);
		if (result == HUB_GATHER_DONE)
			opening->channels += hub_gather_channels(opening->gather);
		drop_gather(opening);
	}
	entry->name.verdict = resumption.verdict;
	return true;
}

static bool
judge_all(struct edge_opening *opening, struct request *rq)
{
	while (opening->judged < opening->count) {
		struct entry *entry = &opening->entries[opening->judged];

		if (entry->name.is_pattern && entry->has_since &&
		    !judge_pattern(opening, entry, rq))
			return false;
		opening->judged++;
		if (opening->judged < opening->count && request_slice_is_over(rq))
			return false;
	}
	return true;
}

static bool
is_gathered(const struct entry *entry)
{
	return entry->name.is_pattern && entry->has_since &&
	       (entry->name.verdict == HUB_RESUMED || entry->name.verdict == HUB_NEW);
}

/* False: there are as many gathers as there should be. opening->gather NULL: nothing to gather. */
static bool
begin_joint_gather(struct edge_opening *opening)
{
	struct hub *hub = opening->subscriber->hub;

	for (size_t i = 0; i < opening->count; i++) {
		struct entry *entry = &opening->entries[i];

		if (!is_gathered(entry))
			continue;
		if (opening->gather == NULL && !hub_gather_may_begin(hub))
			return false;
		if (opening->gather == NULL)
			opening->gather = hub_gather_new(hub, CHANNELS_MAX);
		(void)hub_gather_add(opening->gather, entry->name.name, entry->start);
	}
	return true;
}

/* The pattern that ended the gather cannot be resumed any more. */
static void
note_lost_pattern(struct edge_opening *opening)
{
	struct slice lost = hub_gather_pattern(opening->gather, hub_gather_lost(opening->gather));

	for (size_t i = 0; i < opening->count; i++) {
		struct entry *entry = &opening->entries[i];

		if (is_gathered(entry) && slice_eq(entry->name.name, lost)) {
			entry->name.verdict = HUB_LOST;
			break;
		}
	}
	drop_gather(opening);
}

/* All patterns together, whose channels are then known in one turn. False: to be continued. */
static bool
gather_all(struct edge_opening *opening, struct request *rq)
{
	for (;;) {
		if (opening->gather == NULL && !begin_joint_gather(opening))
			return false;
		if (opening->gather == NULL)
			return true;
		switch (gather(opening, rq)) {
		case HUB_GATHER_MORE:
			return false;
		case HUB_GATHER_DONE:
			return true;
		default:
			note_lost_pattern(opening);
		}
	}
}

enum upstream_need
edge_opening_link(struct edge_opening *opening, struct request *rq)
{
	enum upstream_need result = UPSTREAM_READY;

	for (size_t i = 0; i < opening->count; i++) {
		const struct entry *entry = &opening->entries[i];
		struct upstream_name name = {
		    .kind = entry->name.is_pattern ? HUB_PATTERN : HUB_CHANNEL,
		    .name = entry->name.name};
		enum upstream_need need;

		if (entry->has_since && entry->since.kind == POSITION_AT)
			name.since = entry->since.at;
		need = upstream_await_name(rq, &name);

		if (need == UPSTREAM_REFUSES)
			return need;
		if (need == UPSTREAM_ASKED)
			result = need;
	}
	return result;
}

bool
edge_opening_step(struct edge_opening *opening, struct request *rq)
{
	return judge_all(opening, rq) && gather_all(opening, rq);
}

/* Where a channel begins for which no position was named. */
static bool
wants_latest(struct hub *hub, struct slice channel, struct position_since *since)
{
	uint64_t count;

	if ((hub_options_in_use(hub) & CHANNEL_BIT(replay)) == 0)
		return false;
	count = hub_options_of(hub, channel)->replay;
	*since = (struct position_since){.kind = POSITION_LAST, .count = count};
	return count > 0;
}

/* Judges a channel. True: it begins behind *after_seq. */
static bool
judge_channel(
    struct edge_opening *opening, struct entry *entry, uint64_t now_us, uint64_t *after_seq)
{
	struct subscriber *s = opening->subscriber;
	struct position_since since = entry->since;
	struct hub_resumption resumption;

	entry->name.keeps = hub_keeps(s->hub, entry->name.name);
	if (!entry->has_since && !wants_latest(s->hub, entry->name.name, &since))
		return false;
	resumption = hub_judge(s, entry->name.name, &since, now_us);
	if (entry->has_since)
		entry->name.verdict = resumption.verdict;
	*after_seq = resumption.position.seq;
	return resumption.verdict == HUB_RESUMED || resumption.verdict == HUB_NEW;
}

/* The channels that a pattern begins with; false: it begins with new messages. */
static bool
matched_of(struct edge_opening *opening, struct entry *entry, const struct hub_matched **matched,
    size_t *count)
{
	uint32_t number;

	entry->name.keeps =
	    (hub_options_in_use(opening->subscriber->hub) & CHANNEL_BIT(history_size)) != 0;
	if (!is_gathered(entry) || !hub_gather_find(opening->gather, entry->name.name, &number))
		return false;
	*matched = hub_gather_matched(opening->gather, number, count);
	return true;
}

static enum hub_result
subscribe_pattern(struct edge_opening *opening, struct entry *entry)
{
	struct subscriber *s = opening->subscriber;
	const struct hub_matched *matched;
	size_t count;

	if (!matched_of(opening, entry, &matched, &count))
		return hub_subscribe(s, HUB_PATTERN, entry->name.name);
	return hub_psubscribe_after(s, entry->name.name, entry->start.after_seq, matched, count);
}

static enum hub_result
subscribe_channel(struct edge_opening *opening, struct entry *entry, uint64_t now_us)
{
	struct subscriber *s = opening->subscriber;
	uint64_t after_seq;

	if (!judge_channel(opening, entry, now_us, &after_seq))
		return hub_subscribe(s, HUB_CHANNEL, entry->name.name);
	return hub_subscribe_after(s, entry->name.name, after_seq, now_us);
}

/* The names of the opening; those that were not subscribed to are left alone. */
static void
unsubscribe(struct edge_opening *opening)
{
	for (size_t i = 0; i < opening->count; i++) {
		const struct edge_name *name = &opening->entries[i].name;

		(void)!hub_unsubscribe(
		    opening->subscriber, name->is_pattern ? HUB_PATTERN : HUB_CHANNEL, name->name);
	}
}

static enum hub_result
subscribe_kind(
    struct edge_opening *opening, bool is_pattern, uint64_t now_us, const struct edge_name **failed)
{
	enum hub_result result = HUB_OK;

	for (size_t i = 0; i < opening->count && result == HUB_OK; i++) {
		struct entry *entry = &opening->entries[i];

		if (entry->name.is_pattern != is_pattern)
			continue;
		result = is_pattern ? subscribe_pattern(opening, entry)
				    : subscribe_channel(opening, entry, now_us);
		*failed = &entry->name;
	}
	return result;
}

/* Patterns first: the gathered topics are valid only until a ring is freed, and a look at the ring
 * of a channel frees one that has expired. */
enum hub_result
edge_opening_subscribe(
    struct edge_opening *opening, uint64_t now_us, const struct edge_name **failed)
{
	enum hub_result result = subscribe_kind(opening, true, now_us, failed);

	if (result == HUB_OK)
		result = subscribe_kind(opening, false, now_us, failed);
	if (result != HUB_OK)
		unsubscribe(opening);
	return result;
}

enum hub_result
edge_opening_subscribe_live(struct edge_opening *opening)
{
	for (size_t i = 0; i < opening->count; i++) {
		const struct edge_name *name = &opening->entries[i].name;
		enum hub_result result = hub_subscribe(
		    opening->subscriber, name->is_pattern ? HUB_PATTERN : HUB_CHANNEL, name->name);

		if (result != HUB_OK) {
			if (i > 0)
				unsubscribe(opening);
			return result;
		}
	}
	return HUB_OK;
}

/* A ring whose messages are read, and what they are received through. */
struct source {
	const struct edge_name *name;
	struct slice channel;
};

struct reading {
	struct ring_merge merge;
	struct ring_merge_entry *entries;
	struct source *sources;
	size_t count, room;
};

static void
add_source(struct reading *r, const struct edge_name *name, struct slice channel,
    const struct ring *ring, uint64_t after_seq)
{
	if (ring == NULL)
		return;
	r->sources[r->count] = (struct source){name, channel};
	ring_merge_add(&r->merge, ring, after_seq, r->count++);
}

/* One pass to count the rings, for the memory, and one to add them. */
static size_t
most_sources(struct edge_opening *opening)
{
	const struct hub_matched *matched;
	size_t sum = 0, count;

	for (size_t i = 0; i < opening->count; i++) {
		if (!opening->entries[i].name.is_pattern)
			sum++;
		else if (matched_of(opening, &opening->entries[i], &matched, &count))
			sum += count;
	}
	return sum;
}

static void
add_sources(struct edge_opening *opening, struct entry *entry, uint64_t now_us, struct reading *r)
{
	struct hub *hub = opening->subscriber->hub;
	const struct hub_matched *matched;
	uint64_t after_seq;
	size_t count;

	if (!entry->name.is_pattern) {
		if (judge_channel(opening, entry, now_us, &after_seq))
			add_source(r, &entry->name, entry->name.name,
			    hub_ring(hub, entry->name.name, now_us), after_seq);
		return;
	}
	if (!matched_of(opening, entry, &matched, &count))
		return;
	for (size_t i = 0; i < count; i++)
		add_source(r, &entry->name, topic_name(matched[i].topic),
		    history_peek(hub_history(hub), matched[i].topic->ring), matched[i].after_seq);
}

static bool
put_all(struct edge_opening *opening, struct reading *r,
    bool (*put)(void *arg, const struct hub_message *message), void *arg)
{
	uint64_t epoch = history_position(hub_history(opening->subscriber->hub)).epoch;
	struct ring_message m;
	size_t tag;

	while (ring_merge_next(&r->merge, &m, &tag)) {
		const struct source *source = &r->sources[tag];
		struct hub_message message = {
		    .kind = source->name->is_pattern ? HUB_PATTERN : HUB_CHANNEL,
		    .pattern = source->name->is_pattern ? source->name->name : (struct slice){0},
		    .channel = source->channel,
		    .payload = m.payload,
		    .position = {epoch, m.seq},
		};

		if (!put(arg, &message))
			return false;
	}
	return true;
}

bool
edge_opening_read(struct edge_opening *opening, uint64_t now_us,
    bool (*put)(void *arg, const struct hub_message *message), void *arg)
{
	struct reading r = {.room = most_sources(opening)};
	bool ok;

	r.entries = xmalloc((r.room + 1) * sizeof(*r.entries));
	r.sources = xmalloc((r.room + 1) * sizeof(*r.sources));
	ring_merge_init(&r.merge, r.entries);
	for (size_t i = 0; i < opening->count; i++)
		add_sources(opening, &opening->entries[i], now_us, &r);
	ok = put_all(opening, &r, put, arg);
	for (size_t i = 0; i < opening->count; i++)
		ok = ok && opening->entries[i].name.verdict != HUB_LOST;
	xfree(r.entries);
	xfree(r.sources);
	return ok;
}

void
edge_opening_drop(struct edge_opening **opening)
{
	edge_opening_free(*opening);
	*opening = NULL;
}

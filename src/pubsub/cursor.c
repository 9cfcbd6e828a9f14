#include "config.h"

#include "pubsub/cursor.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/hash_map.h"
#include "pubsub/subscriber.h"

enum cursor_state
cursor_state_after(enum cursor_state state, enum cursor_event event)
{
	static const uint8_t after[CURSOR_STATES][CURSOR_EVENTS] = {
	    [CURSOR_NONE] =
		{
		    [CURSOR_EVENT_ADDED] = CURSOR_HELD,
		    [CURSOR_EVENT_BEHIND] = CURSOR_DUE,
		    [CURSOR_EVENT_STARTED] = CURSOR_NONE,
		    [CURSOR_EVENT_FULL] = CURSOR_NONE,
		    [CURSOR_EVENT_LOW] = CURSOR_NONE,
		    [CURSOR_EVENT_ENDED] = CURSOR_NONE,
		},
	    [CURSOR_HELD] =
		{
		    [CURSOR_EVENT_ADDED] = CURSOR_HELD,
		    [CURSOR_EVENT_BEHIND] = CURSOR_HELD,
		    [CURSOR_EVENT_STARTED] = CURSOR_DUE,
		    [CURSOR_EVENT_FULL] = CURSOR_HELD,
		    [CURSOR_EVENT_LOW] = CURSOR_HELD,
		    [CURSOR_EVENT_ENDED] = CURSOR_NONE,
		},
	    [CURSOR_DUE] =
		{
		    [CURSOR_EVENT_ADDED] = CURSOR_HELD,
		    [CURSOR_EVENT_BEHIND] = CURSOR_DUE,
		    [CURSOR_EVENT_STARTED] = CURSOR_DUE,
		    [CURSOR_EVENT_FULL] = CURSOR_WAITING,
		    [CURSOR_EVENT_LOW] = CURSOR_DUE,
		    [CURSOR_EVENT_ENDED] = CURSOR_NONE,
		},
	    [CURSOR_WAITING] =
		{
		    [CURSOR_EVENT_ADDED] = CURSOR_HELD,
		    [CURSOR_EVENT_BEHIND] = CURSOR_WAITING,
		    [CURSOR_EVENT_STARTED] = CURSOR_WAITING,
		    [CURSOR_EVENT_FULL] = CURSOR_WAITING,
		    [CURSOR_EVENT_LOW] = CURSOR_DUE,
		    [CURSOR_EVENT_ENDED] = CURSOR_NONE,
		},
	};

	return (enum cursor_state)after[state][event];
}

static void
set_place(void *thing, uint32_t place)
{
	((struct cursor_entry *)thing)->place = place;
}

static const struct time_queue_ops queue_ops = {set_place, xrealloc, xfree};

struct cursor *
cursor_new(struct subscriber *subscriber)
{
	struct cursor *cursor = xcalloc(1, sizeof(*cursor));

	cursor->subscriber = subscriber;
	cursor->queued_seq = UINT64_MAX;
	TAILQ_INIT(&cursor->readers);
	time_queue_init(&cursor->queue, &queue_ops);
	return cursor;
}

void
cursor_free(struct cursor *cursor)
{
	assert(cursor->reader_count == 0 && cursor->queue.count == 0);
	time_queue_release(&cursor->queue);
	xfree(cursor);
}

uint64_t
cursor_base(const struct cursor_reader *reader)
{
	uint64_t done_seq = reader->cursor->done_seq;

	return reader->base_seq > done_seq ? reader->base_seq : done_seq;
}

/* done_seq counts for readers that are there already, not for one that begins before it. */
static void
lower_done_seq(struct cursor *cursor)
{
	struct cursor_reader *reader;

	TAILQ_FOREACH (reader, &cursor->readers, link)
		reader->base_seq = cursor_base(reader);
	cursor->done_seq = 0;
}

struct cursor_reader *
cursor_add_reader(struct cursor *cursor, struct subscription *subscription, uint64_t base_seq)
{
	struct cursor_reader *reader = xcalloc(1, sizeof(*reader));

	assert(subscription->reader == NULL);
	if (base_seq < cursor->done_seq)
		lower_done_seq(cursor);
	if (base_seq < cursor->queued_seq)
		cursor->queued_seq = base_seq;
	reader->cursor = cursor;
	reader->subscription = subscription;
	reader->base_seq = base_seq;
	reader->number = cursor->last_number++;
	LIST_INIT(&reader->entries);
	TAILQ_INSERT_TAIL(&cursor->readers, reader, link);
	cursor->reader_count++;
	subscription->reader = reader;
	return reader;
}

void
cursor_end_reader(struct cursor_reader *reader)
{
	assert(LIST_EMPTY(&reader->entries));
	reader->subscription->reader = NULL;
	TAILQ_REMOVE(&reader->cursor->readers, reader, link);
	reader->cursor->reader_count--;
	xfree(reader);
}

static struct slice
key_of(const struct topic *const *topic)
{
	return (struct slice){(const char *)topic, sizeof(*topic)};
}

struct cursor_topic *
cursor_topic_of(const struct hash_map *topics, const struct topic *topic)
{
	return hash_map_get(topics, key_of(&topic));
}

static struct cursor_topic *
need_topic(struct hash_map *topics, struct topic *topic)
{
	struct cursor_topic *of = cursor_topic_of(topics, topic);
	const struct topic *key = topic;

	if (of != NULL)
		return of;
	of = xcalloc(1, sizeof(*of));
	of->topic = topic;
	LIST_INIT(&of->entries);
	(void)hash_map_set(topics, key_of(&key), of);
	return of;
}

void
cursor_add(struct hash_map *topics, struct cursor_reader *reader, struct topic *topic,
    const struct ring *ring, uint64_t after_seq, uint32_t number)
{
	struct cursor_entry *entry = xmalloc(sizeof(*entry));
	uint64_t next_seq = after_seq < ring->newest_seq ? after_seq + 1 : ring->newest_seq;

	assert(ring->newest_seq > cursor_base(reader));
	entry->reader = reader;
	entry->of = need_topic(topics, topic);
	entry->after_seq = after_seq;
	entry->number = number;
	LIST_INSERT_HEAD(&entry->of->entries, entry, of_topic);
	LIST_INSERT_HEAD(&reader->entries, entry, of_reader);
	time_queue_add(&reader->cursor->queue, entry, (int64_t)next_seq);
}

static void
remove_topic(struct hash_map *topics, const struct cursor_topic *of)
{
	const struct topic *key = of->topic;

	(void)hash_map_remove(topics, key_of(&key));
}

void
cursor_forget(struct hash_map *topics, struct cursor_topic *of, uint32_t appended)
{
	remove_topic(topics, of);
	of->topic = NULL;
	of->appended = appended;
}

void
cursor_remove(struct hash_map *topics, struct cursor_entry *entry)
{
	struct cursor_topic *of = entry->of;
	if (entry->place != CURSOR_NO_PLACE)
		time_queue_remove(&entry->reader->cursor->queue, entry->place);
	LIST_REMOVE(entry, of_topic);
	LIST_REMOVE(entry, of_reader);
	xfree(entry);
	if (!LIST_EMPTY(&of->entries))
		return;
	if (of->topic == NULL)
		LIST_REMOVE(of, link);
	else
		remove_topic(topics, of);
	xfree(of);
}

uint32_t
cursor_overtaken(const struct cursor_entry *entry, const struct ring *ring)
{
	return ring_overtook(ring, entry->after_seq) ? ring->appended - ring->count - entry->number
						     : 0;
}

void
cursor_skip(struct cursor_entry *entry, const struct ring *ring)
{
	entry->after_seq = ring->trimmed_seq;
	entry->number = ring->appended - ring->count;
}

uint32_t
cursor_skip_all(struct cursor_entry *entry, const struct ring *ring)
{
	uint32_t skipped = ring->appended - entry->number;

	entry->after_seq = ring->newest_seq;
	entry->number = ring->appended;
	return skipped;
}

#include "config.h"

#include "pubsub/cursor.h"

#include <assert.h>

#include "base/alloc.h"
#include "pubsub/subscriber.h"

/* Entries of a merge that need no allocation. */
#define FEW 8

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

struct cursor *
cursor_new(struct subscriber *subscriber)
{
	struct cursor *cursor = xcalloc(1, sizeof(*cursor));

	cursor->subscriber = subscriber;
	cursor->queued_seq = UINT64_MAX;
	return cursor;
}

void
cursor_free(struct cursor *cursor)
{
	assert(cursor->count == 0);
	xfree(cursor->entries);
	xfree(cursor);
}

void
cursor_add(struct cursor *cursor, struct subscription *subscription, const struct ring *ring,
    uint64_t after_seq)
{
	struct cursor_entry *entry;

	assert(subscription->entry == 0);
	if (cursor->count == cursor->room) {
		cursor->room = cursor->room > 0 ? cursor->room * 2 : 1;
		cursor->entries =
		    xrealloc(cursor->entries, cursor->room * sizeof(*cursor->entries));
	}
	entry = &cursor->entries[cursor->count++];
	subscription->entry = cursor->count;
	*entry = (struct cursor_entry){.subscription = subscription, .after_seq = after_seq};
	if (after_seq < cursor->queued_seq)
		cursor->queued_seq = after_seq;
	if (ring != NULL)
		entry->number = ring->appended - (uint32_t)ring_count_after(ring, after_seq);
}

void
cursor_add_behind(struct cursor *cursor, struct subscription *subscription, const struct ring *ring,
    uint64_t after_seq)
{
	cursor_add(cursor, subscription, NULL, after_seq);
	cursor->entries[cursor->count - 1].number = ring->appended - 1;
}

void
cursor_remove(struct cursor *cursor, struct subscription *subscription)
{
	struct cursor_entry *entry = &cursor->entries[subscription->entry - 1];
	const struct cursor_entry *last = &cursor->entries[--cursor->count];

	assert(entry->subscription == subscription);
	if (entry != last) {
		*entry = *last;
		entry->subscription->entry = subscription->entry;
	}
	subscription->entry = 0;
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

void
cursor_plan(const struct cursor *cursor, const struct ring *const *rings, uint32_t messages,
    size_t bytes, struct cursor_portion *portion)
{
	struct ring_merge_entry few[FEW], *many = NULL;
	struct ring_merge merge;
	struct ring_message message;
	size_t entry, planned = 0;

	assert(messages > 0 && messages <= CURSOR_PORTION_MESSAGES);
	if (cursor->count > FEW)
		many = xmalloc(cursor->count * sizeof(*many));
	ring_merge_init(&merge, many != NULL ? many : few);
	for (uint32_t i = 0; i < cursor->count; i++)
		if (rings[i] != NULL)
			ring_merge_add(&merge, rings[i], cursor->entries[i].after_seq, i);
	portion->count = 0;
	portion->is_last = true;
	while (ring_merge_next(&merge, &message, &entry)) {
		planned += message.payload.len;
		if (portion->count == messages || (planned > bytes && portion->count > 0)) {
			portion->is_last = false;
			break;
		}
		portion->messages[portion->count] = message;
		portion->entries[portion->count++] = (uint32_t)entry;
	}
	xfree(many);
}

void
cursor_advance(struct cursor *cursor, const struct cursor_portion *portion)
{
	for (uint32_t i = 0; i < portion->count; i++) {
		struct cursor_entry *entry = &cursor->entries[portion->entries[i]];

		entry->after_seq = portion->messages[i].seq;
		entry->number++;
		cursor->queued_seq = entry->after_seq;
	}
}

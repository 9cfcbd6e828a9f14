#include "config.h"

#include "link/engine_held.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "link/engine_frame.h"

static size_t
bytes_of(const struct engine_held_item *item)
{
	return sizeof(*item) + sizeof(item) + item->channel.len + item->payload.len;
}

/* Copies bytes to *at, which moves behind them. */
static struct slice
put(char **at, struct slice bytes)
{
	struct slice copy = {*at, bytes.len};

	if (bytes.len > 0)
		memcpy(*at, bytes.ptr, bytes.len);
	*at += bytes.len;
	return copy;
}

static struct engine_held_item *
add(struct engine_held *held, struct slice channel, struct slice payload)
{
	struct engine_held_item *item = xmalloc(sizeof(*item) + channel.len + payload.len);
	char *at = (char *)(item + 1);

	if (held->count == held->room) {
		held->room = held->room > 0 ? held->room * 2 : 64;
		held->items = xrealloc(held->items, held->room * sizeof(*held->items));
	}
	item->channel = put(&at, channel);
	item->payload = put(&at, payload);
	held->items[held->count++] = item;
	held->bytes += bytes_of(item);
	return item;
}

void
engine_held_add(struct engine_held *held, struct slice channel, const struct engine_frame *frame)
{
	struct engine_held_item *item = add(held, channel, frame->payload);

	item->seq = frame->position.seq;
	item->number = frame->number;
	item->deletes = frame->deletes;
	item->count = 0;
}

void
engine_held_add_gap(
    struct engine_held *held, uint64_t seq, uint64_t number, uint64_t count, struct slice channel)
{
	struct engine_held_item *item = add(held, channel, (struct slice){NULL, 0});

	item->seq = seq;
	item->number = number;
	item->deletes = false;
	item->count = count;
}

/* A gap comes behind a message with the same seq, which is one of another channel. */
static int
compare(const void *a, const void *b)
{
	const struct engine_held_item *first = *(struct engine_held_item *const *)a;
	const struct engine_held_item *second = *(struct engine_held_item *const *)b;

	if (first->seq != second->seq)
		return first->seq < second->seq ? -1 : 1;
	return (first->count > 0) - (second->count > 0);
}

static void
drop(struct engine_held *held, size_t i)
{
	held->bytes -= bytes_of(held->items[i]);
	xfree(held->items[i]);
	held->items[i] = NULL;
}

void
engine_held_sort(struct engine_held *held)
{
	size_t kept = held->at;

	if (held->count == held->at)
		return;
	qsort(held->items + held->at, held->count - held->at, sizeof(*held->items), compare);
	for (size_t i = held->at; i < held->count; i++) {
		const struct engine_held_item *before =
		    kept > held->at ? held->items[kept - 1] : NULL;

		if (before != NULL && before->seq == held->items[i]->seq && before->count == 0 &&
		    held->items[i]->count == 0)
			drop(held, i);
		else
			held->items[kept++] = held->items[i];
	}
	held->count = kept;
}

const struct engine_held_item *
engine_held_take(struct engine_held *held)
{
	if (held->at > 0)
		drop(held, held->at - 1);
	if (held->at < held->count)
		return held->items[held->at++];
	engine_held_release(held);
	return NULL;
}

struct engine_frame
engine_held_frame(const struct engine_held_item *item)
{
	return (struct engine_frame){.position.seq = item->seq,
	    .number = item->number,
	    .payload = item->payload,
	    .deletes = item->deletes};
}

void
engine_held_release(struct engine_held *held)
{
	for (size_t i = held->at > 0 ? held->at - 1 : 0; i < held->count; i++)
		xfree(held->items[i]);
	xfree(held->items);
	*held = (struct engine_held){0};
}

#include "config.h"

#include "pubsub/cursor_portion.h"

#include <assert.h>

#include "base/alloc.h"
#include "pubsub/post.h"
#include "pubsub/subscriber.h"

void
cursor_portion_init(struct cursor_portion *p)
{
	*p = (struct cursor_portion){.count = 0};
}

void
cursor_portion_release(struct cursor_portion *p)
{
	xfree(p->reads);
	xfree(p->heap);
}

void
cursor_portion_begin(
    struct cursor_portion *p, struct cursor *cursor, uint32_t messages, size_t bytes, bool dedup)
{
	assert(messages > 0 && messages <= CURSOR_PORTION_MESSAGES);
	p->cursor = cursor;
	p->count = p->read_count = p->heap_count = 0;
	p->is_last = p->is_full = false;
	p->most_messages = messages;
	p->most_bytes = bytes;
	p->bytes = 0;
	p->queued_seq = 0;
	p->dedup = dedup;
}

static uint64_t
seq_at(const struct cursor_portion *p, uint32_t i)
{
	return p->reads[p->heap[i]].next.seq;
}

static bool
is_pattern(const struct cursor_reader *reader)
{
	return reader->subscription->kind == HUB_PATTERN;
}

/* Whether the next message of read a comes before that of read b. */
static bool
is_before(const struct cursor_portion *p, uint32_t a, uint32_t b)
{
	const struct cursor_reader *x = p->reads[a].entry->reader, *y = p->reads[b].entry->reader;

	if (p->reads[a].next.seq != p->reads[b].next.seq)
		return p->reads[a].next.seq < p->reads[b].next.seq;
	if (is_pattern(x) != is_pattern(y))
		return is_pattern(y);
	return x->number < y->number;
}

/* Puts the read at place i of the heap, or nearer to the top, where it belongs. */
static void
rise(struct cursor_portion *p, uint32_t i, uint32_t read)
{
	for (; i > 0 && is_before(p, read, p->heap[(i - 1) / 2]); i = (i - 1) / 2)
		p->heap[i] = p->heap[(i - 1) / 2];
	p->heap[i] = read;
}

/* Puts the read at the top of the heap, or further down, where it belongs. */
static void
sink(struct cursor_portion *p, uint32_t read)
{
	uint32_t i = 0;

	for (uint32_t child; (child = 2 * i + 1) < p->heap_count; i = child) {
		if (child + 1 < p->heap_count && is_before(p, p->heap[child + 1], p->heap[child]))
			child++;
		if (!is_before(p, p->heap[child], read))
			break;
		p->heap[i] = p->heap[child];
	}
	p->heap[i] = read;
}

struct cursor_entry *
cursor_portion_wants(struct cursor_portion *p)
{
	const struct time_queue_entry *first = time_queue_first(&p->cursor->queue);

	if (first == NULL || p->is_full ||
	    (p->heap_count > 0 && (uint64_t)first->at > seq_at(p, 0)))
		return NULL;
	if (p->read_count >= CURSOR_PORTION_ENTRIES && first->at > p->reads[p->read_count - 1].at) {
		p->is_full = true;
		return NULL;
	}
	return first->thing;
}

static void
make_room(struct cursor_portion *p)
{
	if (p->read_count < p->room)
		return;
	p->room = p->room > 0 ? p->room * 2 : 16;
	p->reads = xrealloc(p->reads, p->room * sizeof(*p->reads));
	p->heap = xrealloc(p->heap, p->room * sizeof(*p->heap));
}

void
cursor_portion_read(struct cursor_portion *p, struct cursor_entry *entry, const struct ring *ring)
{
	struct time_queue *queue = &p->cursor->queue;
	struct cursor_read *read;

	make_room(p);
	read = &p->reads[p->read_count++];
	read->entry = entry;
	read->ring = ring;
	read->at = time_queue_at(queue, entry->place)->at;
	read->after_seq = entry->after_seq;
	read->number = entry->number;
	time_queue_remove(queue, entry->place);
	entry->place = CURSOR_NO_PLACE;
	ring_after(ring, entry->after_seq, &read->it);
	read->has_next = ring_next(&read->it, &read->next);
	if (read->has_next)
		rise(p, p->heap_count++, p->read_count - 1);
}

/* The first message in the heap is queued, or left out. */
static void
go_on(struct cursor_portion *p, uint32_t first)
{
	struct cursor_read *read = &p->reads[first];

	read->after_seq = read->next.seq;
	read->number++;
	read->has_next = ring_next(&read->it, &read->next);
	if (!read->has_next)
		first = p->heap[--p->heap_count];
	if (p->heap_count > 0)
		sink(p, first);
}

bool
cursor_portion_take(struct cursor_portion *p)
{
	const struct cursor_read *read;

	if (p->heap_count == 0 || p->is_full)
		return false;
	read = &p->reads[p->heap[0]];
	if (p->dedup && read->next.seq == p->queued_seq) {
		go_on(p, p->heap[0]);
		return true;
	}
	if (p->count == p->most_messages ||
	    (p->count > 0 && p->bytes + read->next.payload.len > p->most_bytes)) {
		p->is_full = true;
		return false;
	}
	p->bytes += read->next.payload.len;
	p->queued_seq = read->next.seq;
	p->messages[p->count++] = (struct cursor_message){
	    .kept = read->next, .reader = read->entry->reader, .topic = read->entry->of->topic};
	go_on(p, p->heap[0]);
	return true;
}

/* Every entry has a next message of this seq or a higher one; UINT64_MAX: there is no message. */
static uint64_t
next_seq(const struct cursor_portion *p)
{
	const struct time_queue_entry *first = time_queue_first(&p->cursor->queue);
	uint64_t seq = p->heap_count > 0 ? seq_at(p, 0) : UINT64_MAX;

	return first != NULL && (uint64_t)first->at < seq ? (uint64_t)first->at : seq;
}

static void
put_back(struct cursor_portion *p, const struct cursor_read *read, int64_t at)
{
	time_queue_add(&p->cursor->queue, read->entry, at);
}

/* The entry has no message behind it. */
static void
end_read(struct cursor_portion *p, const struct cursor_read *read, struct hash_map *topics)
{
	uint64_t newest_seq = read->ring->newest_seq;

	if (p->is_last && newest_seq > p->cursor->done_seq)
		p->cursor->done_seq = newest_seq;
	if (newest_seq > p->cursor->done_seq)
		put_back(p, read, (int64_t)newest_seq);
	else
		cursor_remove(topics, read->entry);
}

void
cursor_portion_commit(struct cursor_portion *p, struct hash_map *topics)
{
	struct cursor *cursor = p->cursor;
	uint64_t next = next_seq(p);

	p->is_last = next == UINT64_MAX;
	if (!p->is_last && next - 1 > cursor->done_seq)
		cursor->done_seq = next - 1;
	if (p->count > 0)
		cursor->queued_seq = p->queued_seq;
	for (uint32_t i = 0; i < p->read_count; i++) {
		struct cursor_read *read = &p->reads[i];

		read->entry->after_seq = read->after_seq;
		read->entry->number = read->number;
		if (read->has_next)
			put_back(p, read, (int64_t)read->next.seq);
		else
			end_read(p, read, topics);
	}
	p->read_count = 0;
}

void
cursor_portion_cancel(struct cursor_portion *p)
{
	for (uint32_t i = 0; i < p->read_count; i++)
		put_back(p, &p->reads[i], p->reads[i].at);
	p->read_count = 0;
}

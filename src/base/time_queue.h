#ifndef BASE_TIME_QUEUE_H
#define BASE_TIME_QUEUE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Time queue: tells which of many things is due first. A 4-ary heap of (time, thing) in segments,
 * so that it grows and shrinks without copying more than one segment. Each thing stores its place
 * in the heap (4 bytes; ops->moved sets it), so that its time is changed or removed in O(log n).
 *
 * It reads no clock; the user chooses the unit of time. The order of things with the same time is
 * not defined.
 */
struct time_queue_entry {
	int64_t at;
	void *thing; /* borrowed until it is removed */
};

struct time_queue_ops {
	void (*moved)(void *thing, uint32_t place);
	void *(*realloc)(void *ptr, size_t len); /* does not fail */
	void (*free)(void *ptr);
};

struct time_queue {
	struct time_queue_entry **segments;
	size_t count;
	size_t room; /* entries that there is memory for */
	const struct time_queue_ops *ops;
};

/* ops is borrowed. An empty queue holds no memory. */
void time_queue_init(struct time_queue *q, const struct time_queue_ops *ops);
void time_queue_release(struct time_queue *q); /* frees its memory; the queue is empty afterwards */

/* At most UINT32_MAX things. ops->moved is called for each thing whose place changes, including the
 * new one. */
void time_queue_add(struct time_queue *q, void *thing, int64_t at);
void time_queue_remove(struct time_queue *q, uint32_t place);
void time_queue_change(struct time_queue *q, uint32_t place, int64_t at);

/* place is below q->count. Borrows, until the queue changes. */
struct time_queue_entry *time_queue_at(const struct time_queue *q, uint32_t place);

/* The entry that is due first; NULL if the queue is empty. Borrows. */
struct time_queue_entry *time_queue_first(const struct time_queue *q);

#endif

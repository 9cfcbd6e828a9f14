#ifndef BASE_TIME_QUEUE_H
#define BASE_TIME_QUEUE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Time queue: of many things, which is due first. A 4-ary heap of (time, thing) in segments, so
 * that it grows and shrinks without copying more than one segment. Each thing is told its place in
 * the heap and keeps it (4 bytes), so that its time is changed or removed in O(log n).
 *
 * It reads no clock; the unit of time is its user's. Things with the same time are in no order.
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
void time_queue_release(struct time_queue *q); /* it is empty afterwards */

/* At most UINT32_MAX things. moved is called for each thing whose place changes, for the new one
 * too. */
void time_queue_add(struct time_queue *q, void *thing, int64_t at);
void time_queue_remove(struct time_queue *q, uint32_t place);
void time_queue_change(struct time_queue *q, uint32_t place, int64_t at);

/* place is below q->count. Borrows, until the queue changes. */
struct time_queue_entry *time_queue_at(const struct time_queue *q, uint32_t place);

/* The entry that is due first; NULL if the queue is empty. Borrows. */
struct time_queue_entry *time_queue_first(const struct time_queue *q);

#endif

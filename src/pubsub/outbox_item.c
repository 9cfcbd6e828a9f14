#include "config.h"

#include "pubsub/outbox_item.h"

#include "base/alloc.h"

/* Items kept for reuse by all outboxes of a pool. */
#define SPARE_MAX 4096

struct outbox_item *
outbox_item_add(struct outbox *outbox, struct outbox_item *after, enum item_kind kind)
{
	struct outbox_pool *pool = outbox->pool;
	struct outbox_item *item = pool->spare;

	if (item != NULL) {
		pool->spare = TAILQ_NEXT(item, link);
		if (--pool->spare_count < pool->spare_least)
			pool->spare_least = pool->spare_count;
	} else {
		item = xmalloc(sizeof(*item));
	}
	item->kind = kind;
	item->missed = 0;
	item->form = outbox->form;
	item->in_flight = false;
	item->range.len = 0;
	if (after != NULL)
		TAILQ_INSERT_AFTER(&outbox->items, after, item, link);
	else
		TAILQ_INSERT_HEAD(&outbox->items, item, link);
	pool->item_bytes += sizeof(*item);
	return item;
}

struct outbox_item *
outbox_item_of_kind(struct outbox_item *item, enum item_kind kind)
{
	while (item != NULL && item->kind != kind)
		item = TAILQ_NEXT(item, link);
	return item;
}

/* The item is about to be removed, or to become one of another kind. */
static void
leave_kind(struct outbox *outbox, struct outbox_item *item)
{
	if (item->kind <= ITEM_DROPPABLE && outbox->oldest[item->kind] == item)
		outbox->oldest[item->kind] =
		    outbox_item_of_kind(TAILQ_NEXT(item, link), item->kind);
}

void
outbox_item_unstart(struct outbox *outbox, struct outbox_item *item)
{
	struct outbox_item *rest;

	if (item->range.frames > 1) {
		rest = outbox_item_add(outbox, item, item->kind);
		rest->form = item->form;
		rest->missed = item->missed;
		frame_range_split(&item->range, &rest->range);
		if (outbox->mark == item)
			outbox->mark = rest;
	}
	leave_kind(outbox, item);
	item->kind = ITEM_STARTED;
}

void
outbox_item_remove(struct outbox *outbox, struct outbox_item *item)
{
	struct outbox_pool *pool = outbox->pool;

	leave_kind(outbox, item);
	if (outbox->mark == item)
		outbox->mark = TAILQ_PREV(item, outbox_items, link);
	if (outbox->barrier == item)
		outbox->barrier = NULL;
	TAILQ_REMOVE(&outbox->items, item, link);
	frame_range_release(&item->range);
	pool->item_bytes -= sizeof(*item);
	if (pool->spare_count == SPARE_MAX) {
		xfree(item);
		return;
	}
	item->link.tqe_next = pool->spare;
	pool->spare = item;
	pool->spare_count++;
}

static void
free_spare(struct outbox_pool *pool, size_t count)
{
	for (; count > 0; count--) {
		struct outbox_item *item = pool->spare;

		pool->spare = TAILQ_NEXT(item, link);
		pool->spare_count--;
		xfree(item);
	}
}

void
outbox_pool_release(struct outbox_pool *pool)
{
	free_spare(pool, pool->spare_count);
}

void
outbox_pool_shrink(struct outbox_pool *pool)
{
	free_spare(pool, pool->spare_least);
	pool->spare_least = pool->spare_count;
}

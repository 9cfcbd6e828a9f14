#include "config.h"

#include <assert.h>

#include "pubsub/outbox.h"
#include "pubsub/outbox_item.h"

/* The end of an outbox: its messages are dropped or its queue is freed, and messages of queue
 * groups are offered to others. */

/* Offers the first message of an item of a queue group to others; the item keeps that message
 * alone, or, if it is dropped, an empty range. */
static void
give_back_first(struct outbox *outbox, struct outbox_item *item)
{
	struct outbox_item *rest;

	if (item->range.frames > 1) {
		rest = outbox_item_add(outbox, item, ITEM_GUARDED);
		rest->form = item->form;
		rest->missed = item->missed;
		frame_range_split(&item->range, &rest->range);
	}
	outbox_uncount_bytes(outbox, item->range.len);
	outbox_uncount_messages(outbox, item->range.len, 1);
	if (!item->range.started &&
	    !outbox->pool->unsent(outbox, item->missed, item->form, &item->range))
		outbox_count_drops(outbox, frame_range_drop_first(&item->range).tag, 1);
}

bool
outbox_discard(struct outbox *outbox, size_t *budget)
{
	struct outbox_item *item;

	assert(outbox->closed);
	if (outbox->in_flight > 0)
		return false;
	while ((item = TAILQ_FIRST(&outbox->items)) != NULL) {
		if (*budget == 0)
			return false;
		--*budget;
		if (item->kind == ITEM_GUARDED && item->missed != 0) {
			give_back_first(outbox, item);
			outbox_item_remove(outbox, item);
			continue;
		}
		outbox_uncount_bytes(outbox, item->range.len);
		if (item->kind <= ITEM_STARTED)
			outbox_uncount_messages(outbox, item->range.len, item->range.frames);
		outbox_item_remove(outbox, item);
	}
	return true;
}

/* Drops the messages of an item from the first on; of adjacent ones of a channel, all are counted
 * at once. False: the budget is used up. */
static bool
drop_item(struct outbox *outbox, struct outbox_item *item, size_t *budget)
{
	size_t most = item->range.frames < *budget ? item->range.frames : *budget;
	uint64_t count = 0;
	uint32_t tag = 0;

	*budget -= most;
	for (; most > 0; most--) {
		struct dropped_frame dropped = frame_range_drop_first(&item->range);

		outbox_uncount_bytes(outbox, dropped.len);
		outbox_uncount_messages(outbox, dropped.len, 1);
		if (count > 0 && dropped.tag != tag) {
			outbox_count_drops(outbox, tag, count);
			count = 0;
		}
		tag = dropped.tag;
		count++;
	}
	if (count > 0)
		outbox_count_drops(outbox, tag, count);
	if (item->range.len > 0)
		return false;
	outbox_item_remove(outbox, item);
	return true;
}

bool
outbox_cut(struct outbox *outbox, size_t *budget)
{
	struct outbox_item *item, *next;

	if (!outbox->sealed)
		outbox_seal(outbox);
	if (outbox->in_flight > 0)
		return false;
	for (item = TAILQ_FIRST(&outbox->items); item != NULL; item = next) {
		if (item->kind <= ITEM_GUARDED && item->range.started)
			outbox_item_unstart(outbox, item);
		next = TAILQ_NEXT(item, link);
		if (item->kind > ITEM_GUARDED)
			continue;
		if (*budget == 0)
			return false;
		if (item->kind == ITEM_GUARDED && item->missed != 0) {
			--*budget;
			give_back_first(outbox, item);
			next = TAILQ_NEXT(item, link);
			outbox_item_remove(outbox, item);
		} else if (!drop_item(outbox, item, budget)) {
			return false;
		}
	}
	return true;
}

void
outbox_push_last(struct outbox *outbox, struct slice reply)
{
	assert(outbox->sealed);
	if (outbox->closed)
		return;
	outbox->sealed = false;
	outbox_push_reply(outbox, reply);
	outbox->sealed = true;
}

void
outbox_release(struct outbox *outbox)
{
	size_t all = SIZE_MAX;

	outbox_close(outbox);
	(void)!outbox_discard(outbox, &all);
}

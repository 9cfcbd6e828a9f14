#include "config.h"

#include <assert.h>

#include "pubsub/outbox.h"
#include "pubsub/outbox_item.h"

/* The end of an outbox: its queue is freed, and messages of queue groups are offered to others. */

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

void
outbox_release(struct outbox *outbox)
{
	size_t all = SIZE_MAX;

	outbox_close(outbox);
	(void)!outbox_discard(outbox, &all);
}

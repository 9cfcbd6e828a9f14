#include "config.h"

#include "pubsub/portion.h"

#include <string.h>

#include "base/alloc.h"
#include "pubsub/outbox.h"

void
portions_init(struct portions *portions)
{
	*portions = (struct portions){.count = 0};
	TAILQ_INIT(&portions->list);
}

static void
drop(struct portions *portions, struct portion *portion)
{
	struct portion_piece *piece;

	while ((piece = TAILQ_FIRST(&portion->pieces)) != NULL) {
		TAILQ_REMOVE(&portion->pieces, piece, link);
		frame_range_release(&piece->range);
		xfree(piece);
	}
	TAILQ_REMOVE(&portions->list, portion, link);
	portions->count--;
	portions->bytes -= portion->bytes;
	xfree(portion->key);
	xfree(portion);
}

void
portions_drop_all(struct portions *portions)
{
	struct portion *portion;

	while ((portion = TAILQ_FIRST(&portions->list)) != NULL)
		drop(portions, portion);
}

void
portions_shrink(struct portions *portions)
{
	struct portion *portion, *next;

	for (portion = TAILQ_FIRST(&portions->list); portion != NULL; portion = next) {
		next = TAILQ_NEXT(portion, link);
		if (!portion->was_used)
			drop(portions, portion);
		else
			portion->was_used = false;
	}
}

struct portion *
portions_find(struct portions *portions, uint8_t form, struct slice key)
{
	struct portion *portion;

	TAILQ_FOREACH (portion, &portions->list, link)
		if (portion->form == form && portion->key_len == key.len &&
		    memcmp(portion->key, key.ptr, key.len) == 0)
			break;
	if (portion == NULL)
		return NULL;
	portion->was_used = true;
	TAILQ_REMOVE(&portions->list, portion, link);
	TAILQ_INSERT_HEAD(&portions->list, portion, link);
	return portion;
}

struct portion *
portions_add(struct portions *portions, uint8_t form, struct slice key, size_t bytes)
{
	struct portion *portion = xcalloc(1, sizeof(*portion));

	while (portions->count == PORTIONS_MAX || portions->bytes > bytes)
		drop(portions, TAILQ_LAST(&portions->list, portion_list));
	TAILQ_INIT(&portion->pieces);
	portion->key = xmalloc(key.len);
	memcpy(portion->key, key.ptr, key.len);
	portion->key_len = key.len;
	portion->form = form;
	portion->was_used = true;
	TAILQ_INSERT_HEAD(&portions->list, portion, link);
	portions->count++;
	return portion;
}

void
portion_add(
    struct portions *portions, struct portion *portion, const struct frame *frame, uint32_t tag)
{
	struct portion_piece *last = TAILQ_LAST(&portion->pieces, portion_pieces);

	if (frame != NULL) {
		portion->bytes += frame->len;
		portions->bytes += frame->len;
		if (last != NULL && last->range.len > 0 && frame_range_extend(&last->range, frame))
			return;
	}
	last = xcalloc(1, sizeof(*last));
	last->tag = tag;
	if (frame != NULL)
		frame_range_init(&last->range, frame);
	TAILQ_INSERT_TAIL(&portion->pieces, last, link);
}

void
portion_push(const struct portion *portion, struct outbox *outbox)
{
	const struct portion_piece *piece;

	TAILQ_FOREACH (piece, &portion->pieces, link)
		if (piece->range.len > 0)
			outbox_push_range(outbox, &piece->range);
		else
			outbox_miss(outbox, piece->tag, 1);
}

#include "config.h"

#include "core/state.h"
#include "pubsub/hub_history.h"
#include "pubsub/outbox_item.h"

/* Output: messages one by one, or bytes for a transport. */
#define PIECES_MAX 1024
#define PUSHED_MAX ((size_t)1 << 24)

/* How many pieces are converted at a time. */
#define PIECES_AT_ONCE 64

/* Nothing is queued: from now on ready() is called again. */
static enum fanfare_result
is_read(struct fanfare_subscriber *s)
{
	outbox_flushed(&s->base.outbox);
	return s->base.outbox.sealed ? FANFARE_CLOSED : FANFARE_EMPTY;
}

enum fanfare_result
fanfare_subscriber_next(struct fanfare_subscriber *s, struct fanfare_message *message)
{
	enum fanfare_result result = FANFARE_OK;
	struct fanfare_hub *hub;
	bool frees;

	if (s == NULL || message == NULL || s->base.outbox.form != FANFARE_RECORDS)
		return FANFARE_INVALID;
	if (s->is_closing)
		return FANFARE_CLOSED;
	hub = s->hub;
	if (!core_enter(hub))
		return FANFARE_BUSY;
	frees = record_is_held(&hub->reader);
	if (!record_take(&hub->reader, &s->base.outbox, message))
		result = is_read(s);
	else if (message->position.seq != 0)
		message->position.epoch = history_position(hub_history(hub->hub)).epoch;
	if (frees || result == FANFARE_OK)
		core_note_use(hub);
	core_leave(hub);
	return result;
}

/* Checks the arguments of functions for bytes and enters the hub: FANFARE_OK, or why not. */
static enum fanfare_result
begin(struct fanfare_subscriber *s)
{
	if (s == NULL || s->base.outbox.form == FANFARE_RECORDS)
		return FANFARE_INVALID;
	if (s->is_closing)
		return FANFARE_CLOSED;
	return core_enter(s->hub) ? FANFARE_OK : FANFARE_BUSY;
}

static enum fanfare_result
end(struct fanfare_subscriber *s, enum fanfare_result result)
{
	core_leave(s->hub);
	return result;
}

/* Returns the number of bytes. */
static size_t
set_pieces(struct fanfare_bytes *pieces, const struct iovec *from, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++) {
		pieces[i] = (struct fanfare_bytes){from[i].iov_base, from[i].iov_len};
		bytes += from[i].iov_len;
	}
	return bytes;
}

/* At most PIECES_AT_ONCE of them, which are as good as more. */
static enum fanfare_result
peek(struct fanfare_subscriber *s, struct iovec *vector, size_t *count)
{
	*count =
	    outbox_peek(&s->base.outbox, vector, *count < PIECES_AT_ONCE ? *count : PIECES_AT_ONCE);
	return *count > 0 ? FANFARE_OK : is_read(s);
}

static bool
are_pieces(const struct fanfare_bytes *pieces, const size_t *count)
{
	return pieces != NULL && count != NULL && *count > 0 && *count <= PIECES_MAX;
}

/* Shows the first pieces; is_write: and begins a write of them. */
static enum fanfare_result
show_pieces(
    struct fanfare_subscriber *s, struct fanfare_bytes *pieces, size_t *count, bool is_write)
{
	struct iovec vector[PIECES_AT_ONCE];
	enum fanfare_result result;
	size_t bytes;

	if (!are_pieces(pieces, count))
		return FANFARE_INVALID;
	result = begin(s);
	if (result != FANFARE_OK)
		return result;
	if (s->base.outbox.in_flight > 0)
		return end(s, FANFARE_INVALID);
	result = peek(s, vector, count);
	bytes = set_pieces(pieces, vector, *count);
	if (is_write && result == FANFARE_OK) {
		outbox_begin_write(&s->base.outbox, vector, *count);
		s->in_flight = bytes;
	}
	return end(s, result);
}

enum fanfare_result
fanfare_subscriber_peek(struct fanfare_subscriber *s, struct fanfare_bytes *pieces, size_t *count)
{
	return show_pieces(s, pieces, count, false);
}

/* Whether so many bytes are queued before the next notice of missing messages, which nobody has
 * seen yet. */
static bool
has_bytes(const struct outbox *outbox, size_t len)
{
	const struct outbox_item *item;

	TAILQ_FOREACH (item, &outbox->items, link) {
		if (item->kind >= ITEM_GAP || len <= item->range.len)
			return item->kind < ITEM_GAP;
		len -= item->range.len;
	}
	return false;
}

enum fanfare_result
fanfare_subscriber_consume(struct fanfare_subscriber *s, size_t len)
{
	enum fanfare_result result = begin(s);

	if (result != FANFARE_OK)
		return result;
	if (s->base.outbox.in_flight > 0 || (len > 0 && !has_bytes(&s->base.outbox, len)))
		return end(s, FANFARE_INVALID);
	core_note_use(s->hub);
	outbox_consume(&s->base.outbox, len);
	return end(s, FANFARE_OK);
}

enum fanfare_result
fanfare_subscriber_begin_write(
    struct fanfare_subscriber *s, struct fanfare_bytes *pieces, size_t *count)
{
	return show_pieces(s, pieces, count, true);
}

enum fanfare_result
fanfare_subscriber_end_write(struct fanfare_subscriber *s, size_t len)
{
	if (s == NULL)
		return FANFARE_INVALID;
	if (!core_enter(s->hub))
		return FANFARE_BUSY;
	if (s->base.outbox.in_flight == 0 || len > s->in_flight)
		return end(s, FANFARE_INVALID);
	core_note_use(s->hub);
	outbox_end_write(&s->base.outbox, len);
	return end(s, FANFARE_OK);
}

enum fanfare_result
fanfare_subscriber_push(struct fanfare_subscriber *s, struct fanfare_bytes bytes)
{
	enum fanfare_result result;

	if (!core_are_bytes(bytes) || bytes.len == 0)
		return FANFARE_INVALID;
	if (bytes.len > PUSHED_MAX)
		return FANFARE_TOO_LARGE;
	result = begin(s);
	if (result != FANFARE_OK)
		return result;
	if (s->base.outbox.sealed)
		return end(s, FANFARE_CLOSED);
	core_note_use(s->hub);
	outbox_push_reply(&s->base.outbox, core_slice(bytes));
	return end(s, FANFARE_OK);
}

#include "config.h"

#include "pubsub/outbox.h"

#include <assert.h>
#include <string.h>

#include "pubsub/outbox_item.h"
#include "pubsub/wire_form.h"

/* What counts as the limits of an outbox without limits: see outbox_is_low(). */
#define UNLIMITED_BYTES ((size_t)1 << 20)
#define UNLIMITED_MESSAGES 65536

static void
count_bytes(struct outbox *outbox, size_t len)
{
	outbox->bytes += len;
	outbox->pool->bytes += len;
}

void
outbox_uncount_bytes(struct outbox *outbox, size_t len)
{
	outbox->bytes -= len;
	outbox->pool->bytes -= len;
}

void
outbox_uncount_messages(struct outbox *outbox, size_t len, uint32_t messages)
{
	outbox->message_bytes -= len;
	outbox->messages -= messages;
	outbox->pool->messages -= messages;
	if (outbox->messages == 0)
		outbox->mixed = false;
}

static bool
fits(const struct outbox *outbox, size_t len)
{
	const struct outbox_limits *limits = &outbox->limits;

	if (limits->messages > 0 &&
	    outbox->messages - outbox->in_flight_messages >= limits->messages)
		return false;
	return limits->bytes == 0 ||
	       outbox->message_bytes - outbox->in_flight_bytes + len <= limits->bytes;
}

static bool
is_full_for(const struct outbox *outbox, size_t len)
{
	const struct outbox_limits *limits = &outbox->limits;

	if (limits->policy != OUTBOX_BLOCK && (limits->channel_policies >> OUTBOX_BLOCK & 1) == 0)
		return false;
	return !outbox->sealed && outbox->messages > outbox->in_flight_messages &&
	       !fits(outbox, len);
}

bool
outbox_is_low(const struct outbox *outbox)
{
	size_t bytes = outbox->limits.bytes > 0 ? outbox->limits.bytes : UNLIMITED_BYTES;
	uint32_t messages =
	    outbox->limits.messages > 0 ? outbox->limits.messages : UNLIMITED_MESSAGES;

	return outbox->message_bytes <= bytes / 2 && outbox->messages <= messages / 2;
}

void
outbox_await_low(struct outbox *outbox)
{
	outbox->awaits_low = true;
}

static void
offer_low(struct outbox *outbox)
{
	if (!outbox->awaits_low || !outbox_is_low(outbox))
		return;
	outbox->awaits_low = false;
	outbox->pool->low(outbox);
}

/* Calls room() only when the awaited length fits: a reader that takes a few bytes now and then
 * neither wakes publishers nor restarts their waiting time. */
static void
offer_room(struct outbox *outbox)
{
	if (outbox->awaited_len == 0 || is_full_for(outbox, outbox->awaited_len))
		return;
	outbox->awaited_len = 0;
	outbox->pool->room(outbox);
}

void
outbox_init(
    struct outbox *outbox, struct outbox_pool *pool, const struct outbox_limits *limits, void *io)
{
	memset(outbox, 0, sizeof(*outbox));
	outbox->pool = pool;
	outbox->io = io;
	outbox->limits = *limits;
	TAILQ_INIT(&outbox->items);
}

void
outbox_seal(struct outbox *outbox)
{
	outbox->sealed = true;
	offer_room(outbox);
}

void
outbox_close(struct outbox *outbox)
{
	outbox->closed = true;
	outbox->mark = NULL;
	outbox_seal(outbox);
}

void
outbox_count_drops(struct outbox *outbox, uint32_t tag, uint64_t count)
{
	outbox->dropped += count;
	outbox->pool->dropped_total += count;
	outbox->pool->dropped_by[outbox->limits.policy] += count;
	outbox->pool->dropped(outbox->pool->arg, tag, count);
}

static void
schedule(struct outbox *outbox)
{
	if (outbox->scheduled)
		return;
	outbox->scheduled = true;
	outbox->pool->ready(outbox);
}

static uint64_t
missed_together(uint64_t a, uint64_t b)
{
	return b < WIRE_MISSED_UNKNOWN - a ? a + b : WIRE_MISSED_UNKNOWN;
}

/* Records that messages of this form are missing behind `after` (NULL: at the front). */
static void
note_gap(struct outbox *outbox, struct outbox_item *after, uint8_t form, uint64_t count)
{
	if (!outbox->limits.notify)
		return;
	if (after == NULL || after->kind != ITEM_GAP || after->form != form ||
	    (outbox->marked && after == outbox->mark)) {
		after = outbox_item_add(outbox, after, ITEM_GAP);
		after->form = form;
	}
	after->missed = missed_together(after->missed, count);
	schedule(outbox);
}

/* Joins the item, if it is a gap, with a gap right before it, so that there are never more gaps
 * than other items. NULL is allowed. */
static void
join_gaps(struct outbox *outbox, struct outbox_item *item)
{
	struct outbox_item *before = item != NULL ? TAILQ_PREV(item, outbox_items, link) : NULL;

	if (before == NULL || before->kind != ITEM_GAP || item->kind != ITEM_GAP ||
	    before->form != item->form || (outbox->marked && before == outbox->mark))
		return;
	before->missed = missed_together(before->missed, item->missed);
	outbox_item_remove(outbox, item);
}

/* Messages under the policy of their channel come first. An outbox has both kinds only if its own
 * policy has changed. */
static struct outbox_item *
oldest_droppable(const struct outbox *outbox)
{
	if (outbox->oldest[ITEM_DROPPABLE] != NULL)
		return outbox->oldest[ITEM_DROPPABLE];
	return outbox->limits.policy == OUTBOX_DROP_OLDEST ? outbox->oldest[ITEM_MESSAGES] : NULL;
}

/* False if no message may be dropped. */
static bool
drop_oldest(struct outbox *outbox)
{
	struct dropped_frame dropped;
	struct outbox_item *item = oldest_droppable(outbox);

	if (item != NULL && item->range.started) {
		outbox_item_unstart(outbox, item);
		item = oldest_droppable(outbox);
	}
	if (item == NULL)
		return false;
	dropped = frame_range_drop_first(&item->range);
	outbox_uncount_bytes(outbox, dropped.len);
	outbox_uncount_messages(outbox, dropped.len, 1);
	note_gap(outbox, TAILQ_PREV(item, outbox_items, link), item->form, 1);
	if (item->range.len == 0) {
		struct outbox_item *next = TAILQ_NEXT(item, link);

		outbox_item_remove(outbox, item);
		join_gaps(outbox, next);
	}
	outbox_count_drops(outbox, dropped.tag, 1);
	return true;
}

static inline void
count_messages(struct outbox *outbox, size_t len, uint32_t messages)
{
	count_bytes(outbox, len);
	outbox->message_bytes += len;
	outbox->messages += messages;
	outbox->pool->messages += messages;
	schedule(outbox);
}

/* kind is ITEM_MESSAGES, ITEM_DROPPABLE, or ITEM_GUARDED, which may be of a queue group. Inlined in
 * its callers: it is most of the cost of a delivery. */
static inline __attribute__((always_inline)) void
queue_message(struct outbox *outbox, const struct frame *frame, enum item_kind kind, uint64_t queue)
{
	struct outbox_item *last = TAILQ_LAST(&outbox->items, outbox_items);

	/* A message of another form is in another log, so it never extends the range. */
	if (last == NULL || last->kind != kind || last->in_flight ||
	    (kind == ITEM_GUARDED && last->missed != queue) ||
	    (outbox->marked && last == outbox->mark) || !frame_range_extend(&last->range, frame)) {
		last = outbox_item_add(outbox, last, kind);
		frame_range_init(&last->range, frame);
		if (kind == ITEM_GUARDED)
			last->missed = queue;
		if (kind <= ITEM_DROPPABLE && outbox->oldest[kind] == NULL)
			outbox->oldest[kind] = last;
	}
	count_messages(outbox, frame->len, 1);
}

void
outbox_push_range(struct outbox *outbox, const struct frame_range *range)
{
	struct outbox_item *item;

	if (outbox->sealed)
		return;
	item = outbox_item_add(outbox, TAILQ_LAST(&outbox->items, outbox_items), ITEM_MESSAGES);
	frame_range_share(range, &item->range);
	if (outbox->oldest[ITEM_MESSAGES] == NULL)
		outbox->oldest[ITEM_MESSAGES] = item;
	count_messages(outbox, range->len, range->frames);
}

void
outbox_miss(struct outbox *outbox, uint32_t tag, uint64_t count)
{
	note_gap(outbox, TAILQ_LAST(&outbox->items, outbox_items), outbox->form, count);
	outbox_count_drops(outbox, tag, count);
}

void
outbox_note_missed(struct outbox *outbox, uint64_t count)
{
	if (!outbox->sealed)
		note_gap(outbox, TAILQ_LAST(&outbox->items, outbox_items), outbox->form, count);
}

void
outbox_note_gap(struct outbox *outbox)
{
	outbox_note_missed(outbox, WIRE_MISSED_UNKNOWN);
}

void
outbox_refuse(struct outbox *outbox, uint32_t tag)
{
	outbox_miss(outbox, tag, 1);
}

static enum outbox_result
refuse_frame(struct outbox *outbox, const struct frame *frame, enum outbox_result result)
{
	outbox_refuse(outbox, frame->tag);
	return result;
}

/* A message that does not fit. OUTBOX_QUEUED: the caller queues it. */
static __attribute__((noinline)) enum outbox_result
apply_policy(struct outbox *outbox, const struct frame *frame, enum outbox_policy policy)
{
	switch (policy) {
	case OUTBOX_DISCONNECT:
		return refuse_frame(outbox, frame, OUTBOX_OVERFLOW);
	case OUTBOX_DROP_NEWEST:
		return refuse_frame(outbox, frame, OUTBOX_DROPPED);
	case OUTBOX_DROP_OLDEST:
		/* A message that can never fit must not push others out. */
		if (outbox->limits.bytes > 0 && frame->len > outbox->limits.bytes)
			return refuse_frame(outbox, frame, OUTBOX_DROPPED);
		while (!fits(outbox, frame->len))
			if (!drop_oldest(outbox))
				return refuse_frame(outbox, frame, OUTBOX_DROPPED);
		break;
	case OUTBOX_CATCH_UP:
		return OUTBOX_BEHIND;
	case OUTBOX_BLOCK:
		break; /* publishers checked before */
	}
	return OUTBOX_QUEUED;
}

enum outbox_result
outbox_push_message(struct outbox *outbox, const struct frame *frame)
{
	enum outbox_result result;

	if (outbox->sealed)
		return OUTBOX_CLOSED;
	if (!fits(outbox, frame->len)) {
		result = apply_policy(outbox, frame, outbox->limits.policy);
		if (result != OUTBOX_QUEUED)
			return result;
	}
	queue_message(outbox, frame, ITEM_MESSAGES, 0);
	return OUTBOX_QUEUED;
}

static enum outbox_result
push_under(struct outbox *outbox, const struct frame *frame, enum outbox_policy policy,
    enum item_kind kind, uint64_t queue)
{
	enum outbox_result result;

	if (outbox->sealed)
		return OUTBOX_CLOSED;
	if (!fits(outbox, frame->len)) {
		result = apply_policy(outbox, frame, policy);
		if (result != OUTBOX_QUEUED)
			return result;
	}
	if (policy != outbox->limits.policy)
		outbox->mixed = true;
	queue_message(outbox, frame, kind, queue);
	if (outbox->awaited_len > 0)
		offer_room(outbox); /* dropped messages may have been longer than this one */
	return OUTBOX_QUEUED;
}

enum outbox_result
outbox_push_under(struct outbox *outbox, const struct frame *frame, enum outbox_policy policy)
{
	if (policy == outbox->limits.policy)
		return outbox_push_message(outbox, frame);
	return push_under(
	    outbox, frame, policy, policy == OUTBOX_DROP_OLDEST ? ITEM_DROPPABLE : ITEM_GUARDED, 0);
}

enum outbox_result
outbox_push_queued(
    struct outbox *outbox, const struct frame *frame, enum outbox_policy policy, uint64_t queue)
{
	return push_under(outbox, frame, policy, ITEM_GUARDED, queue);
}

void
outbox_adopt(struct outbox *outbox, const struct frame_range *range, uint64_t queue)
{
	struct outbox_item *item =
	    outbox_item_add(outbox, TAILQ_LAST(&outbox->items, outbox_items), ITEM_GUARDED);

	assert(!outbox->sealed);
	frame_range_share(range, &item->range);
	item->missed = queue;
	count_messages(outbox, range->len, range->frames);
}

bool
outbox_has_room(const struct outbox *outbox, size_t len)
{
	return fits(outbox, len);
}

bool
outbox_has_channel_policies(const struct outbox *outbox)
{
	return outbox->mixed;
}

bool
outbox_would_block(const struct outbox *outbox, size_t len)
{
	return is_full_for(outbox, len);
}

void
outbox_await_room(struct outbox *outbox, size_t len)
{
	assert(len <= INT32_MAX);
	outbox->awaited_len = (uint32_t)len;
}

void
outbox_push_reply(struct outbox *outbox, struct slice reply)
{
	struct outbox_item *item =
	    outbox->marked ? outbox->mark : TAILQ_LAST(&outbox->items, outbox_items);
	bool at_mark = outbox->marked && outbox->barrier == NULL;
	struct frame frame;

	if (outbox->sealed || reply.len == 0)
		return;
	if (outbox->barrier != NULL)
		item = TAILQ_PREV(outbox->barrier, outbox_items, link);
	frame = frame_log_write(outbox->pool->replies, reply.len, 0);
	memcpy(frame.ptr, reply.ptr, reply.len);
	if (item == NULL || item->kind != ITEM_REPLIES ||
	    !frame_range_extend(&item->range, &frame)) {
		item = outbox_item_add(outbox, item, ITEM_REPLIES);
		frame_range_init(&item->range, &frame);
		if (at_mark)
			outbox->mark = item;
	}
	count_bytes(outbox, reply.len);
	schedule(outbox);
}

void
outbox_mark(struct outbox *outbox)
{
	outbox->mark = TAILQ_LAST(&outbox->items, outbox_items);
	outbox->marked = true;
}

void
outbox_unmark(struct outbox *outbox)
{
	outbox->mark = NULL;
	outbox->marked = false;
}

void
outbox_bar(struct outbox *outbox)
{
	struct outbox_item *after =
	    outbox->marked ? outbox->mark : TAILQ_LAST(&outbox->items, outbox_items);

	assert(outbox->barrier == NULL);
	if (!outbox->closed)
		outbox->barrier = outbox_item_add(outbox, after, ITEM_BARRIER);
}

void
outbox_unbar(struct outbox *outbox)
{
	if (outbox->barrier == NULL)
		return;
	outbox_item_remove(outbox, outbox->barrier);
	if (!outbox->closed)
		schedule(outbox);
}

/* Turns the gap at the front into the notice that is sent; later drops make another gap. */
static void
settle_front_gap(struct outbox *outbox)
{
	struct outbox_item *item = TAILQ_FIRST(&outbox->items);
	char notice[OUTBOX_NOTICE_MAX];
	struct frame frame;
	size_t len;

	len = outbox->pool->notice(outbox, item->form, item->missed, notice);
	if (len == 0) {
		outbox_item_remove(outbox, item);
		return;
	}
	frame = frame_log_write(outbox->pool->replies, len, 0);
	memcpy(frame.ptr, notice, len);
	frame_range_init(&item->range, &frame);
	item->kind = ITEM_REPLIES;
	count_bytes(outbox, len);
}

size_t
outbox_peek(struct outbox *outbox, struct iovec *pieces, size_t count)
{
	struct outbox_item *item;
	size_t n = 0;

	if (outbox->closed)
		return 0;
	while ((item = TAILQ_FIRST(&outbox->items)) != NULL && item->kind == ITEM_GAP)
		settle_front_gap(outbox);
	for (; item != NULL && item->kind < ITEM_GAP && n < count; item = TAILQ_NEXT(item, link)) {
		pieces[n].iov_base = (void *)(uintptr_t)frame_range_ptr(&item->range);
		pieces[n++].iov_len = item->range.len;
	}
	return n;
}

void
outbox_consume(struct outbox *outbox, size_t len)
{
	struct outbox_item *item;

	outbox_uncount_bytes(outbox, len);
	while (len > 0) {
		uint32_t n, ended;

		item = TAILQ_FIRST(&outbox->items);
		assert(item != NULL && item->kind < ITEM_GAP);
		n = len < item->range.len ? (uint32_t)len : item->range.len;
		ended = frame_range_consume(&item->range, n);
		if (item->kind != ITEM_REPLIES)
			outbox_uncount_messages(outbox, n, ended);
		if (item->range.len == 0)
			outbox_item_remove(outbox, item);
		len -= n;
	}
	offer_room(outbox);
	offer_low(outbox);
}

void
outbox_begin_write(struct outbox *outbox, const struct iovec *pieces, size_t count)
{
	struct outbox_item *item = TAILQ_FIRST(&outbox->items);

	assert(outbox->in_flight == 0 && count <= UINT16_MAX);
	for (; outbox->in_flight < count; item = TAILQ_NEXT(item, link)) {
		size_t len = pieces[outbox->in_flight++].iov_len;

		assert(len <= item->range.len);
		frame_range_pin(&item->range);
		item->in_flight = true;
		if (item->kind == ITEM_REPLIES)
			continue;
		outbox->in_flight_bytes += len;
		/* The number of messages in a shortened piece is not known. */
		if (len == item->range.len)
			outbox->in_flight_messages += item->range.frames;
	}
	for (enum item_kind kind = ITEM_MESSAGES; kind <= ITEM_DROPPABLE; kind++)
		if (outbox->oldest[kind] != NULL && outbox->oldest[kind]->in_flight)
			outbox->oldest[kind] = outbox_item_of_kind(item, kind);
}

void
outbox_end_write(struct outbox *outbox, size_t len)
{
	struct outbox_item *item = TAILQ_FIRST(&outbox->items);
	bool is_first[ITEM_DROPPABLE + 1] = {true, true};

	for (; outbox->in_flight > 0; outbox->in_flight--, item = TAILQ_NEXT(item, link)) {
		item->in_flight = false;
		frame_range_unpin(&item->range);
		if (item->kind <= ITEM_DROPPABLE && is_first[item->kind]) {
			outbox->oldest[item->kind] = item;
			is_first[item->kind] = false;
		}
	}
	outbox->in_flight_messages = 0;
	outbox->in_flight_bytes = 0;
	outbox_consume(outbox, len);
}

void
outbox_flushed(struct outbox *outbox)
{
	outbox->scheduled = false;
}

bool
outbox_is_empty(const struct outbox *outbox)
{
	const struct outbox_item *first = TAILQ_FIRST(&outbox->items);

	return outbox->closed || first == NULL || first->kind == ITEM_BARRIER;
}

size_t
outbox_reply_bytes(const struct outbox *outbox)
{
	return outbox->bytes - outbox->message_bytes;
}

void
outbox_set_limits(struct outbox *outbox, const struct outbox_limits *limits)
{
	outbox->limits = *limits;
	offer_room(outbox);
	offer_low(outbox);
}

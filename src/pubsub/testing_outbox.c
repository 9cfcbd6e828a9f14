#include "config.h"

#include "pubsub/testing_outbox.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "pubsub/wire_form.h"

struct outbox_rig ob;

static void
on_ready(struct outbox *o)
{
	ck_assert_ptr_eq(o, &ob.outbox);
	ob.readies++;
}

static void
on_room(struct outbox *o)
{
	ck_assert_ptr_eq(o, &ob.outbox);
	ob.rooms++;
}

static void
on_low(struct outbox *o)
{
	ck_assert_ptr_eq(o, &ob.outbox);
	ob.lows++;
}

static void
on_dropped(void *arg, uint32_t tag, uint64_t count)
{
	ck_assert_ptr_eq(arg, &ob.pool);
	ob.drops[tag % 100] += (int)count;
}

static size_t
write_notice(struct outbox *o, uint8_t form, uint64_t missed, char *out)
{
	const char *which = form > 0 ? "b" : "";

	(void)o;
	if (missed == WIRE_MISSED_UNKNOWN)
		return (size_t)snprintf(out, OUTBOX_NOTICE_MAX, "<%s?>", which);
	return (size_t)snprintf(
	    out, OUTBOX_NOTICE_MAX, "<%s%llu>", which, (unsigned long long)missed);
}

void
ob_setup(void)
{
	static const struct outbox_limits limits = {.bytes = 100, .messages = 5};

	ob.messages = frame_log_new(4096);
	ob.pool = (struct outbox_pool){.replies = frame_log_new(4096),
	    .ready = on_ready,
	    .room = on_room,
	    .low = on_low,
	    .dropped = on_dropped,
	    .notice = write_notice,
	    .arg = &ob.pool};
	outbox_init(&ob.outbox, &ob.pool, &limits, NULL);
	ob.readies = ob.rooms = ob.lows = 0;
	memset(ob.drops, 0, sizeof(ob.drops));
}

void
ob_teardown(void)
{
	outbox_release(&ob.outbox);
	outbox_pool_release(&ob.pool);
	frame_log_free(ob.messages);
	frame_log_free(ob.pool.replies);
}

void
ob_set_policy(enum outbox_policy policy, bool notify)
{
	struct outbox_limits limits = {
	    .bytes = 100, .messages = 5, .policy = policy, .notify = notify};

	outbox_set_limits(&ob.outbox, &limits);
}

enum outbox_result
ob_push_tagged(const char *text, uint32_t tag)
{
	struct frame frame = frame_log_write(ob.messages, strlen(text), tag);

	memcpy(frame.ptr, text, frame.len);
	return outbox_push_message(&ob.outbox, &frame);
}

enum outbox_result
ob_push_under(const char *text, enum outbox_policy policy)
{
	struct frame frame = frame_log_write(ob.messages, strlen(text), 1);

	memcpy(frame.ptr, text, frame.len);
	return outbox_push_under(&ob.outbox, &frame, policy);
}

enum outbox_result
ob_push(const char *text)
{
	return ob_push_tagged(text, 1);
}

void
ob_reply(const char *text)
{
	outbox_push_reply(&ob.outbox, slice_of(text));
}

/* Takes at most max bytes off, as a socket would, and returns them. */
const char *
ob_take(size_t max)
{
	static char text[1 << 16];
	struct iovec pieces[4];
	size_t len = 0, count;

	while (max > 0 && (count = outbox_peek(&ob.outbox, pieces, 4)) > 0) {
		size_t here = 0;

		for (size_t i = 0; i < count && max > 0; i++) {
			size_t n = pieces[i].iov_len < max ? pieces[i].iov_len : max;

			memcpy(text + len + here, pieces[i].iov_base, n);
			here += n;
			max -= n;
		}
		outbox_consume(&ob.outbox, here);
		len += here;
	}
	text[len] = '\0';
	return text;
}

const char *
ob_take_all(void)
{
	return ob_take(60000);
}

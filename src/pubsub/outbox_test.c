#include "config.h"

#include "pubsub/outbox.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/testing.h"

static struct frame_log *messages;
static struct outbox_pool pool;
static struct outbox outbox;
static int readies, rooms;
static uint32_t drops[100];

static void
on_ready(struct outbox *o)
{
	ck_assert_ptr_eq(o, &outbox);
	readies++;
}

static void
on_room(struct outbox *o)
{
	ck_assert_ptr_eq(o, &outbox);
	rooms++;
}

static void
on_dropped(void *arg, uint32_t tag)
{
	ck_assert_ptr_eq(arg, &pool);
	drops[tag % 100]++;
}

static size_t
write_notice(struct outbox *o, uint64_t missed, char *out)
{
	(void)o;
	return (size_t)snprintf(out, OUTBOX_NOTICE_MAX, "<%llu>", (unsigned long long)missed);
}

static void
setup(void)
{
	static const struct outbox_limits limits = {.bytes = 100, .messages = 5};

	messages = frame_log_new(4096);
	pool = (struct outbox_pool){.replies = frame_log_new(4096),
	    .ready = on_ready,
	    .room = on_room,
	    .dropped = on_dropped,
	    .notice = write_notice,
	    .arg = &pool};
	outbox_init(&outbox, &pool, &limits, NULL);
	readies = rooms = 0;
	memset(drops, 0, sizeof(drops));
}

static void
teardown(void)
{
	outbox_release(&outbox);
	outbox_pool_release(&pool);
	frame_log_free(messages);
	frame_log_free(pool.replies);
}

static void
set_policy(enum outbox_policy policy, bool notify)
{
	struct outbox_limits limits = {
	    .bytes = 100, .messages = 5, .policy = policy, .notify = notify};

	outbox_set_limits(&outbox, &limits);
}

static enum outbox_result
push_tagged(const char *text, uint32_t tag)
{
	struct frame frame = frame_log_write(messages, strlen(text), tag);

	memcpy(frame.ptr, text, frame.len);
	return outbox_push_message(&outbox, &frame);
}

static enum outbox_result
push(const char *text)
{
	return push_tagged(text, 1);
}

static void
reply(const char *text)
{
	outbox_push_reply(&outbox, slice_of(text));
}

/* Takes at most max bytes off, as a socket would, and returns them. */
static const char *
take(size_t max)
{
	static char text[1 << 16];
	struct iovec pieces[4];
	size_t len = 0, count;

	while (max > 0 && (count = outbox_peek(&outbox, pieces, 4)) > 0) {
		size_t here = 0;

		for (size_t i = 0; i < count && max > 0; i++) {
			size_t n = pieces[i].iov_len < max ? pieces[i].iov_len : max;

			memcpy(text + len + here, pieces[i].iov_base, n);
			here += n;
			max -= n;
		}
		outbox_consume(&outbox, here);
		len += here;
	}
	text[len] = '\0';
	return text;
}

static const char *
take_all(void)
{
	return take(60000);
}

START_TEST(messages_and_replies_leave_in_the_order_they_came)
{
	ck_assert_int_eq(push("a"), OUTBOX_QUEUED);
	reply("+OK");
	ck_assert_int_eq(push("b"), OUTBOX_QUEUED);
	ck_assert_int_eq(push("c"), OUTBOX_QUEUED);
	reply(":1");
	ck_assert_uint_eq(outbox.bytes, 8);
	ck_assert_uint_eq(outbox_reply_bytes(&outbox), 5);
	ck_assert_str_eq(take_all(), "a+OKbc:1");
	ck_assert(outbox_is_empty(&outbox));
	ck_assert_uint_eq(pool.bytes, 0);
	ck_assert_uint_eq(pool.messages, 0);
}
END_TEST

START_TEST(readiness_is_told_once_until_it_is_flushed)
{
	ck_assert_int_eq(push("a"), OUTBOX_QUEUED);
	reply("+OK");
	ck_assert_int_eq(readies, 1);
	take_all();
	outbox_flushed(&outbox);
	reply("+OK");
	ck_assert_int_eq(readies, 2);
}
END_TEST

START_TEST(the_reply_of_a_command_stands_before_what_it_pushed_to_its_own_client)
{
	ck_assert_int_eq(push("old"), OUTBOX_QUEUED);
	outbox_mark(&outbox);
	ck_assert_int_eq(push("own"), OUTBOX_QUEUED);
	reply(":1");
	reply(":2");
	outbox_unmark(&outbox);
	ck_assert_int_eq(push("new"), OUTBOX_QUEUED);
	ck_assert_str_eq(take_all(), "old:1:2ownnew");
}
END_TEST

START_TEST(the_mark_holds_at_the_front_too)
{
	outbox_mark(&outbox);
	ck_assert_int_eq(push("own"), OUTBOX_QUEUED);
	reply(":1");
	outbox_unmark(&outbox);
	ck_assert_str_eq(take_all(), ":1own");
}
END_TEST

START_TEST(disconnect_says_so_when_bytes_or_messages_do_not_fit)
{
	char big[102];

	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(push("m"), OUTBOX_QUEUED);
	ck_assert_int_eq(push("m"), OUTBOX_OVERFLOW);
	ck_assert_uint_eq(outbox.dropped, 1);
	take_all();
	memset(big, 'x', 101);
	big[101] = '\0';
	ck_assert_int_eq(push(big), OUTBOX_OVERFLOW);
	big[100] = '\0';
	ck_assert_int_eq(push(big), OUTBOX_QUEUED);
}
END_TEST

START_TEST(drop_newest_keeps_what_it_has)
{
	set_policy(OUTBOX_DROP_NEWEST, false);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(push("abcdefgh"), OUTBOX_QUEUED);
	ck_assert_int_eq(push_tagged("new", 9), OUTBOX_DROPPED);
	ck_assert_uint_eq(drops[9], 1);
	ck_assert_uint_eq(strlen(take_all()), 40);
	ck_assert_uint_eq(pool.dropped_total, 1);
}
END_TEST

START_TEST(drop_oldest_keeps_the_last_and_every_reply)
{
	char text[4] = "m0";

	set_policy(OUTBOX_DROP_OLDEST, false);
	for (int i = 0; i < 9; i++) {
		text[1] = (char)('0' + i);
		ck_assert_int_eq(push_tagged(text, (uint32_t)i), OUTBOX_QUEUED);
		if (i == 2)
			reply("+OK");
	}
	ck_assert_str_eq(take_all(), "+OKm4m5m6m7m8");
	ck_assert_uint_eq(outbox.dropped, 4);
	for (int i = 0; i < 9; i++)
		ck_assert_uint_eq(drops[i], i < 4);
}
END_TEST

START_TEST(drop_oldest_never_cuts_a_message_that_is_on_the_wire)
{
	set_policy(OUTBOX_DROP_OLDEST, false);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(push("12345678"), OUTBOX_QUEUED);
	ck_assert_str_eq(take(3), "123");
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(push("abcdefgh"), OUTBOX_QUEUED);
	ck_assert_str_eq(take_all(), "45678abcdefghabcdefghabcdefghabcdefgh");
}
END_TEST

START_TEST(what_can_never_fit_pushes_nothing_out)
{
	char big[102];

	set_policy(OUTBOX_DROP_OLDEST, false);
	memset(big, 'x', 101);
	big[101] = '\0';
	ck_assert_int_eq(push("keep"), OUTBOX_QUEUED);
	ck_assert_int_eq(push(big), OUTBOX_DROPPED);
	ck_assert_str_eq(take_all(), "keep");
}
END_TEST

START_TEST(who_asked_is_told_in_place_how_many_are_missing)
{
	char text[4] = "m0";

	set_policy(OUTBOX_DROP_OLDEST, true);
	for (int i = 0; i < 8; i++) {
		text[1] = (char)('0' + i);
		ck_assert_int_eq(push(text), OUTBOX_QUEUED);
	}
	ck_assert_str_eq(take_all(), "<3>m3m4m5m6m7");
	set_policy(OUTBOX_DROP_NEWEST, true);
	for (int i = 0; i < 7; i++)
		(void)push("n");
	ck_assert_str_eq(take(2), "nn");
	(void)push("after");
	ck_assert_str_eq(take_all(), "nnn<2>after");
}
END_TEST

START_TEST(who_did_not_ask_is_told_nothing)
{
	set_policy(OUTBOX_DROP_NEWEST, false);
	for (int i = 0; i < 7; i++)
		(void)push("n");
	ck_assert_str_eq(take_all(), "nnnnn");
}
END_TEST

START_TEST(blocking_waits_for_room_and_an_empty_outbox_has_room_for_any)
{
	set_policy(OUTBOX_BLOCK, false);
	ck_assert(!outbox_would_block(&outbox, 1000));
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(push("12"), OUTBOX_QUEUED);
	ck_assert(outbox_would_block(&outbox, 2));
	(void)take(1);
	ck_assert_int_eq(rooms, 0); /* no whole message has left */
	(void)take(1);
	ck_assert_int_eq(rooms, 1);
	ck_assert(!outbox_would_block(&outbox, 2));
}
END_TEST

START_TEST(closing_wakes_who_waits_and_lets_everything_go)
{
	size_t one = 1;

	set_policy(OUTBOX_BLOCK, false);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(push("12"), OUTBOX_QUEUED);
	ck_assert(outbox_would_block(&outbox, 2));
	outbox_close(&outbox);
	ck_assert_int_eq(rooms, 1);
	ck_assert(outbox_is_empty(&outbox));
	ck_assert_str_eq(take_all(), "");
	ck_assert(outbox_discard(&outbox, &one));
	ck_assert_uint_eq(one, 0);
	ck_assert_uint_eq(pool.bytes, 0);
	ck_assert_uint_eq(pool.messages, 0);
	ck_assert_uint_eq(frame_log_owed_bytes(messages), 0);
	ck_assert_int_eq(push("x"), OUTBOX_CLOSED);
}
END_TEST

START_TEST(a_sealed_outbox_takes_nothing_and_shows_what_it_has)
{
	set_policy(OUTBOX_BLOCK, false);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(push("12"), OUTBOX_QUEUED);
	reply("+OK");
	ck_assert(outbox_would_block(&outbox, 2));
	outbox_seal(&outbox);
	ck_assert_int_eq(rooms, 1);
	ck_assert(!outbox_would_block(&outbox, 2));
	ck_assert_int_eq(push("x"), OUTBOX_CLOSED);
	reply("+NO");
	ck_assert(!outbox_is_empty(&outbox));
	ck_assert_str_eq(take_all(), "1212121212+OK");
	ck_assert(outbox_is_empty(&outbox));
}
END_TEST

START_TEST(a_closed_outbox_lets_go_in_slices)
{
	size_t budget = 3;

	set_policy(OUTBOX_DROP_NEWEST, false);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(push("12"), OUTBOX_QUEUED);
		reply("+OK");
	}
	outbox_close(&outbox);
	ck_assert(!outbox_discard(&outbox, &budget));
	ck_assert_uint_eq(budget, 0);
	ck_assert_uint_eq(pool.messages, 2);
	budget = 9;
	ck_assert(outbox_discard(&outbox, &budget));
	ck_assert_uint_eq(budget, 4);
	ck_assert_uint_eq(pool.bytes, 0);
}
END_TEST

/* The model: a list of what is owed, each piece with its text and what it is. */
struct piece {
	char text[24];
	size_t at; /* taken so far */
	bool message;
	uint64_t gap;
};

static struct piece model[200000];
static size_t first, count;
static size_t model_bytes, model_messages;

static bool
model_fits(size_t len)
{
	return model_messages < 5 && model_bytes + len <= 100;
}

static void
model_gap(size_t before)
{
	if (before > first && model[before - 1].gap > 0) {
		model[before - 1].gap++;
		return;
	}
	memmove(&model[before + 1], &model[before], (count - before) * sizeof(*model));
	memset(&model[before], 0, sizeof(*model));
	model[before].gap = 1;
	count++;
}

static void
model_add(const char *text, bool message)
{
	memset(&model[count], 0, sizeof(*model));
	strcpy(model[count].text, text);
	model[count++].message = message;
}

static void
model_push(const char *text, enum outbox_policy policy, bool notify)
{
	size_t len = strlen(text);

	while (!model_fits(len)) {
		size_t i = first;

		while (i < count && (!model[i].message || model[i].at > 0))
			i++;
		if (policy == OUTBOX_DROP_NEWEST || i == count) {
			if (notify)
				model_gap(count);
			return;
		}
		model_bytes -= strlen(model[i].text);
		model_messages--;
		memmove(&model[i], &model[i + 1], (count - i - 1) * sizeof(*model));
		count--;
		if (notify)
			model_gap(i);
	}
	model_add(text, true);
	model_bytes += len;
	model_messages++;
}

static void
model_take(size_t max, char *out)
{
	while (max > 0 && first < count) {
		struct piece *p = &model[first];
		size_t n;

		if (p->gap > 0) {
			snprintf(p->text, sizeof(p->text), "<%llu>", (unsigned long long)p->gap);
			p->gap = 0;
		}
		n = strlen(p->text + p->at);
		n = n < max ? n : max;
		memcpy(out, p->text + p->at, n);
		out += n;
		max -= n;
		p->at += n;
		if (p->message)
			model_bytes -= n;
		if (p->text[p->at] == '\0') {
			model_messages -= p->message;
			first++;
		}
	}
	*out = '\0';
}

START_TEST(two_hundred_thousand_random_steps_agree_with_a_plain_model)
{
	uint64_t seed = 7;
	char text[24], expected[4096];

	first = count = model_bytes = model_messages = 0;
	for (int step = 0; step < 200000; step++) {
		uint64_t r = testing_random(&seed);
		enum outbox_policy policy =
		    step / 1000 % 2 ? OUTBOX_DROP_OLDEST : OUTBOX_DROP_NEWEST;
		bool notify = step / 2000 % 2;

		if (step % 1000 == 0) {
			model_take(sizeof(expected) - 1, expected);
			ck_assert_str_eq(take_all(), expected);
			ck_assert_uint_eq(model_messages, 0);
			first = count = 0;
			set_policy(policy, notify);
		}
		snprintf(text, sizeof(text), "{%0*d}", (int)(r >> 8) % 18 + 1, step % 10);
		switch (r % 8) {
		case 0:
			reply(text);
			model_add(text, false);
			break;
		case 1:
			model_take(r >> 40 & 63, expected);
			ck_assert_str_eq(take(r >> 40 & 63), expected);
			break;
		case 2:
			frame_log_tidy(messages);
			frame_log_tidy(pool.replies);
			break;
		default:
			(void)push(text);
			model_push(text, policy, notify);
		}
		ck_assert_uint_eq(outbox.messages, model_messages);
		ck_assert_uint_eq(outbox.message_bytes, model_bytes);
	}
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/outbox", setup, teardown,
	    (const TTest *[]){messages_and_replies_leave_in_the_order_they_came,
		readiness_is_told_once_until_it_is_flushed,
		the_reply_of_a_command_stands_before_what_it_pushed_to_its_own_client,
		the_mark_holds_at_the_front_too,
		disconnect_says_so_when_bytes_or_messages_do_not_fit, drop_newest_keeps_what_it_has,
		drop_oldest_keeps_the_last_and_every_reply,
		drop_oldest_never_cuts_a_message_that_is_on_the_wire,
		what_can_never_fit_pushes_nothing_out,
		who_asked_is_told_in_place_how_many_are_missing, who_did_not_ask_is_told_nothing,
		blocking_waits_for_room_and_an_empty_outbox_has_room_for_any,
		closing_wakes_who_waits_and_lets_everything_go,
		a_sealed_outbox_takes_nothing_and_shows_what_it_has,
		a_closed_outbox_lets_go_in_slices,
		two_hundred_thousand_random_steps_agree_with_a_plain_model, NULL});
}

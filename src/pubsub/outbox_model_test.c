#include "config.h"

#include "pubsub/outbox.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/testing_outbox.h"
#include "pubsub/wire_form.h"

/* The write in flight: its pieces, and a copy of their bytes from when it began. */
static struct iovec written[4];
static size_t written_count, written_len;
static char written_text[1 << 16];

static void
begin_write(size_t most)
{
	written_count = outbox_peek(&ob.outbox, written, most);
	written_len = 0;
	if (written_count == 0)
		return;
	outbox_begin_write(&ob.outbox, written, written_count);
	for (size_t i = 0; i < written_count; i++) {
		memcpy(written_text + written_len, written[i].iov_base, written[i].iov_len);
		written_len += written[i].iov_len;
	}
}

/* Checks that the pieces are unchanged. Returns the first len bytes. */
static const char *
end_write(size_t len)
{
	const char *at = written_text;

	for (size_t i = 0; i < written_count; i++) {
		ck_assert_mem_eq(written[i].iov_base, at, written[i].iov_len);
		at += written[i].iov_len;
	}
	outbox_end_write(&ob.outbox, len);
	written_count = 0;
	written_text[len] = '\0';
	return written_text;
}

START_TEST(messages_in_flight_are_not_dropped_and_do_not_count_for_the_limits)
{
	ob_set_policy(OUTBOX_DROP_OLDEST, false);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(ob_push_tagged("old,", 1), OUTBOX_QUEUED);
	begin_write(4);
	ck_assert_uint_eq(ob.outbox.in_flight, 1);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(ob_push_tagged("new,", 2), OUTBOX_QUEUED);
	ck_assert_uint_eq(ob.drops[1], 0);
	ck_assert_uint_eq(ob.drops[2], 1);
	ck_assert_uint_eq(ob.outbox.messages, 10);
	ck_assert_str_eq(end_write(10), "old,old,ol");
	ck_assert_uint_eq(ob.outbox.in_flight, 0);
	/* Unwritten messages count towards the limits again; the partly sent one is not dropped. */
	ck_assert_uint_eq(ob.outbox.messages, 8);
	ck_assert_int_eq(ob_push_tagged("last", 3), OUTBOX_QUEUED);
	ck_assert_uint_eq(ob.drops[1], 2);
	ck_assert_uint_eq(ob.drops[2], 3);
	ck_assert_str_eq(ob_take_all(), "d,new,new,new,last");
}
END_TEST

START_TEST(bytes_in_flight_stay_when_the_log_is_tidied_and_the_outbox_closed)
{
	size_t all = SIZE_MAX;

	(void)ob_push("message");
	ob_reply("reply");
	begin_write(4);
	ck_assert_uint_eq(written_count, 2);
	for (int i = 0; i < 1000; i++)
		(void)frame_log_write(ob.messages, 100, 0);
	outbox_close(&ob.outbox);
	frame_log_tidy(ob.messages);
	frame_log_tidy(ob.pool.replies);
	ck_assert_str_eq(end_write(12), "messagereply");
	ck_assert(outbox_discard(&ob.outbox, &all));
	ck_assert_uint_eq(ob.pool.bytes, 0);
}
END_TEST

START_TEST(messages_in_flight_leave_room_for_blocked_publishers)
{
	ob_set_policy(OUTBOX_BLOCK, false);
	for (int i = 0; i < 5; i++)
		(void)ob_push("x");
	ck_assert(outbox_would_block(&ob.outbox, 1));
	outbox_await_room(&ob.outbox, 1);
	begin_write(4);
	ck_assert(!outbox_would_block(&ob.outbox, 1));
	(void)end_write(0);
	ck_assert_int_eq(ob.rooms, 0);
	ck_assert(outbox_would_block(&ob.outbox, 1));
	outbox_await_room(&ob.outbox, 1);
	(void)ob_take_all();
	ck_assert_int_eq(ob.rooms, 1);
}
END_TEST

/* The model: a list of the queued pieces, each with its text and kind. */
struct piece {
	char text[24];
	size_t at; /* taken so far */
	bool message;
	bool in_flight;
	enum outbox_policy under; /* the policy that the message was queued under */
	bool is_own;              /* it was the outbox's own */
	uint64_t gap;             /* WIRE_MISSED_UNKNOWN: of unknown size */
};

static struct piece model[200000];
static size_t first, count;
static size_t model_bytes, model_messages;
static size_t model_in_flight_bytes, model_in_flight_messages;

static void
model_clear(void)
{
	first = count = model_bytes = model_messages = 0;
	model_in_flight_bytes = model_in_flight_messages = 0;
}

static bool
model_fits(size_t len)
{
	return model_messages - model_in_flight_messages < 5 &&
	       model_bytes - model_in_flight_bytes + len <= 100;
}

static uint64_t
model_sum(uint64_t a, uint64_t b)
{
	return a == WIRE_MISSED_UNKNOWN || b == WIRE_MISSED_UNKNOWN ? WIRE_MISSED_UNKNOWN : a + b;
}

static void
model_remove(size_t i)
{
	memmove(&model[i], &model[i + 1], (count - i - 1) * sizeof(*model));
	count--;
}

static void
model_gap(size_t before, uint64_t missed)
{
	if (before > first && model[before - 1].gap > 0) {
		before--;
		model[before].gap = model_sum(model[before].gap, missed);
	} else {
		memmove(&model[before + 1], &model[before], (count - before) * sizeof(*model));
		memset(&model[before], 0, sizeof(*model));
		model[before].gap = missed;
		count++;
	}
	if (before + 1 < count && model[before + 1].gap > 0) {
		model[before].gap = model_sum(model[before].gap, model[before + 1].gap);
		model_remove(before + 1);
	}
}

static void
model_add(const char *text, bool message)
{
	memset(&model[count], 0, sizeof(*model));
	strcpy(model[count].text, text);
	model[count++].message = message;
}

/* The first message that may be dropped; count if there is none. is_own: of those under the
 * outbox's own policy. */
static size_t
model_oldest(bool is_own)
{
	size_t i = first;

	while (i < count &&
	       (!model[i].message || model[i].at > 0 || model[i].in_flight ||
		   model[i].is_own != is_own || (!is_own && model[i].under != OUTBOX_DROP_OLDEST)))
		i++;
	return i;
}

static void
model_push(const char *text, enum outbox_policy policy, enum outbox_policy own, bool notify)
{
	size_t len = strlen(text);

	while (!model_fits(len)) {
		size_t i = model_oldest(false);

		if (i == count && own == OUTBOX_DROP_OLDEST)
			i = model_oldest(true);
		if (policy == OUTBOX_DROP_NEWEST || i == count) {
			if (notify)
				model_gap(count, 1);
			return;
		}
		model_bytes -= strlen(model[i].text);
		model_messages--;
		model_remove(i);
		if (notify)
			model_gap(i, 1);
	}
	model_add(text, true);
	model[count - 1].under = policy;
	model[count - 1].is_own = policy == own;
	model_bytes += len;
	model_messages++;
}

static void
model_settle_gap(struct piece *p)
{
	if (p->gap == 0)
		return;
	if (p->gap == WIRE_MISSED_UNKNOWN)
		strcpy(p->text, "<?>");
	else
		snprintf(p->text, sizeof(p->text), "<%llu>", (unsigned long long)p->gap);
	p->gap = 0;
}

/* Begins a write of the first len bytes: whole pieces, or the rest of the first one. */
static void
model_begin_write(size_t len)
{
	if (first < count)
		model_settle_gap(&model[first]);
	for (size_t i = first; len > 0; i++) {
		size_t n = strlen(model[i].text + model[i].at);

		ck_assert_uint_le(n, len);
		len -= n;
		model[i].in_flight = true;
		if (!model[i].message)
			continue;
		model_in_flight_bytes += n;
		model_in_flight_messages++;
	}
}

static void
model_end_write(void)
{
	for (size_t i = first; i < count; i++)
		model[i].in_flight = false;
	model_in_flight_bytes = model_in_flight_messages = 0;
}

static void
model_take(size_t max, char *out)
{
	while (max > 0 && first < count) {
		struct piece *p = &model[first];
		size_t n;

		model_settle_gap(p);
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

/* How random steps push messages. */
struct rules {
	enum outbox_policy own; /* the outbox's own policy */
	bool notify;
	bool by_channel; /* messages may have a policy of their channel */
};

/* r is random. */
static void
random_step(const struct rules *rules, uint64_t r, int step)
{
	enum outbox_policy policy = rules->own;
	char text[24], expected[128];

	if (rules->by_channel && (r >> 50) % 2 > 0)
		policy = (r >> 51) % 2 > 0 ? OUTBOX_DROP_OLDEST : OUTBOX_DROP_NEWEST;
	snprintf(text, sizeof(text), "{%0*d}", (int)(r >> 8) % 18 + 1, step % 10);
	switch (r % 9) {
	case 0:
		ob_reply(text);
		model_add(text, false);
		break;
	case 1:
		if (written_count > 0)
			break; /* only the write in flight consumes */
		model_take(r >> 40 & 63, expected);
		ck_assert_str_eq(ob_take(r >> 40 & 63), expected);
		break;
	case 7:
		if (written_count > 0)
			break;
		begin_write(1 + (r >> 20) % 4);
		model_begin_write(written_len);
		break;
	case 2:
		if ((r >> 20) % 3 == 0) {
			outbox_note_gap(&ob.outbox);
			if (rules->notify)
				model_gap(count, WIRE_MISSED_UNKNOWN);
			break;
		}
		frame_log_tidy(ob.messages);
		frame_log_tidy(ob.pool.replies);
		break;
	default:
		(void)ob_push_under(text, policy);
		model_push(text, policy, rules->own, rules->notify);
	}
	ck_assert_uint_eq(ob.outbox.messages, model_messages);
	ck_assert_uint_eq(ob.outbox.message_bytes, model_bytes);
}

/* by_channel: the outbox's own policy changes while messages are queued, too. */
static void
run_model(bool by_channel)
{
	struct rules rules = {.own = OUTBOX_DROP_NEWEST, .by_channel = by_channel};
	uint64_t seed = 7;
	char expected[4096];

	model_clear();
	for (int step = 0; step < testing_steps(200000); step++) {
		uint64_t r = testing_random(&seed);

		if (written_count > 0 && (step % 1000 == 0 || r % 9 == 8)) {
			size_t len =
			    (r >> 32) % 4 > 0 ? written_len : (r >> 40) % (written_len + 1);

			model_end_write();
			model_take(len, expected);
			ck_assert_str_eq(end_write(len), expected);
		}
		if (step % 1000 == 0) {
			model_take(sizeof(expected) - 1, expected);
			ck_assert_str_eq(ob_take_all(), expected);
			ck_assert_uint_eq(model_messages, 0);
			first = count = 0;
			rules.notify = step / 2000 % 2;
		}
		if (step % 1000 == 0 || (by_channel && step % 100 == 0)) {
			rules.own = step / (by_channel ? 100 : 1000) % 2 ? OUTBOX_DROP_OLDEST
									 : OUTBOX_DROP_NEWEST;
			ob_set_policy(rules.own, rules.notify);
		}
		random_step(&rules, r, step);
	}
	if (written_count > 0)
		(void)end_write(0);
}

/* What the model sends after a cut: all but the messages that were not begun. Returns their number.
 */
static size_t
model_cut(void)
{
	size_t kept = first, dropped = 0;

	for (size_t i = first; i < count; i++) {
		if (model[i].message && model[i].at == 0) {
			model_bytes -= strlen(model[i].text);
			model_messages--;
			dropped++;
		} else {
			model[kept++] = model[i];
		}
	}
	count = kept;
	return dropped;
}

/* Cuts in small steps, then checks all that is sent until the end. */
static void
cut_both(uint64_t *seed)
{
	uint64_t before = ob.pool.dropped_total;
	char expected[4096];
	size_t budget = 0;

	if (written_count > 0) {
		size_t len = testing_random(seed) % (written_len + 1);

		budget = SIZE_MAX;
		ck_assert(!outbox_cut(&ob.outbox, &budget));
		ck_assert_uint_eq(ob.pool.dropped_total, before);
		model_end_write();
		model_take(len, expected);
		ck_assert_str_eq(end_write(len), expected);
	}
	do {
		budget = testing_random(seed) % 3;
	} while (!outbox_cut(&ob.outbox, &budget));
	ck_assert_uint_eq(ob.pool.dropped_total - before, model_cut());
	ck_assert_uint_eq(ob.outbox.message_bytes, model_bytes);
	ck_assert_uint_eq(ob.outbox.messages, model_messages);
	ck_assert_int_eq(ob_push("late"), OUTBOX_CLOSED);
	ob_reply("late");
	outbox_note_gap(&ob.outbox);
	outbox_push_last(&ob.outbox, SLICE("{last}"));
	model_add("{last}", false);
	model_take(sizeof(expected) - 1, expected);
	ck_assert_str_eq(ob_take_all(), expected);
	ck_assert_uint_eq(ob.pool.bytes, 0);
	ck_assert_uint_eq(ob.pool.messages, 0);
}

/* Random outboxes, each of which is cut at a random moment. */
START_TEST(a_cut_outbox_sends_what_the_model_sends)
{
	uint64_t seed = 11;

	for (int round = 0; round < testing_steps(3000); round++) {
		uint64_t r = testing_random(&seed);
		int steps = (int)(r % 30);
		const struct rules rules = {
		    .own = r >> 20 & 1 ? OUTBOX_DROP_OLDEST : OUTBOX_DROP_NEWEST,
		    .notify = r >> 21 & 1,
		    .by_channel = r >> 22 & 1};

		model_clear();
		ob_set_policy(rules.own, rules.notify);
		for (int step = 0; step < steps; step++)
			random_step(&rules, testing_random(&seed), step);
		cut_both(&seed);
		ob_teardown();
		ob_setup();
	}
}
END_TEST

START_TEST(two_hundred_thousand_random_steps_agree_with_a_plain_model)
{
	run_model(false);
}
END_TEST

START_TEST(random_steps_with_policies_of_channels_agree_with_a_plain_model)
{
	run_model(true);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/outbox_model", ob_setup, ob_teardown,
	    (const TTest *[]){messages_in_flight_are_not_dropped_and_do_not_count_for_the_limits,
		bytes_in_flight_stay_when_the_log_is_tidied_and_the_outbox_closed,
		messages_in_flight_leave_room_for_blocked_publishers,
		two_hundred_thousand_random_steps_agree_with_a_plain_model,
		random_steps_with_policies_of_channels_agree_with_a_plain_model,
		a_cut_outbox_sends_what_the_model_sends, NULL});
}

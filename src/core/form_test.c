#include "config.h"

#include <stdio.h>

#include "base/testing.h"
#include "core/testing_core.h"

static struct fanfare_hub *hub;
static struct fanfare_subscriber *s;
static unsigned lines, doubled, bad;
static struct fanfare_ends bad_ends;
static size_t bad_body;
static int written;

static struct fanfare_ends
line_ends(void *arg, const struct fanfare_message *m, const struct fanfare_body *body)
{
	(void)body;
	return (struct fanfare_ends){strlen(arg) + m->channel.len + m->pattern.len, 1};
}

static void
line_write(void *arg, const struct fanfare_message *m, const struct fanfare_body *body, char *head,
    char *tail)
{
	(void)body;
	written++;
	memcpy(head, arg, strlen(arg));
	head += strlen(arg);
	if (m->pattern.len > 0)
		memcpy(head, m->pattern.data, m->pattern.len);
	if (m->channel.len > 0)
		memcpy(head + m->pattern.len, m->channel.data, m->channel.len);
	*tail = '\n';
}

static size_t
line_notice(void *arg, uint64_t missed, char *out)
{
	(void)arg;
	return (size_t)snprintf(out, FANFARE_NOTICE_MAX, "-%llu\n", (unsigned long long)missed);
}

static bool
double_measure(void *arg, const struct fanfare_message *m, struct fanfare_body *body)
{
	(void)arg;
	body->len = m->payload.len * 2;
	body->note = 7;
	return m->payload.len != 3;
}

static void
double_transform(
    void *arg, const struct fanfare_message *m, const struct fanfare_body *body, char *out)
{
	(void)arg;
	ck_assert_uint_eq(body->note, 7);
	memcpy(out, m->payload.data, m->payload.len);
	memcpy(out + m->payload.len, m->payload.data, m->payload.len);
}

static bool
any_measure(void *arg, const struct fanfare_message *m, struct fanfare_body *body)
{
	(void)arg;
	(void)m;
	body->len = bad_body;
	return true;
}

static void
no_transform(void *arg, const struct fanfare_message *m, const struct fanfare_body *body, char *out)
{
	(void)arg;
	(void)m;
	memset(out, 'x', body->len);
}

static struct fanfare_ends
any_ends(void *arg, const struct fanfare_message *m, const struct fanfare_body *body)
{
	(void)arg;
	(void)m;
	(void)body;
	return bad_ends;
}

static void
any_write(void *arg, const struct fanfare_message *m, const struct fanfare_body *body, char *head,
    char *tail)
{
	(void)arg;
	(void)m;
	(void)body;
	memset(head, '(', bad_ends.head);
	memset(tail, ')', bad_ends.tail);
}

static char line_arg[] = "+", double_arg[] = "*";

static struct fanfare_subscriber *
with_form(unsigned form, const struct fanfare_limits *limits)
{
	struct fanfare_subscriber_options options = {
	    .size = sizeof(options), .form = form, .limits = limits};
	struct fanfare_subscriber *its;

	ck_assert_ok(fanfare_subscriber_new(hub, &options, &its));
	return its;
}

static void
setup(void)
{
	struct fanfare_form form = {.size = sizeof(form),
	    .arg = line_arg,
	    .ends = line_ends,
	    .write = line_write,
	    .notice = line_notice};

	hub = testing_hub(NULL, NULL);
	ck_assert_ok(fanfare_hub_add_form(hub, &form, &lines));
	form.arg = double_arg;
	form.measure = double_measure;
	form.transform = double_transform;
	ck_assert_ok(fanfare_hub_add_form(hub, &form, &doubled));
	form = (struct fanfare_form){.size = sizeof(form),
	    .measure = any_measure,
	    .transform = no_transform,
	    .ends = any_ends,
	    .write = any_write};
	ck_assert_ok(fanfare_hub_add_form(hub, &form, &bad));
	s = with_form(lines, NULL);
	written = 0;
}

static void
teardown(void)
{
	ck_assert_ok(fanfare_hub_free(hub));
}

/* Takes all bytes, at most `step` at a time. */
static const char *
take(struct fanfare_subscriber *its, size_t step)
{
	static char text[65536];
	struct fanfare_bytes piece;
	size_t len = 0, count = 1;

	while (fanfare_subscriber_peek(its, &piece, &count) == FANFARE_OK) {
		size_t n = piece.len < step ? piece.len : step;

		ck_assert_uint_lt(len + n, sizeof(text));
		memcpy(text + len, piece.data, n);
		len += n;
		ck_assert_ok(fanfare_subscriber_consume(its, n));
		count = 1;
	}
	text[len] = '\0';
	return text;
}

START_TEST(a_message_is_encoded_once_for_all_subscribers_of_a_form)
{
	struct fanfare_subscriber *second = with_form(lines, NULL);
	struct fanfare_subscriber *third = with_form(doubled, NULL);

	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_ok(fanfare_subscribe(second, B("a"), 1));
	ck_assert_ok(fanfare_subscribe(third, B("a"), 1));
	ck_assert_ok(fanfare_psubscribe(third, B("?")));
	testing_publish(hub, "a", "12");
	ck_assert_int_eq(written, 3);
	ck_assert_str_eq(take(s, 100), "+a12\n");
	ck_assert_str_eq(take(second, 1), "+a12\n");
	ck_assert_str_eq(take(third, 2), "*a1212\n*?a1212\n");
}
END_TEST

START_TEST(a_payload_that_a_form_refuses_is_dropped_and_counted)
{
	struct fanfare_subscriber *its = with_form(doubled, NULL);
	struct fanfare_queue queue = {.size = sizeof(queue)};
	static char large[FANFARE_TRANSFORMED_MAX + 1];

	ck_assert_ok(fanfare_subscribe(its, B("a"), 1));
	testing_publish(hub, "a", "123");
	testing_publish(hub, "a", "");
	ck_assert_ok(
	    fanfare_publish(hub, B("a"), (struct fanfare_bytes){large, sizeof(large)}, 1, NULL));
	ck_assert_str_eq(take(its, 100), "*a\n");
	ck_assert_ok(fanfare_subscriber_queue(its, &queue));
	ck_assert_uint_eq(queue.dropped, 2);
}
END_TEST

START_TEST(lengths_that_a_form_must_not_give_drop_the_message)
{
	struct fanfare_subscriber *its = with_form(bad, NULL);
	struct fanfare_queue queue = {.size = sizeof(queue)};
	static const struct {
		size_t body, head, tail;
		bool is_allowed;
	} cases[] = {
	    {0, 0, 0, false},
	    {0, 1, 0, true},
	    {0, 0, 1, true},
	    {1, 0, 0, true},
	    {SIZE_MAX, 0, 0, false},
	    {((size_t)1 << 30) + 1, 0, 0, false},
	    {0, SIZE_MAX, 0, false},
	    {1, 0, SIZE_MAX, false},
	    {1, SIZE_MAX, SIZE_MAX, false},
	    {0, 1 << 20, 1 << 20, true},
	    {0, (1 << 20) + 1, 0, false},
	};
	uint64_t dropped = 0;

	ck_assert_ok(fanfare_subscribe(its, B("a"), 1));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bad_body = cases[i].body;
		bad_ends = (struct fanfare_ends){cases[i].head, cases[i].tail};
		testing_publish(hub, "a", "1");
		ck_assert_ok(fanfare_subscriber_queue(its, &queue));
		dropped += cases[i].is_allowed ? 0 : 1;
		ck_assert_uint_eq(queue.dropped, dropped);
		ck_assert_uint_eq(queue.bytes,
		    cases[i].is_allowed ? cases[i].body + cases[i].head + cases[i].tail : 0);
		ck_assert_ok(fanfare_subscriber_consume(its, queue.bytes));
	}
}
END_TEST

START_TEST(pushed_bytes_are_in_order_with_messages_and_are_not_dropped)
{
	struct fanfare_limits limits = {
	    .size = sizeof(limits), .messages = 1, .policy = FANFARE_DROP_OLDEST, .notify = true};
	struct fanfare_subscriber *its = with_form(lines, &limits);
	static char large[(1 << 24) + 1];

	ck_assert_ok(fanfare_subscribe(its, B("a"), 1));
	ck_assert_ok(fanfare_subscriber_push(its, B("hello\n")));
	testing_publish(hub, "a", "1");
	testing_publish(hub, "a", "2");
	ck_assert_result(fanfare_subscriber_consume(its, 11), FANFARE_INVALID);
	ck_assert_str_eq(take(its, 3), "hello\n-1\n+a2\n");
	ck_assert_result(fanfare_subscriber_push(its, B("")), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_push(NULL, B("a")), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_push(its, (struct fanfare_bytes){large, sizeof(large)}),
	    FANFARE_TOO_LARGE);
	ck_assert_ok(
	    fanfare_subscriber_push(its, (struct fanfare_bytes){large, sizeof(large) - 1}));
}
END_TEST

START_TEST(a_write_in_flight_stays_where_it_is)
{
	struct fanfare_bytes pieces[2];
	size_t count = 2, one = 1;

	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_result(fanfare_subscriber_begin_write(s, pieces, &count), FANFARE_EMPTY);
	testing_publish(hub, "a", "1");
	count = 2;
	ck_assert_ok(fanfare_subscriber_begin_write(s, pieces, &count));
	ck_assert_uint_eq(count, 1);
	testing_publish(hub, "a", "2");
	testing_work(hub, 2);
	ck_assert_mem_eq(pieces[0].data, "+a1\n", 4);
	ck_assert_result(fanfare_subscriber_begin_write(s, pieces, &one), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_peek(s, pieces, &one), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_consume(s, 1), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_end_write(s, 5), FANFARE_INVALID);
	ck_assert_ok(fanfare_subscriber_end_write(s, 2));
	ck_assert_result(fanfare_subscriber_end_write(s, 0), FANFARE_INVALID);
	ck_assert_str_eq(take(s, 100), "1\n+a2\n");
	testing_publish(hub, "a", "3");
	ck_assert_ok(fanfare_subscriber_begin_write(s, pieces, &one));
	ck_assert_result(fanfare_subscriber_close(s, SIZE_MAX), FANFARE_MORE);
	ck_assert_mem_eq(pieces[0].data, "+a3\n", 4);
	ck_assert_ok(fanfare_subscriber_end_write(s, 0));
	ck_assert_ok(fanfare_subscriber_close(s, SIZE_MAX));
	s = with_form(lines, NULL);
	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	testing_publish(hub, "a", "4");
	ck_assert_ok(fanfare_subscriber_begin_write(s, pieces, &one));
}
END_TEST

START_TEST(bytes_and_records_are_read_with_their_own_functions)
{
	struct fanfare_subscriber *records = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);
	struct fanfare_message message;
	struct fanfare_bytes pieces[1];
	size_t count = 1, none = 0, many = 1025;

	ck_assert_result(fanfare_subscriber_next(s, &message), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_next(records, NULL), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_peek(records, pieces, &count), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_consume(records, 0), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_begin_write(records, pieces, &count), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_push(records, B("x")), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_peek(s, NULL, &count), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_peek(s, pieces, NULL), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_peek(s, pieces, &none), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_peek(s, pieces, &many), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_peek(NULL, pieces, &count), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_consume(s, 1), FANFARE_INVALID);
	ck_assert_ok(fanfare_subscriber_consume(s, 0));
}
END_TEST

START_TEST(a_hub_has_a_limited_number_of_forms_that_are_whole)
{
	struct fanfare_form form = {.size = sizeof(form), .ends = any_ends, .write = any_write};
	unsigned number;

	for (unsigned i = 3; i < FANFARE_FORMS_MAX; i++)
		ck_assert_ok(fanfare_hub_add_form(hub, &form, &number));
	ck_assert_uint_eq(number, FANFARE_FORMS_MAX);
	ck_assert_result(fanfare_hub_add_form(hub, &form, &number), FANFARE_TOO_MANY);
	form.measure = any_measure;
	ck_assert_result(fanfare_hub_add_form(hub, &form, &number), FANFARE_INVALID);
	form.measure = NULL;
	form.write = NULL;
	ck_assert_result(fanfare_hub_add_form(hub, &form, &number), FANFARE_INVALID);
	ck_assert_result(fanfare_hub_add_form(hub, NULL, &number), FANFARE_INVALID);
}
END_TEST

START_TEST(the_option_replay_counts_the_length_of_frames)
{
	struct fanfare_limits limits = {.size = sizeof(limits), .bytes = 4000};
	struct fanfare_form form = {.size = sizeof(form), .ends = any_ends, .write = any_write};
	unsigned framed;

	bad_ends = (struct fanfare_ends){900, 100};
	ck_assert_ok(fanfare_hub_add_form(hub, &form, &framed));
	ck_assert_ok(
	    fanfare_channel_set(hub, B("r"), B("history-size 9 history-ttl 60 replay 9"), NULL));
	for (int i = 0; i < 9; i++)
		testing_publish(hub, "r", "1");
	for (unsigned policy = FANFARE_DISCONNECT; policy <= FANFARE_CATCH_UP; policy++) {
		struct fanfare_bytes piece;
		size_t count = 1, bytes = 0;

		limits.policy = (enum fanfare_policy)policy;
		s = with_form(framed, &limits);
		ck_assert_ok(fanfare_subscribe(s, B("r"), TESTING_NOW_US));
		for (testing_work(hub, TESTING_NOW_US);
		     fanfare_subscriber_peek(s, &piece, &count) == FANFARE_OK; count = 1) {
			bytes += piece.len;
			ck_assert_ok(fanfare_subscriber_consume(s, piece.len));
			testing_work(hub, TESTING_NOW_US);
		}
		ck_assert_uint_eq(bytes, (size_t)9 * (900 + 1 + 100));
	}
}
END_TEST

int
main(void)
{
	return testing_main("core/form", setup, teardown,
	    (const TTest *[]){a_message_is_encoded_once_for_all_subscribers_of_a_form,
		a_payload_that_a_form_refuses_is_dropped_and_counted,
		lengths_that_a_form_must_not_give_drop_the_message,
		pushed_bytes_are_in_order_with_messages_and_are_not_dropped,
		a_write_in_flight_stays_where_it_is,
		bytes_and_records_are_read_with_their_own_functions,
		the_option_replay_counts_the_length_of_frames,
		a_hub_has_a_limited_number_of_forms_that_are_whole, NULL});
}

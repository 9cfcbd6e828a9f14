#include "config.h"

#include "pubsub/hub.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/testing.h"

/*
 * Wire forms whose payload is transformed: a JSON string, beside a form that carries it as it is.
 * json: {"c":"<channel>","n":<length of the payload>,"d":"<payload, escaped>"}
 */

enum { TEXT, JSON, LINES };

#define SUBS 6

static struct hub *hub;
static struct hub_limits limits;
static struct subscriber subs[SUBS];
static struct buffer got;
static int measured, transformed, overflows;
static uint64_t serial; /* of the message that was measured last */
static struct hub_publication publication;
static size_t receivers;

static struct wire_ends
text_ends(const struct hub_message *m, const struct wire_body *body)
{
	(void)body;
	return (struct wire_ends){m->channel.len + 1, 1};
}

static void
text_write_ends(
    const struct hub_message *m, const struct wire_body *body, struct wire_ends ends, char *out)
{
	memcpy(out, m->channel.ptr, m->channel.len);
	out[m->channel.len] = '=';
	out[ends.head + body->len] = '\n';
}

static size_t
notice(const struct wire_form *form, uint64_t missed, char *out)
{
	(void)form;
	return (size_t)snprintf(out, OUTBOX_NOTICE_MAX, "<%llu>", (unsigned long long)missed);
}

static size_t
escaped_len(unsigned char c)
{
	return c < ' ' ? 6 : c == '"' || c == '\\' ? 2 : 1;
}

/* Bytes that JSON has no way to carry in a string are refused. */
static bool
json_measure(const struct hub_message *m, struct wire_body *body)
{
	measured++;
	serial = m->serial;
	body->len = 0;
	body->note = m->payload.len;
	for (size_t i = 0; i < m->payload.len; i++) {
		if ((unsigned char)m->payload.ptr[i] >= 0x80)
			return false;
		body->len += escaped_len((unsigned char)m->payload.ptr[i]);
	}
	return true;
}

static void
json_transform(const struct hub_message *m, const struct wire_body *body, char *out)
{
	const char *begin = out;

	transformed++;
	ck_assert_uint_eq(m->serial, serial);
	for (size_t i = 0; i < m->payload.len; i++) {
		unsigned char c = (unsigned char)m->payload.ptr[i];

		if (c < ' ') {
			memcpy(out, "\\u00", 4);
			out[4] = "01"[c >> 4];
			out[5] = "0123456789abcdef"[c & 15];
		} else if (c == '"' || c == '\\') {
			out[0] = '\\';
			out[1] = (char)c;
		} else {
			out[0] = (char)c;
		}
		out += escaped_len(c);
	}
	ck_assert_uint_eq((size_t)(out - begin), body->len);
}

static size_t
json_head(const struct hub_message *m, const struct wire_body *body, char *out, size_t room)
{
	return (size_t)snprintf(out, room, "{\"c\":\"%.*s\",\"n\":%llu,\"d\":\"",
	    (int)m->channel.len, m->channel.ptr, (unsigned long long)body->note);
}

static struct wire_ends
json_ends(const struct hub_message *m, const struct wire_body *body)
{
	char none[1];

	return (struct wire_ends){json_head(m, body, none, 0), 2};
}

static void
json_write_ends(
    const struct hub_message *m, const struct wire_body *body, struct wire_ends ends, char *out)
{
	char head[100];

	ck_assert_uint_eq(json_head(m, body, head, sizeof(head)), ends.head);
	memcpy(out, head, ends.head);
	memcpy(out + ends.head + body->len, "\"}", 2);
}

static const struct wire_form forms[] = {
    [TEXT] = {.name = "text", .ends = text_ends, .write_ends = text_write_ends, .notice = notice},
    [JSON] = {.name = "json",
	.measure = json_measure,
	.transform = json_transform,
	.ends = json_ends,
	.write_ends = json_write_ends,
	.notice = notice},
};

/* Each byte of the payload on a line of its own. */
static bool
lines_measure(const struct hub_message *m, struct wire_body *body)
{
	body->len = m->payload.len * 2;
	return true;
}

static void
lines_transform(const struct hub_message *m, const struct wire_body *body, char *out)
{
	for (size_t i = 0; i < body->len; i++)
		out[i] = i % 2 == 0 ? m->payload.ptr[i / 2] : '\n';
}

static const struct wire_form lines_form = {.name = "lines",
    .measure = lines_measure,
    .transform = lines_transform,
    .ends = text_ends,
    .write_ends = text_write_ends,
    .notice = notice};

static void
ignore(struct subscriber *s)
{
	(void)s;
}

static void
on_overflow(struct subscriber *s)
{
	(void)s;
	overflows++;
}

static const struct subscriber_ops ops = {ignore, on_overflow, ignore, on_overflow};

/* Subscribers 0 to 2 have the form TEXT, 3 to 5 JSON. */
static void
setup(void)
{
	struct hub_config config = {
	    .limits = &limits, .forms = forms, .form_count = 2, .segment_bytes = 65536};
	struct outbox_limits none = {.notify = true};

	limits = (struct hub_limits){.subscriptions = 10, .subscribers = 10, .name_bytes = 10};
	hub = hub_new(&config);
	for (int i = 0; i < SUBS; i++)
		hub_attach(hub, &subs[i], &ops, &none, i < 3 ? TEXT : JSON, NULL);
	measured = transformed = overflows = 0;
	publication = (struct hub_publication){0};
}

static void
teardown(void)
{
	hub_end_publication(hub, &publication);
	for (int i = 0; i < SUBS; i++)
		ck_assert(hub_detach(&subs[i], SIZE_MAX));
	hub_free(hub);
	buffer_release(&got);
}

static void
subscribe(int i, enum hub_kind kind, const char *name)
{
	ck_assert_int_eq(hub_subscribe(&subs[i], kind, slice_of(name)), HUB_OK);
}

static enum hub_result
publish(struct slice payload)
{
	return hub_publish(hub, HUB_CHANNEL, SLICE("x"), payload, 1, &publication, &receivers);
}

/* Takes all bytes of the outbox. */
static struct slice
take(int i)
{
	struct iovec piece;

	got.len = 0;
	while (outbox_peek(&subs[i].outbox, &piece, 1) > 0) {
		buffer_append(&got, piece.iov_base, piece.iov_len);
		outbox_consume(&subs[i].outbox, piece.iov_len);
	}
	outbox_flushed(&subs[i].outbox);
	return buffer_slice(&got);
}

static void
expect(int i, const char *text)
{
	struct slice all = take(i);

	ck_assert_msg(slice_eq(all, slice_of(text)), "%.*s", (int)all.len, all.ptr);
}

/* The outbox holds the message x=<payload> in JSON and nothing else. */
static void
expect_json(int i, struct slice payload)
{
	struct slice all = take(i);
	char head[100];
	size_t at =
	    (size_t)snprintf(head, sizeof(head), "{\"c\":\"x\",\"n\":%zu,\"d\":\"", payload.len);

	ck_assert_uint_ge(all.len, at + 2);
	ck_assert_mem_eq(all.ptr, head, at);
	for (size_t k = 0; k < payload.len; k++) {
		unsigned char c = (unsigned char)all.ptr[at++];

		if (c == '\\' && all.ptr[at] == 'u') {
			c = (unsigned char)strtoul(
			    (char[]){all.ptr[at + 3], all.ptr[at + 4], '\0'}, NULL, 16);
			at += 5;
		} else if (c == '\\') {
			c = (unsigned char)all.ptr[at++];
		}
		if (c != (unsigned char)payload.ptr[k])
			ck_abort_msg("byte %zu is %d", k, c);
	}
	ck_assert_uint_eq(all.len, at + 2);
	ck_assert_mem_eq(all.ptr + at, "\"}", 2);
}

START_TEST(quotes_and_control_bytes_are_escaped_in_json_alone)
{
	subscribe(0, HUB_CHANNEL, "x");
	subscribe(3, HUB_CHANNEL, "x");
	ck_assert_int_eq(publish(SLICE("say \"hi\\\"\n\x1f")), HUB_OK);
	ck_assert_uint_eq(receivers, 2);
	expect(0, "x=say \"hi\\\"\n\x1f\n");
	expect(3, "{\"c\":\"x\",\"n\":11,\"d\":\"say \\\"hi\\\\\\\"\\u000a\\u001f\"}");
	ck_assert_int_eq(publish(SLICE("")), HUB_OK);
	expect(3, "{\"c\":\"x\",\"n\":0,\"d\":\"\"}");
}
END_TEST

START_TEST(a_payload_is_measured_once_and_transformed_once_for_each_topic)
{
	limits.memory_bytes = 1 << 20;
	for (int i = 0; i < SUBS; i++) {
		struct outbox_limits block = {.messages = 10, .policy = OUTBOX_BLOCK};

		hub_set_limits(&subs[i], &block);
		subscribe(i, HUB_CHANNEL, "x");
		subscribe(i, HUB_PATTERN, "?");
	}
	ck_assert_int_eq(publish(SLICE("\"")), HUB_OK);
	ck_assert_uint_eq(receivers, 2 * SUBS);
	ck_assert_int_eq(measured, 1);
	ck_assert_int_eq(transformed, 2);
	for (int i = 3; i < SUBS; i++)
		expect(
		    i, "{\"c\":\"x\",\"n\":1,\"d\":\"\\\"\"}{\"c\":\"x\",\"n\":1,\"d\":\"\\\"\"}");
}
END_TEST

START_TEST(a_form_added_later_serves_the_subscribers_that_are_given_it)
{
	ck_assert_int_eq(hub_add_form(hub, &lines_form), LINES);
	subscribe(0, HUB_CHANNEL, "x");
	subscribe(1, HUB_CHANNEL, "x");
	subscribe(3, HUB_CHANNEL, "x");
	ck_assert_int_eq(publish(SLICE("ab")), HUB_OK);
	hub_set_form(&subs[1], LINES);
	ck_assert_int_eq(publish(SLICE("ab")), HUB_OK);
	expect(0, "x=ab\nx=ab\n");
	expect(1, "x=ab\nx=a\nb\n\n");
	expect(3, "{\"c\":\"x\",\"n\":2,\"d\":\"ab\"}{\"c\":\"x\",\"n\":2,\"d\":\"ab\"}");
}
END_TEST

/* Publishes step by step and counts the steps; no subscriber has any of the message before the last
 * one. */
static int
publish_in_steps(struct slice payload)
{
	enum hub_result result;
	int steps = 0;

	while ((result = publish(payload)) == HUB_PREPARING) {
		steps++;
		for (int i = 0; i < SUBS; i++)
			ck_assert_uint_eq(subs[i].outbox.messages, 0);
		hub_tidy(hub);
	}
	ck_assert_int_eq(result, HUB_OK);
	return steps;
}

static char large[3 << 20];

static struct slice
fill(size_t len)
{
	for (size_t i = 0; i < len; i++)
		large[i] = (char)(i * 7 % 0x80);
	return (struct slice){large, len};
}

START_TEST(a_large_payload_is_transformed_over_several_turns_and_copied_beside)
{
	struct slice payload = fill(WIRE_TRANSFORMED_MAX);

	subscribe(0, HUB_CHANNEL, "x");
	subscribe(3, HUB_CHANNEL, "x");
	subscribe(4, HUB_PATTERN, "?");
	subscribe(5, HUB_PATTERN, "*");
	ck_assert_int_ge(publish_in_steps(payload), 3);
	ck_assert_uint_eq(receivers, 4);
	ck_assert_int_eq(transformed, 3);
	for (int i = 3; i < SUBS; i++)
		expect_json(i, payload);
	ck_assert_uint_eq(take(0).len, payload.len + 3);
}
END_TEST

START_TEST(a_message_keeps_its_serial_in_all_forms_and_steps_and_shares_it_with_none)
{
	uint64_t before;
	int steps;

	subscribe(3, HUB_CHANNEL, "x");
	ck_assert_int_eq(publish(SLICE("1")), HUB_OK);
	before = serial;
	ck_assert_uint_ne(before, 0);
	ck_assert_int_eq(publish(SLICE("2")), HUB_OK);
	ck_assert_uint_ne(serial, before);
	before = 0;
	for (steps = 0; publish(fill(300000)) == HUB_PREPARING; steps++) {
		if (before != 0)
			ck_assert_uint_eq(serial, before);
		before = serial;
		hub_tidy(hub);
	}
	ck_assert_int_ge(steps, 1);
	ck_assert_uint_eq(serial, before);
	ck_assert_int_eq(publish(SLICE("3")), HUB_OK);
	ck_assert_uint_ne(serial, before);
}
END_TEST

START_TEST(a_subscriber_that_comes_while_a_payload_is_transformed_gets_it_too)
{
	struct slice payload = fill(300000);

	subscribe(3, HUB_PATTERN, "?");
	subscribe(4, HUB_PATTERN, "*");
	ck_assert_int_eq(publish(payload), HUB_PREPARING);
	subscribe(0, HUB_CHANNEL, "x");
	subscribe(5, HUB_CHANNEL, "x");
	(void)publish_in_steps(payload);
	ck_assert_uint_eq(receivers, 4);
	for (int i = 3; i < SUBS; i++)
		expect_json(i, payload);
	ck_assert_uint_eq(take(0).len, payload.len + 3);
}
END_TEST

START_TEST(without_a_subscriber_of_a_transforming_form_a_payload_goes_at_once)
{
	subscribe(0, HUB_CHANNEL, "x");
	subscribe(3, HUB_CHANNEL, "y");
	ck_assert_int_eq(publish(fill(WIRE_TRANSFORMED_MAX)), HUB_OK);
	ck_assert_uint_eq(take(0).len, WIRE_TRANSFORMED_MAX + 3);
	ck_assert_int_eq(measured, 0);
}
END_TEST

START_TEST(a_payload_too_long_to_transform_is_dropped_for_its_form_and_counted)
{
	struct outbox_limits block = {.messages = 10, .policy = OUTBOX_BLOCK, .notify = true};

	subscribe(0, HUB_CHANNEL, "x");
	subscribe(3, HUB_CHANNEL, "x");
	subscribe(4, HUB_CHANNEL, "x");
	hub_set_limits(&subs[4], &block);
	(void)publish_in_steps(fill(WIRE_TRANSFORMED_MAX + 1));
	ck_assert_uint_eq(receivers, 3);
	ck_assert_int_eq(publish(SLICE("ok")), HUB_OK);
	ck_assert_uint_eq(take(0).len, WIRE_TRANSFORMED_MAX + 1 + 3 + strlen("x=ok\n"));
	for (int i = 3; i < 5; i++) {
		ck_assert_uint_eq(subs[i].outbox.dropped, 1);
		expect(i, "<1>{\"c\":\"x\",\"n\":2,\"d\":\"ok\"}");
	}
	ck_assert_uint_eq(hub_channel_dropped(hub, HUB_CHANNEL, SLICE("x")), 2);
	ck_assert_uint_eq(hub_figures(hub).dropped, 2);
	ck_assert_uint_eq(hub_figures(hub).delivered, 4);
	ck_assert_int_eq(overflows, 0);
}
END_TEST

START_TEST(a_payload_that_the_form_refuses_is_dropped_for_it_and_counted)
{
	subscribe(0, HUB_CHANNEL, "x");
	subscribe(3, HUB_CHANNEL, "x");
	ck_assert_int_eq(publish(SLICE("\xff")), HUB_OK);
	ck_assert_uint_eq(receivers, 2);
	expect(0, "x=\xff\n");
	expect(3, "<1>");
	ck_assert_uint_eq(hub_figures(hub).dropped, 1);
}
END_TEST

START_TEST(limits_of_an_outbox_count_the_transformed_bytes)
{
	struct outbox_limits fifty = {.bytes = 50, .policy = OUTBOX_DROP_OLDEST};

	for (int i = 0; i < SUBS; i += 3) {
		subscribe(i, HUB_CHANNEL, "x");
		hub_set_limits(&subs[i], &fifty);
	}
	/* 5 bytes as text, 27 in JSON. */
	ck_assert_int_eq(publish(SLICE("\n1")), HUB_OK);
	ck_assert_int_eq(publish(SLICE("\n2")), HUB_OK);
	ck_assert_uint_eq(subs[0].outbox.dropped, 0);
	ck_assert_uint_eq(subs[3].outbox.dropped, 1);
	ck_assert_uint_eq(subs[0].outbox.message_bytes, 10);
	expect(3, "{\"c\":\"x\",\"n\":2,\"d\":\"\\u000a2\"}");
	fifty.policy = OUTBOX_DISCONNECT;
	hub_set_limits(&subs[3], &fifty);
	ck_assert_int_eq(publish(SLICE("\n\n\n\n\n\n")), HUB_OK);
	ck_assert_int_eq(overflows, 1);
	ck_assert_uint_eq(hub_figures(hub).dropped, 2);
}
END_TEST

START_TEST(a_publisher_waits_for_room_for_the_transformed_bytes)
{
	struct outbox_limits fifty = {.bytes = 50, .policy = OUTBOX_BLOCK};

	subscribe(3, HUB_CHANNEL, "x");
	hub_set_limits(&subs[3], &fifty);
	ck_assert_int_eq(publish(SLICE("\n1")), HUB_OK);
	ck_assert_int_eq(publish(SLICE("\n2")), HUB_BLOCKED);
	expect(3, "{\"c\":\"x\",\"n\":2,\"d\":\"\\u000a1\"}");
	ck_assert_int_eq(publish(SLICE("\n2")), HUB_OK);
}
END_TEST

START_TEST(the_limit_on_memory_counts_the_transformed_bytes)
{
	memset(large, '\n', 20000);
	limits.memory_bytes = 100000;
	subscribe(0, HUB_CHANNEL, "x");
	ck_assert_int_eq(publish((struct slice){large, 20000}), HUB_OK);
	subscribe(3, HUB_CHANNEL, "x");
	ck_assert_int_eq(publish((struct slice){large, 20000}), HUB_TOO_LARGE);
}
END_TEST

/* JSON subscribers that lose nothing read what text subscribers read. */
START_TEST(random_payloads_are_the_same_in_both_forms)
{
	uint64_t seed = 5;

	subscribe(0, HUB_CHANNEL, "x");
	subscribe(3, HUB_CHANNEL, "x");
	for (int step = 0; step < 3000; step++) {
		size_t len = testing_random(&seed) % 300;
		struct slice text;

		if (step % 100 == 0)
			len = testing_random(&seed) % 200000;
		for (size_t i = 0; i < len; i++)
			large[i] = (char)(testing_random(&seed) % 0x80);
		(void)publish_in_steps((struct slice){large, len});
		text = take(0);
		ck_assert_uint_eq(text.len, len + 3);
		ck_assert_mem_eq(text.ptr + 2, large, len);
		expect_json(3, (struct slice){large, len});
		hub_tidy(hub);
	}
	ck_assert_uint_eq(hub_figures(hub).dropped, 0);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_form", setup, teardown,
	    (const TTest *[]){quotes_and_control_bytes_are_escaped_in_json_alone,
		a_payload_is_measured_once_and_transformed_once_for_each_topic,
		a_form_added_later_serves_the_subscribers_that_are_given_it,
		a_large_payload_is_transformed_over_several_turns_and_copied_beside,
		a_message_keeps_its_serial_in_all_forms_and_steps_and_shares_it_with_none,
		a_subscriber_that_comes_while_a_payload_is_transformed_gets_it_too,
		without_a_subscriber_of_a_transforming_form_a_payload_goes_at_once,
		a_payload_too_long_to_transform_is_dropped_for_its_form_and_counted,
		a_payload_that_the_form_refuses_is_dropped_for_it_and_counted,
		limits_of_an_outbox_count_the_transformed_bytes,
		a_publisher_waits_for_room_for_the_transformed_bytes,
		the_limit_on_memory_counts_the_transformed_bytes,
		random_payloads_are_the_same_in_both_forms, NULL});
}

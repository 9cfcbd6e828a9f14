#include "config.h"

#include "bench/conn.h"

#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "bench/wire.h"

static struct bench_reader reader;
static struct bench_conn conn;
static struct buffer stream;
static struct {
	uint32_t messages;
	uint32_t confirmed;
	uint32_t failed;
	uint32_t next;
	bool by_error_reply;
	char text[100];
} seen;

static void
on_message(struct bench_conn *c, const struct bench_stamp *stamp, void *arg)
{
	(void)c;
	(void)arg;
	ck_assert_uint_eq(stamp->sequence, seen.next++);
	ck_assert_uint_eq(stamp->meant_ns, 1000 + stamp->sequence);
	seen.messages++;
}

static void
on_confirmed(struct bench_conn *c, void *arg)
{
	(void)c;
	(void)arg;
	seen.confirmed++;
}

static void
on_failed(struct bench_conn *c, bool by_error_reply, const char *text, void *arg)
{
	(void)c;
	(void)arg;
	seen.failed++;
	seen.by_error_reply = by_error_reply;
	snprintf(seen.text, sizeof(seen.text), "%s", text);
}

static const struct bench_conn_events events = {on_message, on_confirmed, on_failed};

static void
start(const struct wire *wire)
{
	bench_conn_release(&conn);
	conn = (struct bench_conn){.socket = {.fd = -1}, .wire = wire};
	memset(&seen, 0, sizeof(seen));
}

static void
setup(void)
{
	conn = (struct bench_conn){.socket = {.fd = -1}};
	bench_reader_init(&reader, &events, NULL);
}

static void
teardown(void)
{
	bench_conn_release(&conn);
	bench_reader_release(&reader);
	buffer_release(&stream);
}

/* As servers send it; in MQTT both directions have the same format. */
static void
put_delivery(const struct wire *wire, const char *channel, uint32_t sequence, size_t payload_len)
{
	const struct bench_stamp stamp = {.meant_ns = 1000 + sequence, .sequence = sequence};

	if (wire == &wire_mqtt)
		wire->put_publish(&stream, slice_of(channel), payload_len);
	else if (wire == &wire_nats)
		buffer_appendf(&stream, "MSG %s 1 %zu\r\n", channel, payload_len);
	else
		buffer_appendf(&stream, "%c3\r\n$7\r\nmessage\r\n$%zu\r\n%s\r\n$%zu\r\n",
		    wire == &wire_resp3 ? '>' : '*', strlen(channel), channel, payload_len);
	buffer_append(&stream, &stamp, sizeof(stamp));
	for (size_t i = sizeof(stamp); i < payload_len; i++)
		buffer_append(&stream, "\n", 1);
	buffer_append_slice(&stream, wire->tail);
}

static const struct slice confirmations[] = {{":1\r\n", 4}, {"PONG\r\n", 6}, {"\xd0\x00", 2}};

static const struct wire *const wires[] = {&wire_resp2, &wire_resp3, &wire_nats, &wire_mqtt};

#define WIRE_COUNT (sizeof(wires) / sizeof(wires[0]))

/* Messages of several lengths and channels, with confirmations in between. */
static uint32_t
make_stream(size_t which)
{
	uint32_t n = 0;
	size_t form = which < 2 ? 0 : which - 1;

	buffer_clear(&stream);
	for (uint32_t i = 0; i < 3; i++)
		put_delivery(wires[which], "news.1", n++, 20);
	buffer_append_slice(&stream, confirmations[form]);
	put_delivery(wires[which], "news.2", n++, 16);
	put_delivery(wires[which], "news.1", n++, 150);
	put_delivery(wires[which], "news.1", n++, 150);
	put_delivery(wires[which],
	    "a-name-that-is-longer-than-what-a-connection-keeps-of-a-head-so-that-it-is-parsed-"
	    "each-"
	    "time-it-comes-and-comes-and-comes",
	    n++, 17);
	buffer_append_slice(&stream, confirmations[form]);
	put_delivery(wires[which], "news.1", n++, 20);
	return n;
}

static void
check_seen(uint32_t messages)
{
	ck_assert_uint_eq(seen.failed, 0);
	ck_assert_uint_eq(seen.messages, messages);
	ck_assert_uint_eq(seen.confirmed, 2);
	ck_assert_uint_eq(conn.partial.len, 0);
}

START_TEST(any_split_in_three_gives_the_same_events)
{
	size_t stride = (size_t)testing_stride(7, 61);

	for (size_t which = 0; which < WIRE_COUNT; which++) {
		uint32_t messages = make_stream(which);

		for (size_t i = 0; i <= stream.len; i += 3) {
			for (size_t j = i; j <= stream.len; j += stride) {
				start(wires[which]);
				ck_assert(bench_conn_feed(&conn, &reader, stream.ptr, i));
				ck_assert(bench_conn_feed(&conn, &reader, stream.ptr + i, j - i));
				ck_assert(bench_conn_feed(
				    &conn, &reader, stream.ptr + j, stream.len - j));
				check_seen(messages);
			}
		}
	}
}
END_TEST

START_TEST(byte_after_byte_gives_the_same_events)
{
	for (size_t which = 0; which < WIRE_COUNT; which++) {
		uint32_t messages = make_stream(which);

		start(wires[which]);
		for (size_t i = 0; i < stream.len; i++)
			ck_assert(bench_conn_feed(&conn, &reader, stream.ptr + i, 1));
		check_seen(messages);
	}
}
END_TEST

START_TEST(a_message_counts_when_its_last_byte_has_come)
{
	start(&wire_resp2);
	put_delivery(&wire_resp2, "news", 0, 1000);
	ck_assert(bench_conn_feed(&conn, &reader, stream.ptr, stream.len - 1));
	ck_assert_uint_eq(seen.messages, 0);
	ck_assert_uint_eq(conn.partial.len, 0);
	ck_assert(bench_conn_feed(&conn, &reader, stream.ptr + stream.len - 1, 1));
	ck_assert_uint_eq(seen.messages, 1);
}
END_TEST

START_TEST(a_nats_ping_is_answered)
{
	start(&wire_nats);
	ck_assert(bench_conn_feed(&conn, &reader, "PING\r\nPING\r\n", 12));
	ck_assert(slice_is(buffer_slice(&conn.out), "PONG\r\nPONG\r\n"));
	ck_assert(conn.wants_write);
}
END_TEST

START_TEST(an_error_reply_ends_it_with_its_text_made_safe)
{
	start(&wire_resp2);
	ck_assert(!bench_conn_feed(&conn, &reader, "-ERR \x1b no\r\n:1\r\n", 16));
	ck_assert_uint_eq(seen.failed, 1);
	ck_assert(seen.by_error_reply);
	ck_assert_str_eq(seen.text, "-ERR \\x1b no");
	ck_assert_uint_eq(seen.confirmed, 0);
}
END_TEST

START_TEST(a_message_too_short_for_a_stamp_ends_it)
{
	static const char bytes[] =
	    "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$15\r\n123456789012345\r\n";

	start(&wire_resp2);
	ck_assert(!bench_conn_feed(&conn, &reader, bytes, sizeof(bytes) - 1));
	ck_assert_uint_eq(seen.failed, 1);
	ck_assert(!seen.by_error_reply);
}
END_TEST

START_TEST(a_head_as_long_as_a_read_ends_it)
{
	static char name[BENCH_READ_BYTES - 100];

	memset(name, 'x', sizeof(name) - 1);
	start(&wire_resp2);
	put_delivery(&wire_resp2, name, 0, 50);
	ck_assert(!bench_conn_feed(&conn, &reader, stream.ptr, BENCH_READ_BYTES - 50));
	ck_assert_uint_eq(seen.failed, 1);
}
END_TEST

static void
count_message(struct bench_conn *c, const struct bench_stamp *stamp, void *arg)
{
	(void)c;
	(void)stamp;
	(void)arg;
	seen.messages++;
}

/* With some bytes changed, in random pieces: memory stays small, and a failure is the last event.
 */
START_TEST(damaged_streams_do_no_harm)
{
	static const struct bench_conn_events counting = {count_message, on_confirmed, on_failed};
	uint64_t seed = 4;

	reader.events = &counting;
	for (size_t round = 0; round < (size_t)testing_steps(20000); round++) {
		size_t len;

		make_stream(round % WIRE_COUNT);
		for (int i = 0; i < 3; i++)
			stream.ptr[testing_random(&seed) % stream.len] =
			    (char)testing_random(&seed);
		start(wires[round % WIRE_COUNT]);
		for (size_t at = 0; at < stream.len && seen.failed == 0; at += len) {
			len = testing_random(&seed) % 60 + 1;
			if (len > stream.len - at)
				len = stream.len - at;
			ck_assert(bench_conn_feed(&conn, &reader, stream.ptr + at, len) ==
				  (seen.failed == 0));
			ck_assert_uint_le(conn.partial.len, stream.len);
		}
		ck_assert_uint_le(seen.failed, 1);
	}
}
END_TEST

int
main(void)
{
	return testing_main("bench/conn", setup, teardown,
	    (const TTest *[]){any_split_in_three_gives_the_same_events,
		byte_after_byte_gives_the_same_events, a_message_counts_when_its_last_byte_has_come,
		a_nats_ping_is_answered, an_error_reply_ends_it_with_its_text_made_safe,
		a_message_too_short_for_a_stamp_ends_it, a_head_as_long_as_a_read_ends_it,
		damaged_streams_do_no_harm, NULL});
}

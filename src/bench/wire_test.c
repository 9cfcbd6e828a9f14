#include "config.h"

#include "bench/wire.h"

#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"

static struct buffer out;

static void
teardown(void)
{
	buffer_release(&out);
}

static struct wire_event event;

static enum wire_status
scan(const struct wire *wire, struct slice bytes)
{
	return wire->scan(bytes.ptr, bytes.len, &event);
}

/*
 * All of the bytes are one event of this kind. With a part of them the scanner needs more, or, if
 * the head of a message is complete, finds the same event.
 */
static void
check_event(const struct wire *wire, struct slice bytes, enum wire_kind kind)
{
	size_t head_len;

	ck_assert_msg(
	    scan(wire, bytes) == WIRE_FOUND, "%s: %.*s", wire->name, (int)bytes.len, bytes.ptr);
	ck_assert_int_eq(event.kind, kind);
	ck_assert_uint_eq(event.head_len + event.payload_len + event.tail_len, bytes.len);
	head_len = event.head_len;
	for (size_t len = 0; len < bytes.len; len++) {
		enum wire_status status = scan(wire, (struct slice){bytes.ptr, len});

		ck_assert_msg(status == (len < head_len ? WIRE_MORE : WIRE_FOUND),
		    "%s: the first %zu bytes of %.*s", wire->name, len, (int)bytes.len, bytes.ptr);
		ck_assert(len < head_len || event.head_len == head_len);
	}
}

static void
check_garbled(const struct wire *wire, struct slice bytes)
{
	ck_assert_msg(
	    scan(wire, bytes) == WIRE_GARBLED, "%s: %.*s", wire->name, (int)bytes.len, bytes.ptr);
}

START_TEST(resp_events_are_told_apart_whatever_has_arrived_of_them)
{
	const struct wire *w = &wire_resp3;

	check_event(
	    w, SLICE("*3\r\n$7\r\nmessage\r\n$4\r\na\r\nb\r\n$5\r\nhello\r\n"), WIRE_MESSAGE);
	ck_assert_uint_eq(event.payload_len, 5);
	check_event(w, SLICE(">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$0\r\n\r\n"), WIRE_MESSAGE);
	check_event(w, SLICE("*4\r\n$8\r\npmessage\r\n$3\r\nc.*\r\n$3\r\nc.d\r\n$2\r\nhi\r\n"),
	    WIRE_MESSAGE);
	check_event(w, SLICE("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"), WIRE_CONFIRMED);
	check_event(w, SLICE(">3\r\n$10\r\npsubscribe\r\n$1\r\nc\r\n:1\r\n"), WIRE_CONFIRMED);
	check_event(w, SLICE("*2\r\n$6\r\nlagged\r\n:12\r\n"), WIRE_IGNORED);
	check_event(w, SLICE(":17\r\n"), WIRE_CONFIRMED);
	check_event(w, SLICE("+PONG\r\n"), WIRE_CONFIRMED);
	check_event(w, SLICE("%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nmodules\r\n*1\r\n*0\r\n"),
	    WIRE_CONFIRMED);
	check_event(w, SLICE("$-1\r\n"), WIRE_CONFIRMED);
	check_event(w, SLICE("*-1\r\n"), WIRE_CONFIRMED);
	check_event(w, SLICE("-ERR no\r\n"), WIRE_ERROR);
}
END_TEST

START_TEST(an_error_reply_brings_its_text)
{
	ck_assert_int_eq(scan(&wire_resp2, SLICE("-ERR no\r\n+OK\r\n")), WIRE_FOUND);
	ck_assert(slice_is(event.text, "-ERR no"));
	ck_assert_int_eq(scan(&wire_nats, SLICE("-ERR 'Authorization Violation'\r\n")), WIRE_FOUND);
	ck_assert(slice_is(event.text, "-ERR 'Authorization Violation'"));
	ck_assert_int_eq(scan(&wire_mqtt, SLICE("\x20\x02\x00\x05")), WIRE_FOUND);
	ck_assert(slice_is(event.text, "not authorized"));
}
END_TEST

START_TEST(what_is_no_resp_is_garbled)
{
	check_garbled(&wire_resp2, SLICE("HTTP/1.1 400 Bad Request\r\n"));
	check_garbled(&wire_resp2, SLICE("*x\r\n"));
	check_garbled(&wire_resp2, SLICE(":1\n"));
	check_garbled(&wire_resp2, SLICE("*99999\r\n*1\r\n*1\r\n:1\n"));
	check_garbled(&wire_resp2, SLICE("*3\r\n$7\r\nmessage\r\n:1\r\n"));
	check_garbled(&wire_resp2, SLICE("*3\r\n$7\r\nmessage\r\n$99999999999\r\n"));
	check_garbled(&wire_resp2, SLICE("$-2\r\n"));
}
END_TEST

START_TEST(nats_events_are_told_apart_whatever_has_arrived_of_them)
{
	const struct wire *w = &wire_nats;

	check_event(w, SLICE("MSG news.1 9 5\r\nhello\r\n"), WIRE_MESSAGE);
	ck_assert_uint_eq(event.payload_len, 5);
	check_event(w, SLICE("MSG news.1 9 reply.to 0\r\n\r\n"), WIRE_MESSAGE);
	check_event(w, SLICE("INFO {\"server_id\":\"x\"}\r\n"), WIRE_IGNORED);
	check_event(w, SLICE("+OK\r\n"), WIRE_IGNORED);
	check_event(w, SLICE("PING\r\n"), WIRE_PING);
	check_event(w, SLICE("PONG\r\n"), WIRE_CONFIRMED);
	check_event(w, SLICE("-ERR 'x'\r\n"), WIRE_ERROR);
}
END_TEST

START_TEST(what_is_no_nats_is_garbled)
{
	check_garbled(&wire_nats, SLICE("+PONG\r\n"));
	check_garbled(&wire_nats, SLICE("MSG a 1 x\r\n"));
	check_garbled(&wire_nats, SLICE("MSG a 1 -1\r\n"));
	check_garbled(&wire_nats, SLICE("MSG a 1 99999999999\r\n"));
	check_garbled(&wire_nats, SLICE("MSG \r\n"));
	check_garbled(&wire_nats, SLICE("\r\n"));
}
END_TEST

START_TEST(mqtt_packets_are_told_apart_whatever_has_arrived_of_them)
{
	const struct wire *w = &wire_mqtt;

	check_event(w, SLICE("\x30\x0b\x00\x04news12345"), WIRE_MESSAGE);
	ck_assert_uint_eq(event.payload_len, 5);
	check_event(w, SLICE("\x31\x02\x00\x00"), WIRE_MESSAGE);
	check_event(w, SLICE("\x20\x02\x00\x00"), WIRE_CONFIRMED);
	check_event(w, SLICE("\x20\x02\x00\x02"), WIRE_ERROR);
	check_event(w, SLICE("\x90\x04\x00\x01\x00\x00"), WIRE_CONFIRMED);
	check_event(w, SLICE("\x90\x04\x00\x01\x00\x80"), WIRE_ERROR);
	check_event(w, SLICE("\xd0\x00"), WIRE_CONFIRMED);
}
END_TEST

START_TEST(what_is_no_mqtt_is_garbled)
{
	check_garbled(&wire_mqtt, SLICE("\x30\x01\x00"));
	check_garbled(&wire_mqtt, SLICE("\x30\x03\x00\x02x"));
	check_garbled(&wire_mqtt, SLICE("\x30\xff\xff\xff\xff\x01"));
	check_garbled(&wire_mqtt, SLICE("\x20\x03\x00\x00\x00"));
	check_garbled(&wire_mqtt, SLICE("\x90\x02\x00\x01"));
	check_garbled(&wire_mqtt, SLICE("\xd0\x01\x00"));
	check_garbled(&wire_mqtt, SLICE("\x90\xff\xff\x7f\x00\x00"));
	check_garbled(&wire_mqtt, SLICE("HTTP/1.1 400 Bad Request\r\n"));
}
END_TEST

/* Otherwise input of a hostile server would have to be stored. */
START_TEST(a_head_that_does_not_end_is_garbled)
{
	static char bytes[WIRE_MAX_HEAD + 1];

	memset(bytes, 'x', sizeof(bytes));
	memcpy(bytes, "INFO ", 5);
	check_garbled(&wire_nats, (struct slice){bytes, sizeof(bytes)});
	bytes[0] = '+';
	check_garbled(&wire_resp2, (struct slice){bytes, sizeof(bytes)});
	memcpy(bytes, "$9999999\r\n", 10);
	check_garbled(&wire_resp2, (struct slice){bytes, sizeof(bytes)});
}
END_TEST

static const struct slice two_names[] = {{"a.b", 3}, {"c", 1}};

START_TEST(requests_have_the_bytes_of_their_protocol)
{
	uint32_t id = 1;

	ck_assert_uint_eq(wire_resp2.put_subscribe(&out, two_names, 2, false, &id), 2);
	ck_assert(
	    slice_is(buffer_slice(&out), "*3\r\n$9\r\nSUBSCRIBE\r\n$3\r\na.b\r\n$1\r\nc\r\n"));
	buffer_clear(&out);
	wire_resp2.put_publish(&out, SLICE("a.b"), 64);
	ck_assert(slice_is(buffer_slice(&out), "*3\r\n$7\r\nPUBLISH\r\n$3\r\na.b\r\n$64\r\n"));
	buffer_clear(&out);
	id = 5;
	ck_assert_uint_eq(wire_nats.put_subscribe(&out, two_names, 2, true, &id), 1);
	ck_assert(slice_is(buffer_slice(&out), "SUB a.b 5\r\nSUB c 6\r\nPING\r\n"));
	ck_assert_uint_eq(id, 7);
	buffer_clear(&out);
	id = 1;
	ck_assert_uint_eq(wire_mqtt.put_subscribe(&out, two_names, 2, true, &id), 1);
	ck_assert(slice_eq(buffer_slice(&out), SLICE("\x82\x0c\x00\x02\x00\x03"
						     "a.b\x00\x00\x01"
						     "c\x00")));
	buffer_clear(&out);
	wire_mqtt.put_publish(&out, SLICE("c"), 200);
	ck_assert(slice_eq(buffer_slice(&out), SLICE("\x30\xcb\x01\x00\x01"
						     "c")));
}
END_TEST

START_TEST(a_login_names_user_and_password_where_there_are_some)
{
	const struct wire_login nobody = {.number = 7};
	const struct wire_login someone = {.user = "u", .password = "p\"", .number = 7};

	ck_assert_uint_eq(wire_resp2.put_login(&out, &nobody), 1);
	ck_assert(slice_is(buffer_slice(&out), "*1\r\n$4\r\nPING\r\n"));
	buffer_clear(&out);
	ck_assert_uint_eq(wire_resp3.put_login(&out, &someone), 2);
	ck_assert(slice_is(buffer_slice(&out),
	    "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$2\r\np\"\r\n*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"));
	buffer_clear(&out);
	ck_assert_uint_eq(wire_nats.put_login(&out, &someone), 1);
	buffer_append(&out, "", 1);
	ck_assert(strstr(out.ptr, "\"user\":\"u\",\"pass\":\"p\\\"\"}\r\nPING\r\n") != NULL);
	buffer_clear(&out);
	ck_assert_uint_eq(wire_mqtt.put_login(&out, &someone), 1);
	ck_assert(slice_eq(buffer_slice(&out), SLICE("\x10\x1b\x00\x04MQTT\x04\xc2\x00\x00\x00\x08"
						     "fanfare7\x00\x01u\x00\x02p\"")));
}
END_TEST

/* A message comes back in the format in which it was sent, so it must scan as sent. */
START_TEST(an_mqtt_publish_scans_as_the_message_that_it_was)
{
	static const size_t lens[] = {0, 100, 121, 122, 16000, 16378, 16379, 2097140, 2097150};

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		buffer_clear(&out);
		wire_mqtt.put_publish(&out, SLICE("news"), lens[i]);
		ck_assert_int_eq(scan(&wire_mqtt, buffer_slice(&out)), WIRE_FOUND);
		ck_assert_uint_eq(event.head_len, out.len);
		ck_assert_uint_eq(event.payload_len, lens[i]);
	}
}
END_TEST

/* Under the sanitizers: no read past the end, whatever the input. */
START_TEST(random_bytes_never_lead_a_scanner_astray)
{
	static const struct wire *const wires[] = {&wire_resp2, &wire_nats, &wire_mqtt};
	static const char alphabet[] = "*>$%:-+\r\n\r\n0123459 MSGPINGmessage\x30\x20\x90\xd0\x80";
	uint64_t seed = 3;

	for (int i = 0; i < 60000; i++) {
		size_t len = 1 + testing_random(&seed) % 40;
		char *bytes =
		    xmalloc(len); /* exact size, so that a read past the end is detected */

		for (size_t j = 0; j < len; j++)
			bytes[j] = alphabet[testing_random(&seed) % (sizeof(alphabet) - 1)];
		if (scan(wires[i % 3], (struct slice){bytes, len}) == WIRE_FOUND)
			ck_assert_uint_le(event.head_len, len);
		xfree(bytes);
	}
}
END_TEST

int
main(void)
{
	return testing_main("bench/wire", NULL, teardown,
	    (const TTest *[]){resp_events_are_told_apart_whatever_has_arrived_of_them,
		an_error_reply_brings_its_text, what_is_no_resp_is_garbled,
		nats_events_are_told_apart_whatever_has_arrived_of_them, what_is_no_nats_is_garbled,
		mqtt_packets_are_told_apart_whatever_has_arrived_of_them,
		what_is_no_mqtt_is_garbled, a_head_that_does_not_end_is_garbled,
		requests_have_the_bytes_of_their_protocol,
		a_login_names_user_and_password_where_there_are_some,
		an_mqtt_publish_scans_as_the_message_that_it_was,
		random_bytes_never_lead_a_scanner_astray, NULL});
}

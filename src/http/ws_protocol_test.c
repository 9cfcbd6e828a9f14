#include "config.h"

#include "http/ws_protocol.h"

#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "http/testing_ws.h"
#include "http/ws_frame.h"

#define FIN TESTING_FIN

static struct protocol_limits limits;
static struct buffer bytes, heard;

static void
setup(void)
{
	limits = (struct protocol_limits){
	    .arg_bytes = 1 << 20, .arg_count = 4, .line_bytes = 1024, .request_bytes = 4 << 20};
}

static void
teardown(void)
{
	buffer_release(&bytes);
	buffer_release(&heard);
}

static void
put(unsigned first, const char *payload)
{
	testing_ws_frame(&bytes, first, slice_of(payload));
}

/* Asserts what the bytes mean, however they are cut, and forgets them. */
static void
assert_heard(const char *expected)
{
	for (size_t piece_len = 0; piece_len <= 8; piece_len++) {
		buffer_clear(&heard);
		testing_ws_feed(&ws_protocol, &limits, buffer_slice(&bytes), piece_len, &heard);
		buffer_append(&heard, "", 1);
		ck_assert_str_eq(heard.ptr, expected);
	}
	buffer_clear(&bytes);
}

static void
put_bytes(struct slice s)
{
	buffer_append_slice(&bytes, s);
}

START_TEST(messages_become_requests)
{
	put(FIN | WS_TEXT, "hello");
	put(FIN | WS_TEXT, "");
	put(FIN | WS_BINARY, "\xFF\xFE");
	put(FIN | WS_PING, "are you there");
	put(FIN | WS_PONG, "");
	assert_heard("t:hello;t:;b:\xFF\xFE;i:are you there;o:;");
}
END_TEST

START_TEST(fragments_are_joined)
{
	put(WS_TEXT, "one ");
	put(WS_CONTINUATION, "");
	put(WS_CONTINUATION, "two ");
	put(FIN | WS_CONTINUATION, "three");
	put(WS_BINARY, "");
	put(FIN | WS_CONTINUATION, "");
	assert_heard("t:one two three;b:;");
}
END_TEST

START_TEST(control_frames_may_come_between_fragments)
{
	put(WS_TEXT, "one ");
	put(FIN | WS_PING, "1");
	put(WS_CONTINUATION, "two ");
	put(FIN | WS_PONG, "2");
	put(FIN | WS_PING, "3");
	put(FIN | WS_CONTINUATION, "three");
	assert_heard("i:1;o:2;i:3;t:one two three;");
}
END_TEST

START_TEST(a_message_begun_keeps_the_state_to_its_connection)
{
	put(WS_TEXT, "one");
	assert_heard("+");
	put(WS_TEXT, "one");
	put(FIN | WS_PING, "1");
	assert_heard("i:1;+");
	put_bytes(SLICE("\x81"));
	assert_heard("+");
	put_bytes(SLICE("\x81\x85\x00\x00\x00\x00hell"));
	assert_heard("+");
}
END_TEST

START_TEST(nothing_is_read_behind_a_close)
{
	put(FIN | WS_CLOSE, "");
	put(FIN | WS_TEXT, "more");
	put_bytes(SLICE("\xFF\xFF\xFF\xFF"));
	assert_heard("c:;+");
	put(WS_TEXT, "begun");
	put(FIN | WS_CLOSE, "\x03\xE8"
			    "bye");
	put(FIN | WS_CONTINUATION, "more");
	assert_heard("c:\x03\xE8"
		     "bye;+");
}
END_TEST

START_TEST(a_frame_must_be_masked)
{
	put_bytes(SLICE("\x81\x05hello"));
	assert_heard("!1002 frame is not masked");
	put(FIN | WS_TEXT, "first");
	put_bytes(SLICE("\x89\x00"));
	assert_heard("t:first;!1002 frame is not masked");
}
END_TEST

START_TEST(a_length_must_have_its_shortest_form)
{
	put_bytes(SLICE("\x82\xFE\x00\x7D"));
	put_bytes(SLICE("\x00\x00\x00\x00"));
	assert_heard("!1002 length is not in its shortest form");
	put_bytes(SLICE("\x82\xFF\x00\x00\x00\x00\x00\x00\xFF\xFF\x00\x00\x00\x00"));
	assert_heard("!1002 length is not in its shortest form");
	put_bytes(SLICE("\x82\xFF\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"));
	assert_heard("!1002 invalid length");
}
END_TEST

START_TEST(a_message_larger_than_the_limit_is_refused_at_its_head)
{
	limits.arg_bytes = 10;
	put(FIN | WS_TEXT, "0123456789");
	put_bytes(SLICE("\x81\x8B\x00\x00\x00\x00"));
	assert_heard("t:0123456789;!1009 message too large");
	put(WS_BINARY, "012345");
	put(WS_CONTINUATION, "6789");
	put(FIN | WS_PING, "a control frame is not part of it");
	put_bytes(SLICE("\x80\x81\x00\x00\x00\x00"));
	assert_heard("i:a control frame is not part of it;!1009 message too large");
	put_bytes(SLICE("\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x00\x00\x00\x00"));
	assert_heard("!1009 message too large");
	limits.arg_bytes = 100;
	limits.request_bytes = 2 * sizeof(struct slice) + 10;
	put_bytes(SLICE("\x81\x8B\x00\x00\x00\x00"));
	assert_heard("!1009 message too large");
}
END_TEST

START_TEST(a_message_is_small_before_authentication)
{
	void *state = ws_protocol.open(&limits);
	struct protocol_request request;
	static const char head[] = "\x82\xFE\x40\x01\x00\x00\x00\x00";
	size_t taken;

	ck_assert_int_eq(ws_protocol.feed(state, head, 8, false, &taken, &request), PROTOCOL_MORE);
	ws_protocol.close(state);
	state = ws_protocol.open(&limits);
	ck_assert_int_eq(ws_protocol.feed(state, head, 8, true, &taken, &request), PROTOCOL_ERROR);
	ck_assert_str_eq(ws_protocol.error(state), "1009 message too large");
	ck_assert_int_eq(ws_protocol.feed(state, head, 8, true, &taken, &request), PROTOCOL_ERROR);
	ws_protocol.close(state);
}
END_TEST

START_TEST(a_limit_may_sink_below_a_message_that_has_begun)
{
	void *state = ws_protocol.open(&limits);
	struct protocol_request request;
	size_t taken;

	testing_ws_frame(&bytes, FIN | WS_TEXT, SLICE("0123456789"));
	ck_assert_int_eq(
	    ws_protocol.feed(state, bytes.ptr, 8, false, &taken, &request), PROTOCOL_MORE);
	limits.arg_bytes = 1;
	ck_assert_int_eq(
	    ws_protocol.feed(state, bytes.ptr + 8, bytes.len - 8, false, &taken, &request),
	    PROTOCOL_REQUEST);
	ck_assert(slice_is(request.args[1], "0123456789"));
	ws_protocol.close(state);
}
END_TEST

START_TEST(a_request_is_kept_without_the_bytes_and_its_arena_is_given_away)
{
	void *state = ws_protocol.open(&limits);
	struct protocol_request request, again;
	struct arena arena = {0};
	struct slice args[2];
	size_t at, taken;

	put(WS_TEXT, "a text ");
	put(FIN | WS_PING, "ping");
	put(FIN | WS_CONTINUATION, "in two frames");
	ck_assert_int_eq(
	    ws_protocol.feed(state, bytes.ptr, bytes.len, false, &at, &request), PROTOCOL_REQUEST);
	args[0] = request.args[1];
	again = ws_protocol.keep(state);
	ck_assert(slice_is(again.args[1], "ping"));
	ws_protocol.give_arena(state, &arena);
	ck_assert_int_eq(
	    ws_protocol.feed(state, bytes.ptr + at, bytes.len - at, false, &taken, &request),
	    PROTOCOL_REQUEST);
	args[1] = request.args[1];
	ws_protocol.give_arena(state, &arena);
	ck_assert(ws_protocol.settle(state));
	ws_protocol.close(state);
	memset(bytes.ptr, 0, bytes.len);
	ck_assert(slice_is(args[0], "ping"));
	ck_assert(slice_is(args[1], "a text in two frames"));
	arena_release(&arena);
}
END_TEST

START_TEST(memory_stays_in_proportion_to_what_has_arrived)
{
	void *state = ws_protocol.open(&limits);
	static const char head[] = "\x82\xFF\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00";
	struct protocol_request request;
	size_t taken, sent = 0;

	(void)ws_protocol.feed(state, head, 14, false, &taken, &request);
	for (; sent < 1 << 20; sent += sizeof(head)) {
		ck_assert_uint_le(ws_protocol.held_bytes(state), sent + 14);
		ck_assert_uint_le(ws_protocol.room_bytes(state), 2 * sent + 1024);
		if (ws_protocol.feed(state, head, sizeof(head), false, &taken, &request) ==
		    PROTOCOL_REQUEST)
			break;
	}
	ck_assert_uint_eq(request.args[1].len, 1 << 20);
	ck_assert_uint_le(ws_protocol.room_bytes(state), (1 << 20) + 1024);
	ws_protocol.close(state);
}
END_TEST

START_TEST(notices_are_whole_close_frames)
{
	for (int i = 0; i < PROTOCOL_NOTICES; i++) {
		struct slice notice = ws_protocol.notices[i];

		ck_assert(slice_eq(notice, ws_deflate_protocol.notices[i]));
		if (notice.len == 0)
			continue;
		ck_assert_uint_eq((unsigned char)notice.ptr[0], FIN | WS_CLOSE);
		ck_assert_uint_eq((unsigned char)notice.ptr[1], notice.len - 2);
	}
}
END_TEST

int
main(void)
{
	return testing_main("http/ws_protocol", setup, teardown,
	    (const TTest *[]){messages_become_requests, fragments_are_joined,
		control_frames_may_come_between_fragments,
		a_message_begun_keeps_the_state_to_its_connection, nothing_is_read_behind_a_close,
		a_frame_must_be_masked, a_length_must_have_its_shortest_form,
		a_message_larger_than_the_limit_is_refused_at_its_head,
		a_message_is_small_before_authentication,
		a_limit_may_sink_below_a_message_that_has_begun,
		a_request_is_kept_without_the_bytes_and_its_arena_is_given_away,
		memory_stays_in_proportion_to_what_has_arrived, notices_are_whole_close_frames,
		NULL});
}

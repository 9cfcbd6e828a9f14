#include "config.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"
#include "http/testing_ws.h"
#include "http/ws_deflate.h"
#include "http/ws_frame.h"
#include "http/ws_protocol.h"

/*
 * Large, fragmented and compressed messages: families 9, 10, 12 and 13 of Autobahn's test suite,
 * and what a hostile peer sends when compression was agreed on.
 */
#define FIN TESTING_FIN
#define RSV1 TESTING_RSV1

enum { TEXT_MAX = 1 << 20 };

static struct protocol_limits limits;
static struct ws_deflater *deflater;
static struct buffer bytes, heard, expected, compressed;
static char text[TEXT_MAX];

static void
setup(void)
{
	static const char words[] = "{\"id\":7,\"publish\":{\"channel\":\"news\",\"data\":12345}} ";

	limits = (struct protocol_limits){
	    .arg_bytes = TEXT_MAX, .arg_count = 2, .line_bytes = 32, .request_bytes = 4 * TEXT_MAX};
	deflater = ws_deflater_new();
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = words[(i + i / 977) % (sizeof(words) - 1)];
}

static void
teardown(void)
{
	ws_deflater_free(deflater);
	buffer_release(&bytes);
	buffer_release(&heard);
	buffer_release(&expected);
	buffer_release(&compressed);
}

static void
expect(const char *letter, struct slice payload)
{
	buffer_append_str(&expected, letter);
	buffer_append_str(&expected, ":");
	buffer_append_slice(&expected, payload);
	buffer_append_str(&expected, ";");
}

static void
assert_heard(const struct protocol *protocol, size_t piece_len)
{
	buffer_clear(&heard);
	testing_ws_feed(protocol, &limits, buffer_slice(&bytes), piece_len, &heard);
	ck_assert_uint_eq(heard.len, expected.len);
	ck_assert(slice_eq(buffer_slice(&heard), buffer_slice(&expected)));
}

static void
forget(void)
{
	buffer_clear(&bytes);
	buffer_clear(&expected);
}

/* Sends a message in frames of at most frame_len bytes (0: one frame), with a ping before the
 * second one. first has RSV1 and the opcode. */
static void
put_fragments(unsigned first, struct slice payload, size_t frame_len)
{
	size_t at = 0;

	do {
		size_t len =
		    frame_len > 0 && frame_len < payload.len - at ? frame_len : payload.len - at;

		if (at > 0 && at == frame_len) {
			testing_ws_frame(&bytes, FIN | WS_PING, SLICE("between"));
			expect("i", SLICE("between"));
		}
		testing_ws_frame(&bytes,
		    (at == 0 ? first : WS_CONTINUATION) | (at + len == payload.len ? FIN : 0),
		    (struct slice){payload.ptr + at, len});
		at += len;
	} while (at < payload.len);
}

static struct slice
deflated(struct slice payload)
{
	buffer_clear(&compressed);
	ws_deflate(deflater, payload, &compressed);
	compressed.len += ws_deflate_end(buffer_reserve(&compressed, WS_DEFLATE_END_LEN));
	return buffer_slice(&compressed);
}

START_TEST(families_9_and_10_large_messages_in_frames_and_pieces_of_all_lengths)
{
	static const size_t lens[] = {4096, 65536, TEXT_MAX};
	static const size_t frame_lens[] = {0, 64, 1300, 65536};
	static const size_t piece_lens[] = {0, 61, 997, 16384};

	for (size_t i = 0; i < 3 * 4 * 4; i++) {
		struct slice payload = {text, lens[i / 16]};
		bool is_text = i % 2 == 0;

		put_fragments(is_text ? WS_TEXT : WS_BINARY, payload, frame_lens[i / 4 % 4]);
		expect(is_text ? "t" : "b", payload);
		assert_heard(&ws_protocol, piece_lens[i % 4]);
		assert_heard(&ws_deflate_protocol, piece_lens[i % 4]);
		forget();
	}
}
END_TEST

START_TEST(family_12_compressed_messages_of_all_lengths)
{
	for (size_t len = 0; len <= TEXT_MAX; len = len == 0 ? 16 : len * 4) {
		struct slice payload = {text, len};

		put_fragments(RSV1 | WS_TEXT, deflated(payload), 0);
		put_fragments(RSV1 | WS_BINARY, deflated(payload), 0);
		expect("t", payload);
		expect("b", payload);
		for (size_t piece_len = len / 1000; piece_len < 2000; piece_len = piece_len * 4 + 1)
			assert_heard(&ws_deflate_protocol, piece_len);
		forget();
	}
}
END_TEST

START_TEST(family_13_compressed_messages_may_be_fragmented_and_alternate_with_others)
{
	for (size_t frame_len = 1; frame_len < 300; frame_len *= 3) {
		struct slice payload = {text, 5000};

		put_fragments(RSV1 | WS_TEXT, deflated(payload), frame_len);
		expect("t", payload);
		put_fragments(WS_TEXT, payload, frame_len);
		expect("t", payload);
		put_fragments(RSV1 | WS_TEXT, deflated(SLICE("")), frame_len);
		expect("t", SLICE(""));
		assert_heard(&ws_deflate_protocol, 0);
		assert_heard(&ws_deflate_protocol, 1);
		forget();
	}
}
END_TEST

START_TEST(only_the_first_frame_of_a_message_says_that_it_is_compressed)
{
	put_fragments(RSV1 | WS_TEXT, SLICE("\xf2\x48\xcd\xc9\xc9\x07\x00"), 3);
	buffer_clear(&expected);
	bytes.ptr[0] &= (char)~TESTING_RSV1; /* now a plain text with invalid UTF-8 */
	buffer_append_str(&expected, "!1007 invalid UTF-8");
	assert_heard(&ws_deflate_protocol, 0);
	forget();
	testing_ws_frame(&bytes, WS_TEXT, SLICE("plain"));
	testing_ws_frame(&bytes, FIN | RSV1 | WS_CONTINUATION, SLICE("\x00"));
	buffer_append_str(&expected, "!1002 reserved bit is set");
	assert_heard(&ws_deflate_protocol, 0);
	assert_heard(&ws_deflate_protocol, 1);
	forget();
	testing_ws_frame(&bytes, FIN | RSV1 | WS_PING, SLICE(""));
	buffer_append_str(&expected, "!1002 reserved bit is set");
	assert_heard(&ws_deflate_protocol, 0);
}
END_TEST

START_TEST(a_compressed_message_without_an_agreement_is_refused)
{
	put_fragments(RSV1 | WS_TEXT, deflated(SLICE("hello")), 0);
	buffer_append_str(&expected, "!1002 reserved bit is set");
	assert_heard(&ws_protocol, 0);
}
END_TEST

START_TEST(a_bomb_is_refused_while_it_is_inflated)
{
	limits.arg_bytes = 1000;
	put_fragments(RSV1 | WS_TEXT, deflated((struct slice){text, 1000}), 0);
	expect("t", (struct slice){text, 1000});
	put_fragments(RSV1 | WS_TEXT, deflated((struct slice){text, 1001}), 0);
	buffer_append_str(&expected, "!1009 message too large");
	assert_heard(&ws_deflate_protocol, 0);
	assert_heard(&ws_deflate_protocol, 7);
	forget();
	memset(text, 'x', sizeof(text));
	put_fragments(RSV1 | WS_TEXT, deflated((struct slice){text, 500000}), 0);
	ck_assert_uint_lt(bytes.len, 3000);
	buffer_append_str(&expected, "!1009 message too large");
	assert_heard(&ws_deflate_protocol, 0);
}
END_TEST

START_TEST(compressed_bytes_that_lead_to_nothing_are_limited_too)
{
	limits.arg_bytes = 1000;
	/* Empty stored blocks. */
	for (size_t i = 0; i < 1000; i += 5)
		memcpy(text + i, "\0\0\0\xff\xff", 5);
	testing_ws_frame(&bytes, RSV1 | WS_TEXT, (struct slice){text, 1000});
	testing_ws_frame(&bytes, WS_CONTINUATION, (struct slice){text, 1000});
	buffer_append_str(&expected, "!1009 message too large");
	assert_heard(&ws_deflate_protocol, 0);
	assert_heard(&ws_deflate_protocol, 1);
}
END_TEST

START_TEST(invalid_deflate_data_and_invalid_texts_are_refused)
{
	put_fragments(RSV1 | WS_TEXT, SLICE("\x07"), 0);
	buffer_append_str(&expected, "!1007 invalid deflate data");
	assert_heard(&ws_deflate_protocol, 0);
	forget();
	put_fragments(RSV1 | WS_TEXT, deflated(SLICE("caf\xE9")), 0);
	buffer_append_str(&expected, "!1007 invalid UTF-8");
	assert_heard(&ws_deflate_protocol, 0);
	forget();
	put_fragments(RSV1 | WS_BINARY, deflated(SLICE("caf\xE9")), 0);
	expect("b", SLICE("caf\xE9"));
	assert_heard(&ws_deflate_protocol, 0);
}
END_TEST

START_TEST(a_state_that_waits_holds_no_inflater)
{
	void *state = ws_deflate_protocol.open(&limits);
	struct protocol_request request;
	size_t taken, at, room;

	put_fragments(RSV1 | WS_TEXT, deflated(SLICE("hello")), 0);
	testing_ws_frame(&bytes, WS_TEXT, SLICE("begun"));
	ck_assert_int_eq(
	    ws_deflate_protocol.feed(state, bytes.ptr, bytes.len, false, &at, &request),
	    PROTOCOL_REQUEST);
	ck_assert_uint_ge(ws_deflate_protocol.room_bytes(state), 10000);
	ck_assert_int_eq(ws_deflate_protocol.feed(
			     state, bytes.ptr + at, bytes.len - at, false, &taken, &request),
	    PROTOCOL_MORE);
	ck_assert(!ws_deflate_protocol.settle(state));
	room = ws_deflate_protocol.room_bytes(state);
	ck_assert_uint_le(room, 1000);
	ws_deflate_protocol.close(state);
}
END_TEST

int
main(void)
{
	return testing_main("http/ws_messages", setup, teardown,
	    (const TTest *[]){families_9_and_10_large_messages_in_frames_and_pieces_of_all_lengths,
		family_12_compressed_messages_of_all_lengths,
		family_13_compressed_messages_may_be_fragmented_and_alternate_with_others,
		only_the_first_frame_of_a_message_says_that_it_is_compressed,
		a_compressed_message_without_an_agreement_is_refused,
		a_bomb_is_refused_while_it_is_inflated,
		compressed_bytes_that_lead_to_nothing_are_limited_too,
		invalid_deflate_data_and_invalid_texts_are_refused,
		a_state_that_waits_holds_no_inflater, NULL});
}

#include "config.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "http/testing_ws.h"
#include "http/ws_frame.h"
#include "http/ws_protocol.h"

/*
 * The cases of Autobahn's test suite that are about frames, in its families 1 to 7, with its
 * numbers: what a server hears of each, however the bytes arrive. Where the suite has an echo, this
 * has a request. tests/test_ws_conformance.py tries the same with a daemon.
 */
#define FIN TESTING_FIN
#define RSV(bits) ((unsigned)(bits) << 4)

#define PROTOCOL_FAULT "!1002 "
#define TEXT_FAULT "!1007 invalid UTF-8"
#define FRAMES_MAX 8
#define PIECES_MAX 10000 /* of a case; more take long */

struct frame {
	unsigned first;
	const char *payload; /* NULL behind the last frame */
};

struct row {
	const char *number;
	const char *heard; /* or its beginning, if it is an error */
	struct frame frames[FRAMES_MAX];
};

static struct protocol_limits limits;
static struct buffer bytes, heard;

static void
setup(void)
{
	limits = (struct protocol_limits){
	    .arg_bytes = 16 << 20, .arg_count = 2, .line_bytes = 32, .request_bytes = 32 << 20};
}

static void
teardown(void)
{
	buffer_release(&bytes);
	buffer_release(&heard);
}

static void
put(unsigned first, struct slice payload)
{
	testing_ws_frame(&bytes, first, payload);
}

/* Asserts what is heard of the bytes if they arrive in pieces of this length. */
static void
assert_heard_in(const char *number, const char *expected, size_t piece_len)
{
	const char *fault = strchr(expected, '!');

	buffer_clear(&heard);
	testing_ws_feed(&ws_protocol, &limits, buffer_slice(&bytes), piece_len, &heard);
	buffer_append(&heard, "", 1);
	/* The words behind the code are not compared. */
	if (fault != NULL)
		ck_assert_msg(
		    strncmp(heard.ptr, expected,
			fault != NULL ? (size_t)(fault - expected) + 6 : strlen(expected) + 1) == 0,
		    "%s: \"%s\", not \"%s\"", number, heard.ptr, expected);
}

static void
assert_heard(const char *number, const char *expected)
{
	static const size_t piece_lens[] = {0, 1, 2, 3, 7, 997};

	for (size_t i = 0; i < sizeof(piece_lens) / sizeof(piece_lens[0]); i++)
		if (piece_lens[i] == 0 || bytes.len / piece_lens[i] < PIECES_MAX)
			assert_heard_in(number, expected, piece_lens[i]);
	buffer_clear(&bytes);
}

static void
try_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct frame *frame;

		for (frame = rows[i].frames; frame->payload != NULL; frame++)
			put(frame->first, slice_of(frame->payload));
		assert_heard(rows[i].number, rows[i].heard);
	}
}

#define TRY_ROWS(rows) try_rows(rows, sizeof(rows) / sizeof((rows)[0]))

START_TEST(family_1_messages_of_all_lengths)
{
	static const size_t lens[] = {0, 1, 124, 125, 126, 127, 128, 65535, 65536, 65537};
	static char text[65537];
	struct buffer expected = {0};

	memset(text, '*', sizeof(text));
	for (size_t i = 0; i < 2 * sizeof(lens) / sizeof(lens[0]); i++) {
		struct slice payload = {text, lens[i / 2]};
		bool is_text = i % 2 == 0;

		put(FIN | (is_text ? WS_TEXT : WS_BINARY), payload);
		buffer_clear(&expected);
		buffer_appendf(
		    &expected, "%s:%.*s;", is_text ? "t" : "b", (int)payload.len, payload.ptr);
		buffer_append(&expected, "", 1);
		assert_heard("1", expected.ptr);
	}
	buffer_release(&expected);
}
END_TEST

#define TEXT_125                                                                                   \
	"0123456789012345678901234567890123456789012345678901234567890123456789"                   \
	"0123456789012345678901234567890123456789012345678901234"

START_TEST(family_2_pings_and_pongs)
{
	static const struct row rows[] = {
	    {"2.1", "i:;", {{FIN | WS_PING, ""}}},
	    {"2.2", "i:Hello, world!;", {{FIN | WS_PING, "Hello, world!"}}},
	    {"2.3", "i:\xFE\xFF;", {{FIN | WS_PING, "\xFE\xFF"}}},
	    {"2.4", "i:" TEXT_125 ";", {{FIN | WS_PING, TEXT_125}}},
	    {"2.5", PROTOCOL_FAULT, {{FIN | WS_PING, TEXT_125 "5"}}},
	    {"2.7", "o:;", {{FIN | WS_PONG, ""}}},
	    {"2.8", "o:unsolicited;", {{FIN | WS_PONG, "unsolicited"}}},
	    {"2.9", "o:unsolicited;i:p;", {{FIN | WS_PONG, "unsolicited"}, {FIN | WS_PING, "p"}}},
	    {"2.10", "i:1;i:2;i:3;i:4;",
		{{FIN | WS_PING, "1"}, {FIN | WS_PING, "2"}, {FIN | WS_PING, "3"},
		    {FIN | WS_PING, "4"}}},
	};

	TRY_ROWS(rows);
}
END_TEST

START_TEST(family_3_reserved_bits)
{
	static const struct row rows[] = {
	    {"3.1", PROTOCOL_FAULT, {{FIN | RSV(4) | WS_TEXT, "hello"}}},
	    {"3.2", "t:one;!1002 ",
		{{FIN | WS_TEXT, "one"}, {FIN | RSV(2) | WS_TEXT, "two"}, {FIN | WS_PING, ""}}},
	    {"3.3", "t:one;!1002 ",
		{{FIN | WS_TEXT, "one"}, {FIN | RSV(3) | WS_TEXT, "two"}, {FIN | WS_PING, ""}}},
	    {"3.4", "t:one;!1002 ",
		{{FIN | WS_TEXT, "one"}, {FIN | RSV(1) | WS_TEXT, "two"}, {FIN | WS_PING, ""}}},
	    {"3.5", PROTOCOL_FAULT, {{FIN | RSV(5) | WS_BINARY, "\xFF"}}},
	    {"3.6", PROTOCOL_FAULT, {{FIN | RSV(6) | WS_PING, "p"}}},
	    {"3.7", PROTOCOL_FAULT, {{FIN | RSV(7) | WS_CLOSE, ""}}},
	};

	TRY_ROWS(rows);
}
END_TEST

START_TEST(family_4_unknown_opcodes)
{
	static const unsigned opcodes[] = {3, 4, 5, 6, 7, 11, 12, 13, 14, 15};

	for (size_t i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
		put(FIN | opcodes[i], SLICE(""));
		assert_heard("4", PROTOCOL_FAULT);
		put(FIN | WS_TEXT, SLICE("one"));
		put(FIN | opcodes[i], SLICE("hello"));
		put(FIN | WS_PING, SLICE(""));
		assert_heard("4", "t:one;!1002 ");
	}
}
END_TEST

START_TEST(family_5_fragments)
{
	static const struct row rows[] = {
	    {"5.1", PROTOCOL_FAULT, {{WS_PING, "one"}, {FIN | WS_CONTINUATION, "two"}}},
	    {"5.2", PROTOCOL_FAULT, {{WS_PONG, "one"}, {FIN | WS_CONTINUATION, "two"}}},
	    {"5.3", "t:onetwo;", {{WS_TEXT, "one"}, {FIN | WS_CONTINUATION, "two"}}},
	    {"5.6", "i:p;t:onetwo;",
		{{WS_TEXT, "one"}, {FIN | WS_PING, "p"}, {FIN | WS_CONTINUATION, "two"}}},
	    {"5.9", PROTOCOL_FAULT, {{FIN | WS_CONTINUATION, "none"}, {FIN | WS_TEXT, "one"}}},
	    {"5.12", PROTOCOL_FAULT, {{WS_CONTINUATION, "none"}, {FIN | WS_TEXT, "one"}}},
	    {"5.15", "t:onetwo;!1002 ",
		{{WS_TEXT, "one"}, {FIN | WS_CONTINUATION, "two"}, {WS_CONTINUATION, "three"},
		    {FIN | WS_TEXT, "four"}}},
	    {"5.16", PROTOCOL_FAULT,
		{{WS_CONTINUATION, "one"}, {WS_TEXT, "two"}, {FIN | WS_CONTINUATION, "three"}}},
	    {"5.17", PROTOCOL_FAULT,
		{{FIN | WS_CONTINUATION, "one"}, {WS_TEXT, "two"},
		    {FIN | WS_CONTINUATION, "three"}}},
	    {"5.18", PROTOCOL_FAULT, {{WS_TEXT, "one"}, {FIN | WS_TEXT, "two"}}},
	    {"5.19", "i:1;i:2;t:onetwothreefourfive;",
		{{WS_TEXT, "one"}, {WS_CONTINUATION, "two"}, {FIN | WS_PING, "1"},
		    {WS_CONTINUATION, "three"}, {WS_CONTINUATION, "four"}, {FIN | WS_PING, "2"},
		    {FIN | WS_CONTINUATION, "five"}}},
	};

	TRY_ROWS(rows);
}
END_TEST

START_TEST(family_6_fragments_of_texts)
{
	static const struct row rows[] = {
	    {"6.1.1", "t:;", {{FIN | WS_TEXT, ""}}},
	    {"6.1.2", "t:;", {{WS_TEXT, ""}, {WS_CONTINUATION, ""}, {FIN | WS_CONTINUATION, ""}}},
	    {"6.1.3", "t:middle;",
		{{WS_TEXT, ""}, {WS_CONTINUATION, "middle"}, {FIN | WS_CONTINUATION, ""}}},
	    {"6.2.2", "t:Hello-\xC2\xB5@\xC3\x9F!;",
		{{WS_TEXT, "Hello-\xC2\xB5@\xC3"}, {FIN | WS_CONTINUATION, "\x9F!"}}},
	    {"6.4.1", TEXT_FAULT,
		{{WS_TEXT, "\xCE\xBA\xE1\xBD\xB9"}, {WS_CONTINUATION, "\xF4\x90\x80\x80"},
		    {FIN | WS_CONTINUATION, "edited"}}},
	    {"6.4.2", TEXT_FAULT,
		{{WS_TEXT, "\xCE\xBA\xE1\xBD\xB9\xF4"}, {WS_CONTINUATION, "\x90"},
		    {FIN | WS_CONTINUATION, "edited"}}},
	    {"a sequence that does not end", TEXT_FAULT,
		{{WS_TEXT, "\xCE"}, {FIN | WS_CONTINUATION, ""}}},
	    {"binary is not checked", "b:\xF4\x90;",
		{{WS_BINARY, "\xF4"}, {FIN | WS_CONTINUATION, "\x90"}}},
	};

	TRY_ROWS(rows);
}
END_TEST

/* Bytes of the first invalid sequence, and nothing behind them: the fault does not wait. */
START_TEST(family_6_an_invalid_text_fails_before_its_frame_has_ended)
{
	static const struct slice begun[] = {
	    {"\x81\xFE\x10\x00\x00\x00\x00\x00ok\xFF", 11},
	    {"\x81\xFE\x10\x00\x00\x00\x00\x00\xF4\x90", 10},
	    {"\x01\x90\x00\x00\x00\x00\xED\xA0", 8},
	    {"\x01\x81\x00\x00\x00\x00\xE2\x80\x90\x00\x00\x00\x00\x41", 14},
	};

	for (size_t i = 0; i < sizeof(begun) / sizeof(begun[0]); i++) {
		buffer_append_slice(&bytes, begun[i]);
		assert_heard("6.4.3", TEXT_FAULT);
	}
}
END_TEST

/* Families 6.5 to 6.23: a text in one frame, and in a frame for each byte. */
static void
try_text(const char *text, bool is_valid)
{
	struct buffer expected = {0};
	size_t len = strlen(text);

	buffer_appendf(&expected, is_valid ? "t:%s;" : TEXT_FAULT, text);
	buffer_append(&expected, "", 1);
	put(FIN | WS_TEXT, slice_of(text));
	assert_heard("6", expected.ptr);
	for (size_t i = 0; i < len; i++)
		put((i + 1 == len ? FIN : 0) | (i == 0 ? WS_TEXT : WS_CONTINUATION),
		    (struct slice){text + i, 1});
	assert_heard("6", expected.ptr);
	buffer_release(&expected);
}

START_TEST(family_6_valid_texts)
{
	static const char *const texts[] = {"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5", "\x01",
	    "\xC2\x80", "\xE0\xA0\x80", "\xF0\x90\x80\x80", "\x7F", "\xDF\xBF", "\xEF\xBF\xBF",
	    "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBD", "\xEF\xBF\xBE",
	    "\xF0\x9F\xBF\xBE", "\xF3\xBF\xBF\xBF"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		try_text(texts[i], true);
}
END_TEST

START_TEST(family_6_invalid_texts)
{
	static const char *const texts[] = {"\xCE", "\xCE\xBA\xE1", "\xCE\xBA\xE1\xBD", "\x80",
	    "\xBF", "\x80\xBF\x80\xBF", "\xC0 \xC1 \xC2 ", "\xE0 \xE1 ", "\xF0 \xF1 ", "\xF8 \xF9 ",
	    "\xFC \xFD ", "\xC0", "\xE0\x80", "\xF0\x80\x80", "\xF8\x80\x80\x80",
	    "\xFC\x80\x80\x80\x80", "\xDF", "\xEF\xBF", "\xF7\xBF\xBF", "\xFE", "\xFF",
	    "\xFE\xFE\xFF\xFF", "\xC0\xAF", "\xE0\x80\xAF", "\xF0\x80\x80\xAF",
	    "\xF8\x80\x80\x80\xAF", "\xFC\x80\x80\x80\x80\xAF", "\xC1\xBF", "\xE0\x9F\xBF",
	    "\xF0\x8F\xBF\xBF", "\xF8\x87\xBF\xBF\xBF", "\xC0\x80", "\xE0\x80\x80",
	    "\xF0\x80\x80\x80", "\xED\xA0\x80", "\xED\xAD\xBF", "\xED\xAE\x80", "\xED\xAF\xBF",
	    "\xED\xB0\x80", "\xED\xBE\x80", "\xED\xBF\xBF", "\xED\xA0\x80\xED\xB0\x80",
	    "\xED\xAF\xBF\xED\xBF\xBF", "\xF4\x90\x80\x80", "\xF7\xBF\xBF\xBF",
	    "\xF8\x88\x80\x80\x80", "\xFD\xBF\xBF\xBF\xBF\xBF"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		try_text(texts[i], false);
}
END_TEST

#define REASON_123                                                                                 \
	"012345678901234567890123456789012345678901234567890123456789012345678"                    \
	"901234567890123456789012345678901234567890123456789012"

START_TEST(family_7_closes)
{
	static const struct row rows[] = {
	    {"7.1.1", "t:one;c:;+", {{FIN | WS_TEXT, "one"}, {FIN | WS_CLOSE, ""}}},
	    {"7.1.2", "c:;+", {{FIN | WS_CLOSE, ""}, {FIN | WS_CLOSE, ""}}},
	    {"7.1.3", "c:;+", {{FIN | WS_CLOSE, ""}, {FIN | WS_PING, ""}}},
	    {"7.1.4", "c:;+", {{FIN | WS_CLOSE, ""}, {FIN | WS_TEXT, "one"}}},
	    {"7.1.5", "c:;+",
		{{WS_TEXT, "one"}, {FIN | WS_CLOSE, ""}, {FIN | WS_CONTINUATION, "two"}}},
	    {"7.3.2", PROTOCOL_FAULT, {{FIN | WS_CLOSE, "a"}}},
	    {"7.3.3", "c:\x03\xE8;+", {{FIN | WS_CLOSE, "\x03\xE8"}}},
	    {"7.3.4", "c:\x03\xE8Hello;+", {{FIN | WS_CLOSE, "\x03\xE8Hello"}}},
	    {"7.3.5", "c:\x03\xE8" REASON_123 ";+", {{FIN | WS_CLOSE, "\x03\xE8" REASON_123}}},
	    {"7.3.6", PROTOCOL_FAULT, {{FIN | WS_CLOSE, "\x03\xE8" REASON_123 "3"}}},
	    {"7.5.1", "!1007 ", {{FIN | WS_CLOSE, "\x03\xE8\xCE\xBA\xED\xA0\x80"}}},
	    {"7.5.1", "!1007 ", {{FIN | WS_CLOSE, "\x03\xE8\xCE"}}},
	};

	TRY_ROWS(rows);
}
END_TEST

START_TEST(family_7_codes)
{
	static const unsigned valid[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012,
	    1013, 1014, 3000, 3999, 4000, 4999};
	static const unsigned invalid[] = {
	    0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535};

	for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
		char code[] = {(char)(valid[i] >> 8), (char)(valid[i] & 0xFF), 'x', '\0'};
		char expected[16];

		put(FIN | WS_CLOSE, (struct slice){code, 3});
		snprintf(expected, sizeof(expected), "c:%s;+", code);
		assert_heard("7.7", expected);
	}
	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
		char code[] = {(char)(invalid[i] >> 8), (char)(invalid[i] & 0xFF)};

		put(FIN | WS_CLOSE, (struct slice){code, 2});
		assert_heard("7.9", PROTOCOL_FAULT);
	}
}
END_TEST

int
main(void)
{
	return testing_main("http/ws_conformance", setup, teardown,
	    (const TTest *[]){family_1_messages_of_all_lengths, family_2_pings_and_pongs,
		family_3_reserved_bits, family_4_unknown_opcodes, family_5_fragments,
		family_6_fragments_of_texts,
		family_6_an_invalid_text_fails_before_its_frame_has_ended, family_6_valid_texts,
		family_6_invalid_texts, family_7_closes, family_7_codes, NULL});
}

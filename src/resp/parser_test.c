#include "config.h"

#include "resp/parser.h"

#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buffer.h"
#include "base/testing.h"

static struct protocol_limits limits;
static struct resp_parser *parser;
static bool unauthenticated;
static struct buffer heard; /* what the parser returned, as text: "[SET|k|v] [PING] ..." */

static void
setup(void)
{
	limits = (struct protocol_limits){
	    .arg_bytes = (size_t)512 << 20,
	    .arg_count = 0x7fffffff,
	    .line_bytes = 65536,
	    .request_bytes = (size_t)1 << 30,
	};
	parser = resp_parser_new(&limits);
	unauthenticated = false;
}

static void
teardown(void)
{
	resp_parser_free(parser);
	buffer_release(&heard);
}

static void
restart(void)
{
	resp_parser_free(parser);
	parser = resp_parser_new(&limits);
	unauthenticated = false;
	buffer_clear(&heard);
}

/* Checks also that resp_parser_args() returns the same arguments afterwards. */
static enum protocol_status
feed(struct resp_parser *p, const char *ptr, size_t len, size_t *taken)
{
	struct protocol_request request = {.ends_batch = true};
	enum protocol_status status =
	    resp_parser_feed(p, ptr, len, unauthenticated, taken, &request);
	size_t count;

	if (status == PROTOCOL_REQUEST) {
		ck_assert_ptr_eq(request.args, resp_parser_args(p, &count));
		ck_assert_uint_eq(request.count, count);
		ck_assert(!request.ends_batch);
	}
	return status;
}

static void
note_request(void)
{
	size_t count, i;
	const struct slice *args = resp_parser_args(parser, &count);

	ck_assert_uint_ge(count, 1);
	for (i = 0; i < count; i++) {
		buffer_append_str(&heard, i == 0 ? "[" : "|");
		buffer_append_escaped(&heard, args[i]);
	}
	buffer_append_str(&heard, "] ");
}

/* Feeds one piece from a block that is freed afterwards, like a socket's buffer. */
static enum protocol_status
feed_piece(const char *ptr, size_t len)
{
	char *piece = xmemdup(ptr, len);
	size_t done = 0, taken;
	enum protocol_status status;

	for (;;) {
		status = feed(parser, piece + done, len - done, &taken);
		ck_assert_uint_le(taken, len - done);
		done += taken;
		if (status != PROTOCOL_REQUEST)
			break;
		note_request();
	}
	if (status == PROTOCOL_MORE)
		ck_assert_uint_eq(done, len);
	xfree(piece);
	return status;
}

/* Feeds s in pieces of `each` bytes; the first has `first` bytes. */
static void
feed_in_pieces(struct slice s, size_t first, size_t each)
{
	size_t at = 0, len = first;

	while (at < s.len) {
		if (len > s.len - at)
			len = s.len - at;
		if (feed_piece(s.ptr + at, len) == PROTOCOL_ERROR) {
			buffer_append_str(&heard, resp_parser_error(parser));
			return;
		}
		at += len;
		len = each;
	}
}

static void
check_heard(const char *expected)
{
	buffer_append(&heard, "", 1);
	ck_assert_str_eq(heard.ptr, expected);
	buffer_clear(&heard);
}

/* Fed as a whole, in every split in two, and byte by byte, s must give the same result. */
static void
check_every_split(struct slice s, const char *expected)
{
	size_t first;

	for (first = 0; first <= s.len; first++) {
		restart();
		feed_in_pieces(s, first, s.len);
		check_heard(expected);
	}
	for (first = 1; first <= 5; first++) {
		restart();
		feed_in_pieces(s, first, first);
		check_heard(expected);
	}
}

#define GIVES(literal, expected) check_every_split(SLICE(literal), (expected))

START_TEST(arrays_of_bulk_strings_are_requests_whatever_the_split)
{
	GIVES("*1\r\n$4\r\nPING\r\n", "[PING] ");
	GIVES("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\n\0\r\n$1\r\n", "[SET|k|\\x00\\r\\n$1] ");
	GIVES("*2\r\n$0\r\n\r\n$0\r\n\r\n", "[|] ");
	GIVES("*1\r\n$12\r\nhello, world\r\n", "[hello, world] ");
	GIVES("*11\r\n$1\r\n0\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n"
	      "$1\r\n7\r\n$1\r\n8\r\n$1\r\n9\r\n$2\r\n10\r\n",
	    "[0|1|2|3|4|5|6|7|8|9|10] ");
}
END_TEST

START_TEST(pipelined_requests_come_one_by_one_and_in_order)
{
	GIVES("*2\r\n$4\r\nECHO\r\n$1\r\na\r\n*1\r\n$4\r\nPING\r\nPING x\r\n*1\r\n$4\r\nQUIT\r\n",
	    "[ECHO|a] [PING] [PING|x] [QUIT] ");
}
END_TEST

START_TEST(an_incomplete_request_is_not_given)
{
	GIVES("*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$5\r\nhell", "[PING] ");
	GIVES("*1\r\n$4\r\nPING\r", "");
	GIVES("*1", "");
	GIVES("PING", "");
	GIVES("", "");
}
END_TEST

START_TEST(empty_requests_are_passed_over)
{
	GIVES("*0\r\n*-1\r\n*-5\r\n\r\n\n   \r\n*1\r\n$4\r\nPING\r\n\r\n", "[PING] ");
}
END_TEST

START_TEST(any_two_bytes_end_a_value_and_any_byte_follows_a_headers_cr)
{
	GIVES("*1\r\n$4\r\nPINGxy*1\r\n$4\r\nQUIT\r\n", "[PING] [QUIT] ");
	GIVES("*1\rx$4\ryPING\r\n", "[PING] ");
}
END_TEST

START_TEST(inline_commands_are_split_as_redis_does)
{
	GIVES("PING\r\n", "[PING] ");
	GIVES("PING\n", "[PING] ");
	GIVES("  set \t k   v  \r\n", "[set|k|v] ");
	GIVES("a \"b c\" 'd e' \"\" ''\r\n", "[a|b c|d e||] ");
	GIVES("\"\\x41\\x0a\\n\\r\\t\\b\\a\\\\\\\"\\q\\xZ1\"\r\n",
	    "[A\\n\\n\\r\\t\\b\\a\\\\\\\"qxZ1] ");
	GIVES("'\\x41\\n\\'\"'\r\n", "[\\\\x41\\\\n'\\\"] ");
	GIVES("ab\"c d\" x\r\n", "[abc d|x] ");
	GIVES("a\vb \v c\r\n", "[a\\x0bb|c] ");
	GIVES("a\\n b\\\r\n", "[a\\\\n|b\\\\] ");
	GIVES("a\rb\r\r\n", "[a|b] ");
	GIVES(
	    "GET /index.html HTTP/1.1\r\nHost: x\r\n\r\n", "[GET|/index.html|HTTP/1.1] [Host:|x] ");
}
END_TEST

START_TEST(unbalanced_quotes_are_an_error)
{
	static const char *const lines[] = {"\"abc\r\n", "'abc\r\n", "a \"\r\n", "\"a\"b\r\n",
	    "'a'b\r\n", "\"a\"\"b\"\r\n", "\"abc\\\"\r\n", "'abc\\'\r\n", "\"\\\r\n"};
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		check_every_split(
		    slice_of(lines[i]), "Protocol error: unbalanced quotes in request");
}
END_TEST

START_TEST(a_wrong_count_is_an_invalid_multibulk_length)
{
	static const char *const lines[] = {"*\r\n", "*x\r\n", "*01\r\n", "*+1\r\n", "* 1\r\n",
	    "*1 \r\n", "*-\r\n", "*1x\r\n", "*2147483648\r\n", "*9223372036854775808\r\n",
	    "*99999999999999999999999999999999999\r\n"};
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		check_every_split(slice_of(lines[i]), "Protocol error: invalid multibulk length");
	limits.arg_count = 2;
	GIVES("*2\r\n$1\r\na\r\n$1\r\nb\r\n", "[a|b] ");
	GIVES("*3\r\n", "Protocol error: invalid multibulk length");
}
END_TEST

START_TEST(the_byte_in_place_of_a_dollar_is_reported)
{
	GIVES("*1\r\nxyz\r\n", "Protocol error: expected '$', got 'x'");
	GIVES("*1\r\n:1\r\n", "Protocol error: expected '$', got ':'");
	GIVES("*1\r\n*1\r\n", "Protocol error: expected '$', got '*'");
	GIVES("*2\r\n$1\r\na\r\n\r\n", "Protocol error: expected '$', got '\r'");
	GIVES("*1\r\n$4\r\nPING\r\n*1\r\nA\r\n", "[PING] Protocol error: expected '$', got 'A'");
}
END_TEST

START_TEST(a_wrong_length_is_an_invalid_bulk_length)
{
	static const char *const lines[] = {"$\r\n", "$x\r\n", "$-1\r\n", "$04\r\n", "$+4\r\n",
	    "$4 \r\n", "$536870913\r\n", "$99999999999999999999\r\n", "$18446744073709551615\r\n"};
	struct buffer b = {0};
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		buffer_clear(&b);
		buffer_append_str(&b, "*1\r\n");
		buffer_append_str(&b, lines[i]);
		check_every_split(buffer_slice(&b), "Protocol error: invalid bulk length");
	}
	buffer_release(&b);
	limits.arg_bytes = 3;
	GIVES("*1\r\n$3\r\nabc\r\n", "[abc] ");
	GIVES("*1\r\n$4\r\nabcd\r\n", "Protocol error: invalid bulk length");
}
END_TEST

START_TEST(lines_without_an_end_are_too_big)
{
	limits.line_bytes = 32;
	GIVES("12345678901234567890123456789012\n", "[12345678901234567890123456789012] ");
	GIVES("123456789012345678901234567890123", "Protocol error: too big inline request");
	GIVES("123456789012345678901234567890123\n", "Protocol error: too big inline request");
	GIVES("*1234567890123456789012345678901\r\n", "Protocol error: invalid multibulk length");
	GIVES("*12345678901234567890123456789012", "Protocol error: too big mbulk count string");
	GIVES("*1\r\n$1234567890123456789012345678901\r\n", "Protocol error: invalid bulk length");
	GIVES(
	    "*1\r\n$12345678901234567890123456789012", "Protocol error: too big bulk count string");
}
END_TEST

START_TEST(before_authentication_little_is_allowed)
{
	static char value[16385];

	memset(value, 'v', sizeof(value));
	unauthenticated = true;
	feed_in_pieces(SLICE("*10\r\n$16384\r\n"), 100, 100);
	feed_piece(value, 16384);
	ck_assert_int_eq(feed_piece("\r\n$16385\r\n", 10), PROTOCOL_ERROR);
	ck_assert_str_eq(resp_parser_error(parser), "Protocol error: unauthenticated bulk length");
	restart();
	unauthenticated = true;
	feed_in_pieces(SLICE("*11\r\n"), 100, 100);
	check_heard("Protocol error: unauthenticated multibulk length");
	restart();
	unauthenticated = true;
	feed_in_pieces(SLICE("*1\r\n$4\r\nAUTH\r\n"), 100, 100);
	unauthenticated = false;
	feed_in_pieces(SLICE("*11\r\n$16385\r\n"), 100, 100);
	check_heard("[AUTH] ");
}
END_TEST

START_TEST(a_request_holds_no_more_than_its_limit)
{
	limits.request_bytes = 3 * sizeof(struct slice) + 6;
	GIVES("*3\r\n$2\r\nab\r\n$2\r\ncd\r\n$2\r\nef\r\n*1\r\n$1\r\nx\r\n", "[ab|cd|ef] [x] ");
	GIVES("*3\r\n$2\r\nab\r\n$2\r\ncd\r\n$3\r\nefg\r\n",
	    "Protocol error: request larger than client-query-buffer-limit");
	GIVES("*4\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n",
	    "Protocol error: request larger than client-query-buffer-limit");
}
END_TEST

START_TEST(after_an_error_there_is_nothing_but_the_error)
{
	size_t taken = 99;

	feed_in_pieces(SLICE("*x\r\n"), 100, 100);
	ck_assert_int_eq(feed(parser, "PING\r\n", 6, &taken), PROTOCOL_ERROR);
	ck_assert_uint_eq(taken, 0);
	ck_assert_str_eq(resp_parser_error(parser), "Protocol error: invalid multibulk length");
}
END_TEST

START_TEST(limits_may_shrink_in_the_middle_of_a_request)
{
	feed_in_pieces(SLICE("a long inline command that is not complete"), 100, 100);
	limits.line_bytes = 32;
	ck_assert_int_eq(feed_piece("x", 1), PROTOCOL_ERROR);
	ck_assert_str_eq(resp_parser_error(parser), "Protocol error: too big inline request");
	restart();
	feed_in_pieces(SLICE("*2\r\n$10\r\n01234"), 100, 100);
	limits.arg_bytes = 3;
	limits.request_bytes = 4;
	ck_assert_int_eq(feed_piece("5", 1), PROTOCOL_ERROR);
}
END_TEST

/* Random requests in random pieces must be returned as they were sent. */
START_TEST(random_requests_survive_random_pieces)
{
	struct buffer sent = {0}, expected = {0};
	uint64_t seed = 5;
	int round;

	for (round = 0; round < 1500; round++) {
		size_t count = 1 + testing_random(&seed) % 9;
		size_t piece = 1 + testing_random(&seed) % 200;
		size_t i, j;

		buffer_clear(&sent);
		buffer_clear(&expected);
		buffer_appendf(&sent, "*%zu\r\n", count);
		for (i = 0; i < count; i++) {
			size_t len = testing_random(&seed) % (round % 50 == 0 ? 5000 : 40);
			struct slice value;

			buffer_appendf(&sent, "$%zu\r\n", len);
			value = (struct slice){buffer_reserve(&sent, len), len};
			for (j = 0; j < len; j++)
				sent.ptr[sent.len++] = (char)testing_random(&seed);
			buffer_append_str(&expected, i == 0 ? "[" : "|");
			buffer_append_escaped(&expected, value);
			buffer_append_str(&sent, "\r\n");
		}
		buffer_append(&expected, "] ", 3);
		feed_in_pieces(buffer_slice(&sent), 1 + piece / 2, piece);
		check_heard(expected.ptr);
		ck_assert(resp_parser_is_idle(parser));
	}
	buffer_release(&sent);
	buffer_release(&expected);
}
END_TEST

enum { LARGE_BYTES = 64 << 20 };

/*
 * The work is counted, not timed: whenever the room grows, the held bytes may have moved; so the
 * sum of the held bytes at these moments is the most that was moved.
 */
START_TEST(a_large_value_in_small_pieces_is_moved_less_than_twice_its_length)
{
	static char piece[1024];
	size_t moved = 0, room = 0, sent, taken, count;
	const struct slice *args;

	memset(piece, 'v', sizeof(piece));
	feed_in_pieces(SLICE("*3\r\n$7\r\nPUBLISH\r\n$2\r\nch\r\n$67108864\r\n"), 1000, 1000);
	for (sent = 0; sent < LARGE_BYTES; sent += sizeof(piece)) {
		size_t held = resp_parser_held_bytes(parser);

		ck_assert_int_eq(feed(parser, piece, sizeof(piece), &taken), PROTOCOL_MORE);
		if (resp_parser_room_bytes(parser) != room)
			moved += held;
		room = resp_parser_room_bytes(parser);
		ck_assert_uint_le(room, 2 * resp_parser_held_bytes(parser) + 1024);
	}
	ck_assert_uint_lt(moved, 2 * (size_t)LARGE_BYTES);
	ck_assert_uint_lt(room, LARGE_BYTES + 4096); /* the last step takes no more than needed */
	ck_assert_int_eq(feed(parser, "\r\n", 2, &taken), PROTOCOL_REQUEST);
	args = resp_parser_args(parser, &count);
	ck_assert_uint_eq(count, 3);
	ck_assert_uint_eq(args[2].len, LARGE_BYTES);
	ck_assert(args[2].ptr[0] == 'v' && args[2].ptr[LARGE_BYTES - 1] == 'v');
	resp_parser_reset(parser);
	ck_assert_uint_lt(resp_parser_room_bytes(parser), 256);
}
END_TEST

START_TEST(an_announced_size_costs_nothing_until_it_arrives)
{
	size_t before = alloc_used_bytes();

	feed_in_pieces(SLICE("*1048576\r\n$1\r\na\r\n$536870912\r\nvalue"), 1000, 1000);
	ck_assert_uint_lt(alloc_used_bytes(), before + 1024);
	ck_assert_uint_lt(resp_parser_room_bytes(parser), 512);
	ck_assert_uint_eq(resp_parser_held_bytes(parser), 6 + sizeof(struct slice));
}
END_TEST

START_TEST(many_tiny_arguments_byte_by_byte_hold_a_few_times_what_was_sent)
{
	size_t sent, taken;
	size_t before = alloc_used_bytes();

	feed_in_pieces(SLICE("*20000\r\n"), 1, 1);
	for (sent = 0; sent < 19999; sent++)
		feed_in_pieces(SLICE("$1\r\nx\r\n"), 1, 1);
	ck_assert_uint_lt(alloc_used_bytes() - before, 19999 * 7 * 6);
	ck_assert_int_eq(feed(parser, "$1\r\ny\r\n", 7, &taken), PROTOCOL_REQUEST);
	resp_parser_reset(parser);
	ck_assert_uint_eq(resp_parser_room_bytes(parser), 0);
}
END_TEST

START_TEST(an_idle_parser_is_small)
{
	size_t before = alloc_used_bytes();
	struct resp_parser *idle = resp_parser_new(&limits);
	size_t taken;

	ck_assert_uint_le(alloc_used_bytes() - before, 176);
	ck_assert(resp_parser_is_idle(idle));
	ck_assert_int_eq(feed(idle, "*1\r\n$4\r\nPI", 10, &taken), PROTOCOL_MORE);
	ck_assert(!resp_parser_is_idle(idle));
	ck_assert_int_eq(feed(idle, "NG\r\n", 4, &taken), PROTOCOL_REQUEST);
	resp_parser_reset(idle);
	ck_assert(resp_parser_is_idle(idle));
	ck_assert_uint_le(alloc_used_bytes() - before, 256);
	resp_parser_free(idle);
	ck_assert_uint_eq(alloc_used_bytes(), before);
}
END_TEST

START_TEST(reset_in_the_middle_of_a_request_loses_nothing)
{
	feed_in_pieces(SLICE("*2\r\n$4\r\nECHO\r\n$5\r\nhe"), 100, 100);
	resp_parser_reset(parser);
	feed_in_pieces(SLICE("llo\r\n"), 100, 100);
	check_heard("[ECHO|hello] ");
}
END_TEST

START_TEST(whole_arguments_are_not_copied)
{
	static const char bytes[] = "*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n";
	size_t taken, count;
	const struct slice *args;

	ck_assert_int_eq(feed(parser, bytes, sizeof(bytes) - 1, &taken), PROTOCOL_REQUEST);
	args = resp_parser_args(parser, &count);
	ck_assert_ptr_eq(args[0].ptr, bytes + 8);
	ck_assert_ptr_eq(args[1].ptr, bytes + 18);
	ck_assert_uint_eq(taken, sizeof(bytes) - 1);
}
END_TEST

/* The bytes fed are overwritten at once. */
static enum protocol_status
feed_and_spoil(struct resp_parser *p, const char *text, bool keep)
{
	static char bytes[256];
	size_t taken, len = strlen(text);
	enum protocol_status status;

	memcpy(bytes, text, len);
	status = feed(p, bytes, len, &taken);
	if (status == PROTOCOL_REQUEST && keep)
		resp_parser_copy_args(p);
	memset(bytes, '#', sizeof(bytes));
	return status;
}

START_TEST(kept_arguments_outlast_the_bytes)
{
	struct resp_parser *own = resp_parser_new(&limits);
	const struct slice *args;
	size_t count;

	ck_assert_int_eq(feed_and_spoil(own, "*3\r\n$3\r\none\r\n$3\r\ntw", false), PROTOCOL_MORE);
	ck_assert_int_eq(feed_and_spoil(own, "o\r\n$5\r\nthree\r\n", true), PROTOCOL_REQUEST);
	args = resp_parser_args(own, &count);
	ck_assert_uint_eq(count, 3);
	ck_assert(slice_is(args[0], "one"));
	ck_assert(slice_is(args[1], "two"));
	ck_assert(slice_is(args[2], "three"));
	resp_parser_free(own);
}
END_TEST

START_TEST(arguments_given_away_outlast_the_parser)
{
	struct resp_parser *own = resp_parser_new(&limits);
	struct arena arena = {0};
	struct slice cut, quoted;
	size_t count;

	ck_assert_int_eq(feed_and_spoil(own, "*1\r\n$3\r\nc", false), PROTOCOL_MORE);
	ck_assert_int_eq(feed_and_spoil(own, "ut\r\n", false), PROTOCOL_REQUEST);
	cut = resp_parser_args(own, &count)[0];
	resp_parser_give_arena(own, &arena);
	ck_assert_int_eq(feed_and_spoil(own, "\"quo\\x74ed\"\r\n", false), PROTOCOL_REQUEST);
	quoted = resp_parser_args(own, &count)[0];
	resp_parser_give_arena(own, &arena);
	resp_parser_reset(own);
	resp_parser_free(own);
	ck_assert(slice_is(cut, "cut"));
	ck_assert(slice_is(quoted, "quoted"));
	arena_release(&arena);
}
END_TEST

int
main(void)
{
	return testing_main("resp/parser", setup, teardown,
	    (const TTest *[]){arrays_of_bulk_strings_are_requests_whatever_the_split,
		pipelined_requests_come_one_by_one_and_in_order, an_incomplete_request_is_not_given,
		empty_requests_are_passed_over,
		any_two_bytes_end_a_value_and_any_byte_follows_a_headers_cr,
		inline_commands_are_split_as_redis_does, unbalanced_quotes_are_an_error,
		a_wrong_count_is_an_invalid_multibulk_length,
		the_byte_in_place_of_a_dollar_is_reported, a_wrong_length_is_an_invalid_bulk_length,
		lines_without_an_end_are_too_big, before_authentication_little_is_allowed,
		a_request_holds_no_more_than_its_limit,
		after_an_error_there_is_nothing_but_the_error,
		limits_may_shrink_in_the_middle_of_a_request, random_requests_survive_random_pieces,
		a_large_value_in_small_pieces_is_moved_less_than_twice_its_length,
		an_announced_size_costs_nothing_until_it_arrives,
		many_tiny_arguments_byte_by_byte_hold_a_few_times_what_was_sent,
		an_idle_parser_is_small, reset_in_the_middle_of_a_request_loses_nothing,
		whole_arguments_are_not_copied, kept_arguments_outlast_the_bytes,
		arguments_given_away_outlast_the_parser, NULL});
}

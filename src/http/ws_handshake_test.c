#include "config.h"

#include "http/ws_handshake.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

/* The key of the example in RFC 6455, section 1.3. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum { ARGS_MAX = 32 };

static struct slice args[ARGS_MAX];
static size_t count;
static struct ws_handshake result;
static struct buffer out;

static void
add(const char *name, const char *value)
{
	args[count++] = slice_of(name);
	args[count++] = slice_of(value);
}

/* The value of a field that is there. */
static struct slice *
value_of(const char *name)
{
	size_t i;

	for (i = 4; !slice_is(args[i], name); i += 2)
		;
	return &args[i + 1];
}

static void
setup(void)
{
	args[0] = SLICE("GET");
	args[1] = SLICE("/ws");
	args[2] = SLICE("1.1");
	args[3] = SLICE("");
	count = 4;
	add("Host", "localhost:8000");
	add("Upgrade", "websocket");
	add("Connection", "Upgrade");
	add("Sec-WebSocket-Version", "13");
	add("Sec-WebSocket-Key", KEY);
}

static void
teardown(void)
{
	buffer_release(&out);
}

static enum ws_handshake_fault
judge(void)
{
	return ws_handshake_judge(args, count, true, "centrifuge-json", &result);
}

/* Judges the request with another value of a field. */
static enum ws_handshake_fault
judge_with(const char *name, const char *value)
{
	struct slice before = *value_of(name);
	enum ws_handshake_fault fault;

	*value_of(name) = slice_of(value);
	fault = judge();
	*value_of(name) = before;
	return fault;
}

static void
assert_response(const char *fields)
{
	ck_assert_int_eq(judge(), WS_HANDSHAKE_OK);
	buffer_clear(&out);
	ws_handshake_put(&out, &result);
	buffer_append(&out, "", 1);
	ck_assert_str_eq(out.ptr, fields);
}

#define RESPONSE(more)                                                                             \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"        \
	"Sec-WebSocket-Accept: " ACCEPT "\r\n" more "\r\n"

#define EXTENSION                                                                                  \
	"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "               \
	"client_no_context_takeover"

START_TEST(a_valid_request_is_answered_as_in_the_rfc)
{
	assert_response(RESPONSE(""));
}
END_TEST

START_TEST(names_and_tokens_have_no_case_and_stand_in_lists)
{
	ck_assert_int_eq(judge_with("Upgrade", "h2c, WebSocket"), WS_HANDSHAKE_OK);
	ck_assert_int_eq(judge_with("Connection", "keep-alive, UPGRADE"), WS_HANDSHAKE_OK);
	args[4 + 2] = SLICE("upgrade");
	ck_assert_int_eq(judge(), WS_HANDSHAKE_OK);
}
END_TEST

START_TEST(a_request_for_something_else_is_told_what_is_here)
{
	ck_assert_int_eq(judge_with("Upgrade", "h2c"), WS_HANDSHAKE_PLAIN);
	ck_assert_int_eq(judge_with("Upgrade", "websockets"), WS_HANDSHAKE_PLAIN);
	ck_assert_int_eq(judge_with("Connection", "keep-alive"), WS_HANDSHAKE_PLAIN);
	args[2] = SLICE("1.0");
	ck_assert_int_eq(judge(), WS_HANDSHAKE_PLAIN);
	args[2] = SLICE("1.1");
	args[0] = SLICE("POST");
	ck_assert_int_eq(judge(), WS_HANDSHAKE_METHOD);
	args[0] = SLICE("get");
	ck_assert_int_eq(judge(), WS_HANDSHAKE_METHOD);
	count = 6;
	args[0] = SLICE("GET");
	ck_assert_int_eq(judge(), WS_HANDSHAKE_PLAIN);
}
END_TEST

START_TEST(another_version_is_told_the_one_that_is_supported)
{
	ck_assert_int_eq(judge_with("Sec-WebSocket-Version", "8"), WS_HANDSHAKE_VERSION);
	ck_assert_int_eq(judge_with("Sec-WebSocket-Version", "13, 8"), WS_HANDSHAKE_VERSION);
	ck_assert_int_eq(judge_with("Sec-WebSocket-Version", ""), WS_HANDSHAKE_VERSION);
	add("Sec-WebSocket-Version", "13");
	ck_assert_int_eq(judge(), WS_HANDSHAKE_VERSION);
	ck_assert_uint_eq(ws_handshake_status(WS_HANDSHAKE_VERSION), 426);
	ck_assert(slice_eq(ws_handshake_headers(WS_HANDSHAKE_VERSION),
	    SLICE("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n")));
}
END_TEST

START_TEST(a_key_has_16_bytes_and_is_there_once)
{
	static const char *const bad[] = {"", "dGhlIHNhbXBsZSBub25jZQ",
	    "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZ===", "dGhlIHNhbXBsZSBub25jZQ==A",
	    "dGhlIHNhbXBsZSBub25jZQ== ", "dGhlIHNhbXBs-SBub25jZQ==",
	    "AAAAdGhlIHNhbXBsZSBub25jZQ=="};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(judge_with("Sec-WebSocket-Key", bad[i]), WS_HANDSHAKE_KEY);
	add("Sec-WebSocket-Key", KEY);
	ck_assert_int_eq(judge(), WS_HANDSHAKE_KEY);
	count -= 4;
	ck_assert_int_eq(judge(), WS_HANDSHAKE_KEY);
	ck_assert_uint_eq(ws_handshake_status(WS_HANDSHAKE_KEY), 400);
}
END_TEST

START_TEST(each_fault_has_whole_header_lines_and_a_text)
{
	for (int fault = WS_HANDSHAKE_METHOD; fault <= WS_HANDSHAKE_KEY; fault++) {
		struct slice lines = ws_handshake_headers((enum ws_handshake_fault)fault);

		ck_assert_uint_ge(ws_handshake_status((enum ws_handshake_fault)fault), 400);
		ck_assert_uint_gt(strlen(ws_handshake_text((enum ws_handshake_fault)fault)), 0);
		ck_assert_uint_eq(lines.len, strlen(lines.ptr));
		if (lines.len > 0)
			ck_assert(memcmp(lines.ptr + lines.len - 2, "\r\n", 2) == 0);
	}
}
END_TEST

START_TEST(a_subprotocol_is_named_only_if_it_is_offered)
{
	add("Sec-WebSocket-Protocol", "centrifuge-protobuf, Centrifuge-JSON");
	assert_response(RESPONSE(""));
	add("Sec-WebSocket-Protocol", "other, centrifuge-json");
	assert_response(RESPONSE("Sec-WebSocket-Protocol: centrifuge-json\r\n"));
	ck_assert_int_eq(ws_handshake_judge(args, count, true, NULL, &result), WS_HANDSHAKE_OK);
	ck_assert_uint_eq(result.subprotocol.len, 0);
}
END_TEST

static bool
deflates_for(const char *offers)
{
	setup();
	add("Sec-WebSocket-Extensions", offers);
	ck_assert_int_eq(judge(), WS_HANDSHAKE_OK);
	return result.deflates;
}

START_TEST(compression_is_agreed_on_if_the_offer_allows_a_shared_window)
{
	ck_assert(deflates_for("permessage-deflate"));
	ck_assert(deflates_for("permessage-deflate; client_max_window_bits"));
	ck_assert(deflates_for("permessage-deflate; client_max_window_bits=8"));
	ck_assert(deflates_for("permessage-deflate;client_max_window_bits=\"10\""));
	ck_assert(deflates_for("permessage-deflate; server_no_context_takeover; "
			       "client_no_context_takeover"));
	ck_assert(deflates_for("Permessage-Deflate ; Client_No_Context_Takeover"));
	ck_assert(!deflates_for("permessage-deflate; server_max_window_bits=10"));
	ck_assert(deflates_for("permessage-deflate; server_max_window_bits=10, "
			       "permessage-deflate"));
	ck_assert(!result.names_window);
	ck_assert(deflates_for("permessage-deflate; server_max_window_bits=15"));
	ck_assert(result.names_window);
}
END_TEST

START_TEST(an_invalid_offer_is_declined)
{
	/* Safari sends an empty field. */
	static const char *const bad[] = {"", " ", ",", "x-webkit-deflate-frame",
	    "permessage-bzip2", "permessage-deflate; x", "permessage-deflate; x=1",
	    "permessage-deflate; server_max_window_bits",
	    "permessage-deflate; server_max_window_bits=",
	    "permessage-deflate; server_max_window_bits=16",
	    "permessage-deflate; client_max_window_bits=7",
	    "permessage-deflate; client_max_window_bits=015",
	    "permessage-deflate; client_max_window_bits=\"",
	    "permessage-deflate; client_max_window_bits; client_max_window_bits",
	    "permessage-deflate; client_no_context_takeover=1", "permessage-deflate; ;",
	    "permessage-deflate; \"quoted, comma\"", "deflate; permessage-deflate"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!deflates_for(bad[i]), "%s", bad[i]);
}
END_TEST

START_TEST(the_response_names_what_was_agreed_on)
{
	add("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits");
	assert_response(RESPONSE(EXTENSION "\r\n"));
	setup();
	add("Sec-WebSocket-Extensions", "foo");
	add("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=15");
	assert_response(RESPONSE(EXTENSION "; server_max_window_bits=15\r\n"));
	ck_assert_int_eq(ws_handshake_judge(args, count, false, NULL, &result), WS_HANDSHAKE_OK);
	ck_assert(!result.deflates);
}
END_TEST

int
main(void)
{
	return testing_main("http/ws_handshake", setup, teardown,
	    (const TTest *[]){a_valid_request_is_answered_as_in_the_rfc,
		names_and_tokens_have_no_case_and_stand_in_lists,
		a_request_for_something_else_is_told_what_is_here,
		another_version_is_told_the_one_that_is_supported,
		a_key_has_16_bytes_and_is_there_once, each_fault_has_whole_header_lines_and_a_text,
		a_subprotocol_is_named_only_if_it_is_offered,
		compression_is_agreed_on_if_the_offer_allows_a_shared_window,
		an_invalid_offer_is_declined, the_response_names_what_was_agreed_on, NULL});
}

#include "config.h"

#include "edge/testing_edge.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "edge/forms.h"
#include "edge/session.h"
#include "http/protocol.h"
#include "pubsub/hub.h"
#include "server/client.h"
#include "server/core.h"
#include "token/cache.h"
#include "token/keys.h"
#include "token/testing_token.h"

#define HEADERS_MAX 16

struct edge *test_edge;
struct edge_config test_edge_config;
struct test_conn *test_admin;
uint64_t test_wall_s;

static struct tokens *tokens;
static struct buffer messages;

static bool
is_admin(void *arg, const char *address)
{
	(void)arg;
	return strncmp(address, "127.0.0.1:", 10) == 0;
}

static uint64_t
wall_s(void *arg)
{
	(void)arg;
	return test_wall_s;
}

static void
begin_tokens(void)
{
	struct token_key_sources sources = {.hmac_secret = SLICE(TESTING_SECRET)};
	struct token_rules rules = {.leeway_s = 0};
	struct buffer error = {0};
	struct token_keys *keys = token_keys_new(&sources, &error);

	ck_assert_ptr_nonnull(keys);
	tokens = tokens_new(TOKENS_CACHE_BYTES);
	tokens_configure(tokens, keys, &rules);
}

void
test_edge_setup(void)
{
	static const struct edge_io io = {
	    .is_admin = is_admin, .is_forwarder = is_admin, .wall_s = wall_s};

	test_setup();
	test_config.edge_user = "edge";
	test_config.presence = (struct presence_limits){100, 100, 1 << 20};
	test_wall_s = 1000000;
	test_edge_config = (struct edge_config){
	    .doors = UINT32_MAX,
	    .user = "edge",
	    .anonymous = true,
	    .max_channels = 4,
	    .max_message = 65536,
	    .max_body = 1 << 20,
	    .outbox = {.bytes = 1 << 20, .policy = OUTBOX_DISCONNECT, .notify = true},
	    .ping_interval_s = 25,
	    .pong_timeout_s = 10,
	    .connect_timeout_s = 10,
	    .keepalive_s = 60,
	    .sse_heartbeat_s = 15,
	    .sse_retry_min_ms = 1000,
	    .sse_retry_max_ms = 1000,
	    .ws_deflate_min = 128,
	    .ws_glob_prefix = "glob:",
	    .token_cookie = "",
	    .token_audience = "",
	    .token_issuer = "",
	};
	test_edge = edge_new(&test_edge_config, test_server, &io);
	begin_tokens();
	edge_set_tokens(test_edge, tokens);
	test_admin = test_open();
	ck_assert_str_eq(
	    test_call(test_admin, "acl setuser edge on resetchannels &* +@all"), "+OK\r\n");
	ck_assert_str_eq(
	    test_call(test_admin, "channel set keep_* history-size 1000 history-ttl 60"),
	    "+OK\r\n");
}

void
test_edge_teardown(void)
{
	const struct edge_figures *figures = test_edge_figures();

	test_close_all();
	ck_assert_uint_eq(figures->streams_now, 0);
	ck_assert_uint_eq(figures->sockets_now, 0);
	ck_assert_uint_eq(hub_figures(test_server->hub).subscriptions, 0);
	ck_assert_uint_eq(hub_figures(test_server->hub).queued_bytes, 0);
	edge_free(test_edge);
	edge_forms_release();
	test_teardown();
	tokens_free(tokens);
	buffer_release(&messages);
}

const struct edge_figures *
test_edge_figures(void)
{
	return &test_edge->figures;
}

struct edge_session *
test_edge_session(const struct test_conn *conn)
{
	return edge_session_of(conn->client);
}

struct test_conn *
test_edge_open(void)
{
	struct test_conn *conn = test_conn_new();
	struct outbox *outbox;

	conn->client = edge_open(test_edge, conn, &test_loopback, false, &outbox);
	conn->request = edge_request;
	return conn;
}

/* Splits "Name: value\n" lines. */
static size_t
add_headers(struct slice *args, size_t count, const char *headers)
{
	for (size_t n = 0; *headers != '\0'; n++) {
		const char *colon = strstr(headers, ": "), *end = strchr(headers, '\n');

		ck_assert(colon != NULL && end != NULL && colon < end && n < HEADERS_MAX);
		args[count++] = (struct slice){headers, (size_t)(colon - headers)};
		args[count++] = (struct slice){colon + 2, (size_t)(end - colon) - 2};
		headers = end + 1;
	}
	return count;
}

bool
test_edge_send(struct test_conn *conn, const char *line, const char *headers, const char *body)
{
	const char *blank = strchr(line, ' ');
	struct slice args[HTTP_FIELDS + 2 + 2 * HEADERS_MAX];
	size_t count;

	ck_assert_ptr_nonnull(blank);
	args[HTTP_METHOD] = (struct slice){line, (size_t)(blank - line)};
	args[HTTP_TARGET] = slice_of(blank + 1);
	args[HTTP_VERSION] = SLICE("1.1");
	args[HTTP_BODY] = slice_of(body);
	count = add_headers(args, HTTP_FIELDS, "Host: test\n");
	count = add_headers(args, count, headers);
	return test_send_args(conn, args, count);
}

const char *
test_edge_get(struct test_conn *conn, const char *target, const char *headers)
{
	char *line = xasprintf("GET %s", target);

	ck_assert(test_edge_send(conn, line, headers, ""));
	xfree(line);
	return test_read(conn);
}

struct test_conn *
test_edge_stream(const char *query)
{
	struct test_conn *conn = test_edge_open();
	char *target = xasprintf("/sse?%s", query);
	const char *head = test_edge_get(conn, target, "");

	xfree(target);
	ck_assert_msg(strncmp(head, "HTTP/1.1 200 OK\r\n", 17) == 0, "%s", head);
	ck_assert_uint_eq(test_edge_session(conn)->state, EDGE_STREAM);
	return conn;
}

struct test_conn *
test_edge_join(const char *headers)
{
	struct test_conn *conn = test_edge_open();
	char *all = xasprintf("Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n"
			      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n%s",
	    headers);
	const char *response = test_edge_get(conn, "/ws", all);

	xfree(all);
	ck_assert_msg(strncmp(response, "HTTP/1.1 101 ", 13) == 0, "%s", response);
	conn->request = edge_frame;
	return conn;
}

struct test_conn *
test_edge_socket(const char *token)
{
	struct test_conn *conn = test_edge_join("");
	char *text = xasprintf("{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token);
	const char *reply = test_edge_call(conn, text);

	ck_assert_msg(strncmp(reply, "{\"id\":1,\"connect\":{", 19) == 0, "%s", reply);
	xfree(text);
	return conn;
}

bool
test_edge_frame(struct test_conn *conn, char kind, const char *payload)
{
	const struct slice args[] = {{&kind, 1}, slice_of(payload)};

	return test_send_args(conn, args, 2);
}

/* The head of the frame at *at; returns the length of the payload, and moves *at to it. */
static size_t
read_head(const unsigned char **at)
{
	const unsigned char *p = *at;
	size_t len = p[1];
	int more = len == 127 ? 8 : len == 126 ? 2 : 0;

	if (more > 0)
		len = 0;
	for (int i = 0; i < more; i++)
		len = len << 8 | p[2 + i];
	*at = p + 2 + more;
	return len;
}

static void
put_message(unsigned char opcode, const unsigned char *payload, size_t len)
{
	if (opcode == 0x88) {
		buffer_append_str(&messages, "close ");
		if (len >= 2) {
			buffer_appendf(&messages, "%d ", payload[0] << 8 | payload[1]);
			payload += 2;
			len -= 2;
		}
	} else if (opcode == 0x8a) {
		buffer_append_str(&messages, "pong ");
	} else {
		ck_assert_int_eq(opcode, 0x81);
	}
	buffer_append(&messages, payload, len);
	buffer_append_str(&messages, "\n");
}

const char *
test_edge_messages(struct test_conn *conn)
{
	struct slice read = test_read_all(conn);
	const unsigned char *at = (const unsigned char *)read.ptr, *end = at + read.len;

	buffer_clear(&messages);
	while (at < end) {
		unsigned char opcode = at[0];
		size_t len = read_head(&at);

		ck_assert_uint_le(len, (size_t)(end - at));
		put_message(opcode, at, len);
		at += len;
	}
	buffer_append(&messages, "", 1);
	return messages.ptr;
}

const char *
test_edge_call(struct test_conn *conn, const char *text)
{
	int turns = 0;

	/* On a slow machine the time of a turn may be over before the last command. */
	if (!test_edge_frame(conn, 't', text)) {
		do {
			ck_assert_msg(turns++ < 1000, "'%s' has to wait", text);
			test_turns(1);
		} while (conn->later);
	}
	return test_edge_messages(conn);
}

char *
test_edge_token(const char *claims)
{
	return testing_token("{\"alg\":\"HS256\"}", claims);
}

#include "config.h"

#include "cmd/testing_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include <check.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "cmd/table.h"
#include "pubsub/channel_options.h"
#include "pubsub/hub_options.h"
#include "pubsub/outbox.h"
#include "server/core.h"
#include "server/dispatch.h"
#include "server/door.h"
#include "server/io.h"
#include "server/journal.h"
#include "server/lame_duck.h"
#include "server/server.h"
#include "server/server_config.h"
#include "server/settings.h"

#define BUDGET_US 2000

struct server *test_server;
struct server_config test_config;
int test_shutdowns;
int test_lame_duck_over;
bool test_abort_fails;
const char *test_acl_file;
char test_acl_text[4096];

static struct test_conn *conns;
static int resumes;
static struct buffer text;

static void
io_ready(void *conn)
{
	(void)conn;
}

static void
io_resume(void *conn)
{
	((struct test_conn *)conn)->resumed = ++resumes;
}

static void
io_finish(void *conn)
{
	((struct test_conn *)conn)->finished = true;
}

static void
io_kill(void *conn, const char *reason)
{
	struct test_conn *c = conn;

	ck_assert_ptr_null(c->killed);
	c->killed = reason;
}

static void
io_set_unauthenticated(void *conn, bool unauthenticated)
{
	((struct test_conn *)conn)->unauthenticated = unauthenticated;
}

static void
io_set_expects_output(void *conn, bool expects_output)
{
	(void)conn;
	(void)expects_output;
}

static void
io_set_subscriber(void *conn, bool subscriber)
{
	((struct test_conn *)conn)->subscriber = subscriber;
}

static void
io_switch_protocol(void *conn, enum server_protocol which)
{
	struct test_conn *c = conn;

	c->switched = true;
	c->protocol = which;
}

static void
io_conn_figures(void *conn, struct conn_figures *figures)
{
	*figures = (struct conn_figures){
	    .fd = 7,
	    .readable = true,
	    .input_bytes = 10,
	    .input_room_bytes = 30,
	    .active_us = ((struct test_conn *)conn)->active_us,
	};
}

/* Two loops. */
static bool
io_loop_figures(void *arg, unsigned loop, struct net_loop_figures *figures)
{
	(void)arg;
	*figures = (struct net_loop_figures){.connections = loop + 1, .cpu_us = 7};
	return loop < 2;
}

static void
io_figures(void *arg, struct net_figures *figures)
{
	(void)arg;
	*figures = (struct net_figures){.accepted = 1};
}

static void
io_reset_figures(void *arg)
{
	(void)arg;
}

static void
io_shutdown(void *arg, bool now)
{
	(void)arg;
	test_shutdowns += now ? 100 : 1;
}

static void
io_lame_duck(void *arg, uint32_t window_s)
{
	(void)arg;
	server_lame_duck(test_server, window_s);
}

static bool
io_lame_duck_abort(void *arg, char *error, size_t error_len)
{
	(void)arg;
	snprintf(error, error_len, "cannot listen");
	return !test_abort_fails && server_lame_duck_cancel(test_server);
}

static void
io_lame_duck_over(void *arg)
{
	(void)arg;
	test_lame_duck_over++;
}

static void
settings_each(
    void *arg, void (*visit)(void *visit_arg, const char *name, const char *value), void *visit_arg)
{
	(void)arg;
	visit(visit_arg, "maxclients", "100");
	visit(visit_arg, "max-channel-length", "4096");
}

/* The directive "bad" rejects every value; "journal" switches the journal on and off. */
static enum config_set_result
settings_set(void *arg, const struct slice *pairs, size_t pair_count, uint64_t *attempt,
    char *error, size_t error_len)
{
	size_t i;

	(void)arg;
	(void)attempt;
	for (i = 0; i < pair_count; i++) {
		if (slice_is(pairs[i * 2], "bad")) {
			snprintf(error, error_len, "CONFIG SET failed");
			return CONFIG_SET_REFUSED;
		}
		if (slice_is(pairs[i * 2], "journal"))
			server_journal_set(test_server, slice_is(pairs[i * 2 + 1], "on"), false);
	}
	return CONFIG_SET_DONE;
}

static bool
settings_rewrite(void *arg, char *error, size_t error_len)
{
	(void)arg;
	snprintf(error, error_len, "The server is running without a config file");
	return false;
}

static const char *
settings_file(void *arg)
{
	(void)arg;
	return "";
}

static bool
settings_acl_read(void *arg, struct buffer *out, struct buffer *error)
{
	(void)arg;
	(void)error;
	buffer_append_str(out, test_acl_text);
	return true;
}

static bool
settings_acl_write(void *arg, struct slice written, struct buffer *error)
{
	(void)arg;
	(void)error;
	snprintf(test_acl_text, sizeof(test_acl_text), "%.*s", (int)written.len, written.ptr);
	return true;
}

static const char *
settings_acl_file(void *arg)
{
	(void)arg;
	return test_acl_file;
}

void
test_setup(void)
{
	static const struct server_io io = {
	    .ready = io_ready,
	    .resume = io_resume,
	    .finish = io_finish,
	    .kill = io_kill,
	    .set_unauthenticated = io_set_unauthenticated,
	    .set_subscriber = io_set_subscriber,
	    .set_expects_output = io_set_expects_output,
	    .switch_protocol = io_switch_protocol,
	    .conn_figures = io_conn_figures,
	    .figures = io_figures,
	    .loop_figures = io_loop_figures,
	    .reset_figures = io_reset_figures,
	    .shutdown = io_shutdown,
	    .lame_duck = io_lame_duck,
	    .lame_duck_abort = io_lame_duck_abort,
	    .lame_duck_over = io_lame_duck_over,
	};
	static const struct server_settings settings = {
	    .each = settings_each,
	    .set = settings_set,
	    .rewrite = settings_rewrite,
	    .file = settings_file,
	    .acl_file = settings_acl_file,
	    .acl_read = settings_acl_read,
	    .acl_write = settings_acl_write,
	};

	test_config = (struct server_config){
	    .maxclients = 100,
	    .databases = 16,
	    .kv = {.zset_entries = 128,
		.zset_value_bytes = 64,
		.hash_entries = 128,
		.hash_value_bytes = 64,
		.set_intset_entries = 512,
		.set_entries = 128,
		.set_value_bytes = 64,
		.list_size = -2},
	    .history = {.channels = 1000000},
	    .hub = {.subscriptions = 1000000, .subscribers = 1000000, .name_bytes = 4096},
	    .outbox = {.bytes = 1 << 20, .messages = 1000, .policy = OUTBOX_DISCONNECT},
	    .outbox_block_timeout_ms = 5000,
	    .segment_bytes = 65536,
	    .slowlog_slower_than_us = -1,
	    .slowlog_max_len = 128,
	    .acllog_max_len = 128,
	    .query_buffer_bytes = 1 << 20,
	    .transaction_commands = 1000,
	    .watched_keys = 100,
	    .idempotency_keys = 100,
	    .resume_max_channels = 100,
	};
	test_shutdowns = 0;
	test_lame_duck_over = 0;
	test_abort_fails = false;
	test_acl_file = "";
	test_acl_text[0] = '\0';
	test_server = server_new(&test_config, cmd_table(), &io, &settings);
}

void
test_channel_line(const char *glob, const char *options)
{
	struct slice words[16];
	struct channel_error error;
	size_t count = 0;

	for (const char *at = options; *at != '\0'; at += strspn(at, " ")) {
		words[count++] = (struct slice){at, strcspn(at, " ")};
		at += words[count - 1].len;
	}
	ck_assert(hub_set_channel_line(test_server->hub, slice_of(glob), words, count, &error));
}

void
test_teardown(void)
{
	while (conns != NULL)
		test_close(conns);
	server_free(test_server);
	buffer_release(&text);
}

struct test_conn *
test_conn_new(void)
{
	struct test_conn *conn = xcalloc(1, sizeof(*conn));

	conn->next = conns;
	conns = conn;
	return conn;
}

struct test_conn *
test_open_from(const struct server_peer *peer)
{
	struct test_conn *conn = test_conn_new();

	conn->client = server_open(test_server, conn, peer);
	return conn;
}

const struct server_peer test_loopback = {
    .address = "127.0.0.1:5000", .local_address = "127.0.0.1:6379", .is_loopback = true};

struct test_conn *
test_open(void)
{
	return test_open_from(&test_loopback);
}

struct test_conn *
test_open_door(const struct server_peer *peer, struct door *door)
{
	struct test_conn *conn = test_conn_new();

	conn->client = server_open_door(
	    test_server, conn, peer != NULL ? peer : &test_loopback, door, peer != NULL);
	return conn;
}

void
test_close(struct test_conn *conn)
{
	struct test_conn **at = &conns;

	while (*at != conn)
		at = &(*at)->next;
	*at = conn->next;
	server_closed(conn->client, "test");
	xfree(conn->line);
	xfree(conn->args);
	xfree(conn);
}

static bool
hand_over(struct test_conn *conn)
{
	conn->resumed = 0;
	(void)clock_mono_us(); /* as net does */
	if (conn->request != NULL)
		conn->later = conn->request(conn->client, conn->args, conn->argc) != REQUEST_NEXT;
	else if (conn->row != NULL)
		conn->later = server_door_request(
				  conn->client, conn->row, conn->args, conn->argc) != REQUEST_NEXT;
	else
		conn->later = server_request(conn->client, conn->args, conn->argc) != REQUEST_NEXT;
	return !conn->later;
}

bool
test_send_args(struct test_conn *conn, const struct slice *args, size_t count)
{
	char *p;
	size_t len = 0, i;

	ck_assert(!conn->later);
	for (i = 0; i < count; i++)
		len += args[i].len;
	xfree(conn->line);
	conn->line = p = xmalloc(len + 1);
	conn->args = xrealloc(conn->args, count * sizeof(*conn->args));
	for (i = 0; i < count; i++) {
		memcpy(p, args[i].ptr, args[i].len);
		conn->args[i] = (struct slice){p, args[i].len};
		p += args[i].len;
	}
	conn->argc = count;
	return hand_over(conn);
}

bool
test_send(struct test_conn *conn, const char *line)
{
	struct slice args[TEST_ARGS_MAX];
	size_t count = 0;

	while (*line != '\0') {
		size_t len = strcspn(line, " ");

		ck_assert_uint_lt(count, TEST_ARGS_MAX);
		args[count++] = strncmp(line, "\"\"", len) == 0 && len == 2
				    ? (struct slice){line, 0}
				    : (struct slice){line, len};
		line += len;
		line += *line == ' ';
	}
	return test_send_args(conn, args, count);
}

static void
drain(struct test_conn *conn)
{
	struct outbox *outbox = server_outbox(conn->client);
	struct iovec pieces[8];
	size_t count, i, len;

	while ((count = outbox_peek(outbox, pieces, 8)) > 0) {
		for (len = 0, i = 0; i < count; len += pieces[i++].iov_len)
			buffer_append(&text, pieces[i].iov_base, pieces[i].iov_len);
		outbox_consume(outbox, len);
	}
	outbox_flushed(outbox);
}

static const char *
text_str(void)
{
	buffer_append(&text, "", 1);
	return text.ptr;
}

struct slice
test_read_all(struct test_conn *conn)
{
	buffer_clear(&text);
	drain(conn);
	return buffer_slice(&text);
}

const char *
test_read(struct test_conn *conn)
{
	(void)test_read_all(conn);
	return text_str();
}

const char *
test_call(struct test_conn *conn, const char *line)
{
	int turns = 0;

	/* On a slow machine the time of a turn may be over before the command is done. */
	if (!test_send(conn, line)) {
		do {
			ck_assert_msg(turns++ < 1000, "'%s' has to wait", line);
			test_turns(1);
		} while (conn->later);
	}
	return test_read(conn);
}

/* The connection that was resumed first, of those up to the last one of this turn. */
static struct test_conn *
first_resumed(int last)
{
	struct test_conn *conn, *first = NULL;

	for (conn = conns; conn != NULL; conn = conn->next) {
		if (conn->resumed > 0 && conn->resumed <= last &&
		    (first == NULL || conn->resumed < first->resumed))
			first = conn;
	}
	return first;
}

void
test_turn(uint64_t now_us)
{
	struct test_conn *conn;
	int last;

	server_turn(test_server, now_us, BUDGET_US);
	server_flushed(test_server);
	last = resumes;
	while ((conn = first_resumed(last)) != NULL) {
		if (conn->later)
			hand_over(conn);
		conn->resumed = conn->resumed <= last ? 0 : conn->resumed;
	}
}

void
test_turns(int count)
{
	while (count-- > 0)
		test_turn(clock_mono_us());
}

void
test_close_all(void)
{
	while (conns != NULL)
		test_close(conns);
	test_turns(100);
}

const char *
test_finish(struct test_conn *conn)
{
	int turns = 0;

	buffer_clear(&text);
	do {
		ck_assert_msg(turns++ < 100000, "the request is never done");
		test_turns(1);
		drain(conn);
	} while (conn->later);
	return text_str();
}

bool
test_next_command(const struct buffer *image, const char **at, struct slice *argv, size_t *argc)
{
	char *end;

	if (*at == image->ptr + image->len)
		return false;
	*argc = strtoul(*at + 1, &end, 10);
	ck_assert_uint_le(*argc, 16);
	for (size_t i = 0; i < *argc; i++) {
		argv[i].len = strtoul(end + 3, &end, 10);
		argv[i].ptr = end + 2;
		end += 2 + argv[i].len;
	}
	*at = end + 2;
	return true;
}

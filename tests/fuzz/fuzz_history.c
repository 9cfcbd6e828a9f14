#include "config.h"

#include "server/history_image.h"

#include <assert.h>
#include <string.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "cmd/table.h"
#include "pubsub/channel_lines.h"
#include "pubsub/history.h"
#include "pubsub/hub_history.h"
#include "pubsub/outbox.h"
#include "resp/reply.h"
#include "server/core.h"
#include "server/dispatch.h"
#include "server/server.h"

/*
 * Kept messages: the input is lines of words. The first lines, if they begin with "FANFARED.", are
 * the image of a history. If it is not taken, nothing of it is left. The other lines are requests
 * for two clients; the first byte of a line selects one. Every reply is valid RESP, and the history
 * at the end is an image that another server takes.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { WORDS_MAX = 32, CLIENTS = 2, TURNS_MAX = 50, BUDGET_US = 2000 };

static const char *const commands[] = {"channel", "history", "mpublish", "outbox", "presence",
    "psubscribe", "publish", "publishmany", "publishx", "punsubscribe", "qsubscribe",
    "qunsubscribe", "resume", "subscribe", "unsubscribe", "hello"};

struct conn {
	struct client *client;
	struct resp_reader *replies;
	bool is_over;
};

static struct server *server;
static struct conn conns[CLIENTS];

static void
io_ignore(void *conn)
{
	(void)conn;
}

static void
io_ignore_bool(void *conn, bool value)
{
	(void)conn;
	(void)value;
}

static void
io_finish(void *conn)
{
	((struct conn *)conn)->is_over = true;
}

static void
io_kill(void *conn, const char *reason)
{
	(void)reason;
	io_finish(conn);
}

static void
io_conn_figures(void *conn, struct conn_figures *figures)
{
	(void)conn;
	*figures = (struct conn_figures){0};
}

static void
io_figures(void *arg, struct net_figures *figures)
{
	(void)arg;
	*figures = (struct net_figures){0};
}

static struct server *
new_server(void)
{
	static const struct server_io io = {
	    .ready = io_ignore,
	    .resume = io_ignore,
	    .finish = io_finish,
	    .kill = io_kill,
	    .set_unauthenticated = io_ignore_bool,
	    .set_subscriber = io_ignore_bool,
	    .set_expects_output = io_ignore_bool,
	    .conn_figures = io_conn_figures,
	    .figures = io_figures,
	};
	static const struct server_settings settings = {0};
	static const struct server_config config = {
	    .maxclients = 100,
	    .databases = 1,
	    .history = {.channels = 4, .memory_bytes = 4096},
	    .presence = {.members = 10, .joins = 10, .memory_bytes = 1 << 20},
	    .hub = {.subscriptions = 100, .subscribers = 100, .name_bytes = 64},
	    .outbox = {.bytes = 4096, .messages = 20, .policy = OUTBOX_DISCONNECT},
	    .outbox_block_timeout_ms = 5000,
	    .segment_bytes = 65536,
	    .slowlog_slower_than_us = -1,
	    .query_buffer_bytes = 1 << 20,
	    .proto_max_bulk_bytes = 1 << 20,
	    .transaction_commands = 10,
	    .watched_keys = 10,
	    .idempotency_keys = 4,
	    .queue_groups = true,
	    .resume_max_channels = 4,
	};

	return server_new(&config, cmd_table(), &io, &settings);
}

static void
open_conn(struct conn *c)
{
	*c = (struct conn){.replies = resp_reader_new(1 << 20, 16)};
	c->client = server_open(server, c,
	    &(struct server_peer){.address = "127.0.0.1:5000",
		.local_address = "127.0.0.1:6379",
		.is_loopback = true});
}

static void
close_conn(struct conn *c)
{
	server_closed(c->client, "fuzz");
	resp_reader_free(c->replies);
}

static void
drain(struct conn *c)
{
	struct outbox *outbox = server_outbox(c->client);
	struct resp_value *value;
	struct iovec pieces[8];
	size_t count, total;
	int got;

	while ((count = outbox_peek(outbox, pieces, 8)) > 0) {
		total = 0;
		for (size_t i = 0; i < count; i++) {
			resp_reader_feed(c->replies, pieces[i].iov_base, pieces[i].iov_len);
			while ((got = resp_reader_next(c->replies, &value)) > 0)
				resp_value_free(value);
			assert(got == 0);
			total += pieces[i].iov_len;
		}
		outbox_consume(outbox, total);
	}
	outbox_flushed(outbox);
}

static void
turn(bool drains)
{
	(void)server_turn(server, clock_mono_us(), BUDGET_US);
	server_flushed(server);
	for (size_t i = 0; i < CLIENTS; i++) {
		if (drains)
			drain(&conns[i]);
		if (conns[i].is_over) {
			close_conn(&conns[i]);
			open_conn(&conns[i]);
		}
	}
}

static bool
is_tried(struct slice name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (slice_is_nocase(name, commands[i]))
			return true;
	return false;
}

/* A request that waits too long is given up: its client leaves. */
static void
request(struct conn *c, const struct slice *argv, size_t argc)
{
	bool drains = argc % 2 == 0; /* some subscribers are slow */

	if (!is_tried(argv[0]))
		return;
	for (int i = 0; i < TURNS_MAX; i++) {
		bool is_done = server_request(c->client, argv, argc) == REQUEST_NEXT;

		c->is_over = c->is_over || (!is_done && i == TURNS_MAX - 1);
		if (is_done || c->is_over)
			break;
		turn(drains);
	}
	turn(drains);
}

static size_t
split(struct slice line, struct slice *argv)
{
	size_t count = 0;

	while (line.len > 0 && count < WORDS_MAX) {
		const char *end = memchr(line.ptr, ' ', line.len);
		size_t len = end != NULL ? (size_t)(end - line.ptr) : line.len;
		size_t used = end != NULL ? len + 1 : len;

		argv[count++] = (struct slice){line.ptr, len};
		line = (struct slice){line.ptr + used, line.len - used};
	}
	return count;
}

static struct slice
next_line(struct slice *text)
{
	const char *end = memchr(text->ptr, '\n', text->len);
	size_t len = end != NULL ? (size_t)(end - text->ptr) : text->len;
	size_t used = end != NULL ? len + 1 : len;
	struct slice line = {text->ptr, len};

	*text = (struct slice){text->ptr + used, text->len - used};
	return line;
}

static bool
is_image(struct slice text)
{
	return text.len >= 9 && memcmp(text.ptr, "FANFARED.", 9) == 0;
}

static void
read_image(struct slice *text)
{
	struct history_image_reader *r = history_image_begin(server);
	struct history *history = hub_history(server->hub);
	struct slice argv[WORDS_MAX];
	char error[256] = "";
	bool ok = true;

	while (is_image(*text)) {
		size_t argc = split(next_line(text), argv);

		ok = ok && history_image_read(r, argv, argc, error, sizeof(error));
		assert(ok == (error[0] == '\0'));
	}
	if (history_image_end(r)) {
		assert(ok);
	} else {
		assert(history_position(history).seq == 0 && history_position(history).epoch > 0);
		assert(history_figures(history).rings == 0);
	}
}

static bool
copy_commands(void *arg, struct slice run)
{
	struct history_image_reader *r = arg;
	struct resp_reader *commands_of_run = resp_reader_new((size_t)1 << 24, 2);
	struct slice argv[WORDS_MAX];
	struct resp_value *command;
	char error[256];
	int got;

	resp_reader_feed(commands_of_run, run.ptr, run.len);
	while ((got = resp_reader_next(commands_of_run, &command)) > 0) {
		assert(command->count > 0 && command->count <= WORDS_MAX);
		for (size_t i = 0; i < command->count; i++)
			argv[i] = command->items[i].text;
		assert(history_image_read(r, argv, command->count, error, sizeof(error)));
		resp_value_free(command);
	}
	assert(got == 0);
	resp_reader_free(commands_of_run);
	return true;
}

/* A server with the same options goes on with the same position. Messages may have expired. */
static void
check_image(void)
{
	const struct history *history = hub_history(server->hub), *copied;
	struct server *copy = new_server();
	struct history_image_reader *r;

	server_set_channel_lines(copy, channel_lines_copy(server_channel_lines(server)));
	copied = hub_history(copy->hub);
	r = history_image_begin(copy);
	assert(server_history_write(server, copy_commands, r));
	assert(history_image_end(r));
	assert(position_compare(history_position(copied), history_position(history)) == 0);
	assert(history_figures(copied).messages <= history_figures(history).messages);
	assert(history_figures(copied).rings <= history_figures(history).rings);
	server_free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice text = {(const char *)data, len}, argv[WORDS_MAX];

	if (len > 8192)
		return 0;
	server = new_server();
	if (is_image(text))
		read_image(&text);
	for (size_t i = 0; i < CLIENTS; i++)
		open_conn(&conns[i]);
	while (text.len > 0) {
		struct slice line = next_line(&text);
		size_t argc =
		    line.len < 2 ? 0 : split((struct slice){line.ptr + 1, line.len - 1}, argv);

		if (argc > 0)
			request(&conns[(unsigned char)line.ptr[0] % CLIENTS], argv, argc);
	}
	check_image();
	for (size_t i = 0; i < CLIENTS; i++)
		close_conn(&conns[i]);
	server_free(server);
	return 0;
}

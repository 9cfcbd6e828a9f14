#include "config.h"

#include "cli/ask.h"

#include "cli/connection.h"
#include "cli/loop.h"
#include "resp/reply.h"

struct asking {
	struct cli *cli;
	struct connection *connection;
	const struct slice *args;
	size_t count;
	void (*print)(struct cli *cli, const struct resp_value *value);
};

void
ask_warn_error(struct slice error)
{
	struct buffer text = {0};

	buffer_append_escaped(&text, error);
	cli_warn("%.*s", (int)text.len, text.ptr);
	buffer_release(&text);
}

static void
on_ready(void *arg)
{
	struct asking *a = arg;

	connection_send(a->connection, a->args, a->count);
}

/* In RESP3 the replies to (P|S)SUBSCRIBE and (P|S)UNSUBSCRIBE are pushes; others may precede one.
 */
static bool
is_answered_by_push(struct slice name)
{
	struct slice end = {name.ptr + name.len - 9, 9};

	return name.len >= 9 && slice_is_nocase(end, "subscribe");
}

static void
on_reply(const struct resp_value *value, void *arg)
{
	struct asking *a = arg;

	if (value->type == RESP_TYPE_PUSH && !is_answered_by_push(a->args[0]))
		return;
	connection_close(a->connection);
	if (value->type == RESP_TYPE_ERROR) {
		ask_warn_error(value->text);
		loop_stop(a->cli->loop, CLI_ERROR_REPLY);
		return;
	}
	a->print(a->cli, value);
	if (cli_flush(a->cli))
		loop_stop(a->cli->loop, CLI_OK);
}

static void
on_closed(enum connection_end end, const char *text, void *arg)
{
	struct asking *a = arg;

	/* A successful SHUTDOWN has no reply. */
	if (end == CONNECTION_LOST && slice_is_nocase(a->args[0], "shutdown")) {
		loop_stop(a->cli->loop, CLI_OK);
		return;
	}
	cli_warn("%s", text);
	loop_stop(a->cli->loop, connection_end_status(end));
}

enum cli_status
ask(struct cli *cli, int proto, const struct slice *args, size_t count,
    void (*print)(struct cli *cli, const struct resp_value *value))
{
	static const struct connection_events events = {
	    .ready = on_ready, .reply = on_reply, .closed = on_closed};
	struct asking a = {.cli = cli, .args = args, .count = count, .print = print};
	int status;

	a.connection = connection_new(cli, proto, &events, &a);
	connection_open(a.connection);
	status = loop_run(cli->loop, cli->timeout_us);
	connection_free(a.connection);
	return (enum cli_status)status;
}

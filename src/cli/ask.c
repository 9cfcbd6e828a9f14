#include "config.h"

#include "cli/ask.h"

#include "cli/connection.h"
#include "cli/loop.h"
#include "resp/reply.h"

struct asking {
	struct cli *cli;
	struct connection *connection;
	struct ask_command (*next)(struct cli *cli, void *arg, const struct resp_value *reply);
	void *arg;
	struct ask_command command;
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
stop(struct asking *a, int status)
{
	connection_close(a->connection);
	loop_stop(a->cli->loop, status);
}

static void
send_next(struct asking *a, const struct resp_value *reply)
{
	a->command = a->next(a->cli, a->arg, reply);
	if (a->command.count > 0)
		connection_send(a->connection, a->command.args, a->command.count);
	else if (cli_flush(a->cli))
		stop(a, CLI_OK);
	else
		connection_close(a->connection);
}

static void
on_ready(void *arg)
{
	send_next(arg, NULL);
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

	if (value->type == RESP_TYPE_PUSH && !is_answered_by_push(a->command.args[0]))
		return;
	if (value->type != RESP_TYPE_ERROR) {
		send_next(a, value);
		return;
	}
	connection_close(a->connection);
	ask_warn_error(value->text);
	if (cli_flush(a->cli))
		loop_stop(a->cli->loop, CLI_ERROR_REPLY);
}

/* All that has arrived was printed. */
static void
on_pause(void *arg)
{
	struct asking *a = arg;

	if (!cli_flush_some(a->cli))
		connection_close(a->connection);
}

static void
on_closed(enum connection_end end, const char *text, void *arg)
{
	struct asking *a = arg;

	/* A successful SHUTDOWN has no reply. */
	if (end == CONNECTION_LOST && slice_is_nocase(a->command.args[0], "shutdown")) {
		loop_stop(a->cli->loop, CLI_OK);
		return;
	}
	cli_warn("%s", text);
	loop_stop(a->cli->loop, connection_end_status(end));
}

enum cli_status
ask_pages(struct cli *cli, int proto,
    struct ask_command (*next)(struct cli *cli, void *arg, const struct resp_value *reply),
    void *arg)
{
	static const struct connection_events events = {
	    .ready = on_ready, .reply = on_reply, .pause = on_pause, .closed = on_closed};
	static const struct slice none[] = {{"", 0}};
	struct asking a = {.cli = cli, .next = next, .arg = arg, .command = {none, 0}};
	int status;

	a.connection = connection_new(cli, proto, &events, &a);
	connection_open(a.connection);
	status = loop_run(cli->loop, cli->timeout_us);
	connection_free(a.connection);
	return (enum cli_status)status;
}

struct single {
	struct ask_command command;
	void (*print)(struct cli *cli, const struct resp_value *value);
};

static struct ask_command
next_of_single(struct cli *cli, void *arg, const struct resp_value *reply)
{
	const struct single *single = arg;

	if (reply == NULL)
		return single->command;
	single->print(cli, reply);
	return (struct ask_command){0};
}

enum cli_status
ask(struct cli *cli, int proto, const struct slice *args, size_t count,
    void (*print)(struct cli *cli, const struct resp_value *value))
{
	struct single single = {{args, count}, print};

	return ask_pages(cli, proto, next_of_single, &single);
}

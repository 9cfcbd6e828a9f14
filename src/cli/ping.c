#include "config.h"

#include "cli/cli.h"

#include <event2/event.h>
#include <inttypes.h>

#include "base/clock.h"
#include "cli/ask.h"
#include "cli/connection.h"
#include "cli/loop.h"
#include "cli/options.h"
#include "cli/target.h"
#include "resp/reply.h"

struct ping_options {
	uint64_t count; /* 0: until interrupted */
	uint64_t interval_us;
};

struct pinging {
	struct cli *cli;
	const struct ping_options *options;
	struct connection *connection;
	struct event *next;
	struct buffer target;
	uint64_t sent_us;
	uint64_t sent;
	uint64_t answered;
	uint64_t min_us;
	uint64_t max_us;
	uint64_t sum_us;
};

static void
finish(struct pinging *p, int status)
{
	if (p->options->count != 1 && p->answered > 0) {
		buffer_appendf(&p->cli->out,
		    "%" PRIu64 " sent, %" PRIu64 " answered, min/mean/max %.3f/%.3f/%.3f ms\n",
		    p->sent, p->answered, (double)p->min_us / 1e3,
		    (double)p->sum_us / 1e3 / (double)p->answered, (double)p->max_us / 1e3);
		if (!cli_flush(p->cli))
			return;
	}
	loop_stop(p->cli->loop, status);
}

static void
on_cut(void *arg)
{
	finish(arg, CLI_OK); /* the loop already has its status */
}

static void
send_ping(struct pinging *p)
{
	static const struct slice args[] = {{"PING", 4}};

	p->sent++;
	p->sent_us = clock_mono_us();
	connection_send(p->connection, args, 1);
}

static void
on_ready(void *arg)
{
	send_ping(arg);
}

static void
on_next(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	send_ping(arg);
}

static void
on_reply(const struct resp_value *value, void *arg)
{
	struct pinging *p = arg;
	uint64_t took_us = clock_mono_us() - p->sent_us;
	struct timeval wait;

	if (value->type == RESP_TYPE_ERROR) {
		ask_warn_error(value->text);
		connection_close(p->connection);
		finish(p, CLI_ERROR_REPLY);
		return;
	}
	if (p->answered++ == 0 || took_us < p->min_us)
		p->min_us = took_us;
	if (took_us > p->max_us)
		p->max_us = took_us;
	p->sum_us += took_us;
	buffer_appendf(&p->cli->out, "PONG from %.*s: seq=%" PRIu64 " time=%.3f ms\n",
	    (int)p->target.len, p->target.ptr, p->answered, (double)took_us / 1e3);
	if (!cli_flush(p->cli))
		return;
	if (p->answered == p->options->count) {
		connection_close(p->connection);
		finish(p, CLI_OK);
		return;
	}
	/* The interval is from PING to PING, but only one is outstanding. */
	wait =
	    loop_timeval(took_us < p->options->interval_us ? p->options->interval_us - took_us : 0);
	evtimer_add(p->next, &wait);
}

static void
on_closed(enum connection_end end, const char *text, void *arg)
{
	struct pinging *p = arg;

	evtimer_del(p->next);
	cli_warn("%s", text);
	finish(p, connection_end_status(end));
}

static enum cli_status
run(struct cli *cli)
{
	static const struct connection_events events = {
	    .ready = on_ready, .reply = on_reply, .closed = on_closed};
	struct pinging p = {.cli = cli, .options = cli->options};
	int status;

	target_describe(cli->target, &p.target);
	p.next = evtimer_new(loop_base(cli->loop), on_next, &p);
	p.connection = connection_new(cli, 2, &events, &p);
	loop_on_cut(cli->loop, on_cut, &p);
	connection_open(p.connection);
	status = loop_run(cli->loop, cli->timeout_us);
	connection_free(p.connection);
	event_free(p.next);
	buffer_release(&p.target);
	return (enum cli_status)status;
}

#define AT(field) .offset = offsetof(struct ping_options, field)

static const struct option_row rows[] = {
    {"count", 'n', OPTION_NUMBER, "N", AT(count), .max = UINT32_MAX,
	.text = "number of pings; 0: until interrupted (1)"},
    {"interval", 'i', OPTION_SECONDS, "S", AT(interval_us), .max = 86400,
	.text = "seconds between two pings (1)"},
    {0},
};

static const struct ping_options defaults = {.count = 1, .interval_us = 1000000};

const struct cli_command ping_command = {
    .name = "ping",
    .operands = "",
    .summary = "measure the time until the reply",
    .options = rows,
    .defaults = &defaults,
    .options_bytes = sizeof(struct ping_options),
    .run = run,
};

#include "config.h"

#include "cli/cli.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/ask.h"
#include "cli/connection.h"
#include "cli/lines.h"
#include "cli/loop.h"
#include "cli/options.h"
#include "resp/reply.h"

/* Enough messages in flight to hide the round trip; few enough to stop soon after an error. */
#define WINDOW_MESSAGES 1024
#define WINDOW_BYTES ((size_t)1024 * 1024)
#define LINE_MAX_BYTES ((size_t)512 * 1024 * 1024) /* Redis's largest value */
#define READ_BYTES ((size_t)64 * 1024)

struct pub_options {
	bool shard;
	bool quiet;
	uint64_t repeat; /* 0: not given */
	double rate;     /* messages per second; 0: as fast as possible */
};

struct publisher {
	struct cli *cli;
	const struct pub_options *options;
	struct connection *connection;
	struct event *readable; /* stdin */
	struct event *due;
	struct lines lines;
	bool from_stdin;
	bool ready;
	bool exhausted; /* nothing more will be sent */
	int status;
	uint64_t started_us;
	uint64_t sent;
	uint64_t answered;
	uint64_t failed;
	uint64_t receivers;
};

static uint64_t
count_planned(const struct publisher *p)
{
	return p->options->repeat == 0 ? 1 : p->options->repeat;
}

static bool
is_single(const struct publisher *p)
{
	return !p->from_stdin && count_planned(p) == 1;
}

static void
summarize(const struct publisher *p)
{
	double seconds = (double)(clock_mono_us() - p->started_us) / 1e6;
	struct buffer text = {0};

	if (!p->ready || is_single(p) || p->options->quiet)
		return;
	buffer_appendf(&text, "%" PRIu64 " messages, %" PRIu64 " receivers, %.2f s, %.0f a second",
	    p->answered - p->failed, p->receivers, seconds,
	    seconds > 0 ? (double)p->answered / seconds : 0.0);
	if (p->failed > 0)
		buffer_appendf(&text, "; %" PRIu64 " were refused", p->failed);
	if (p->sent > p->answered)
		buffer_appendf(&text, "; %" PRIu64 " were not confirmed", p->sent - p->answered);
	fprintf(stderr, "%.*s\n", (int)text.len, text.ptr);
	buffer_release(&text);
}

static void
finish(struct publisher *p)
{
	connection_close(p->connection);
	event_del(p->readable);
	evtimer_del(p->due);
	summarize(p);
	if (is_single(p) && p->status == CLI_OK && !p->options->quiet)
		buffer_appendf(&p->cli->out, "%" PRIu64 "\n", p->receivers);
	if (cli_flush(p->cli))
		loop_stop(p->cli->loop, p->status);
}

static void
give_up(struct publisher *p, int status)
{
	p->exhausted = true;
	if (p->status == CLI_OK)
		p->status = status;
}

/* LINES_MORE: the next line is incomplete. */
static enum lines_status
next_message(struct publisher *p, struct slice *message)
{
	enum lines_status status;

	if (!p->from_stdin) {
		*message = slice_of(p->cli->operands[1]);
		return p->sent < count_planned(p) ? LINES_LINE : LINES_END;
	}
	status = lines_next(&p->lines, message);
	if (status == LINES_LONG)
		cli_warn("a line of stdin is longer than %zu bytes", LINE_MAX_BYTES);
	return status;
}

/*
 * Open loop: the rate alone determines when each message is due, so delayed messages are sent at
 * once. Returns the time until the next message is due.
 */
static uint64_t
wait_us(const struct publisher *p)
{
	uint64_t passed_us;
	double due_us;

	if (p->options->rate == 0)
		return 0;
	passed_us = clock_mono_us() - p->started_us;
	due_us = (double)p->sent * 1e6 / p->options->rate;
	return due_us > (double)passed_us ? (uint64_t)(due_us - (double)passed_us) + 1 : 0;
}

/*
 * The window grows with the replies: a server that refuses the first message gets no others, so it
 * does not close the connection before the error reply arrives.
 */
static bool
has_window(const struct publisher *p)
{
	uint64_t in_flight = p->sent - p->answered;

	return in_flight < WINDOW_MESSAGES && in_flight <= p->answered &&
	       connection_unsent_bytes(p->connection) < WINDOW_BYTES;
}

/* Sends the messages that are due, and schedules the next call. */
static void
pump(struct publisher *p)
{
	struct slice args[3] = {p->options->shard ? SLICE("SPUBLISH") : SLICE("PUBLISH"),
	    slice_of(p->cli->operands[0])};

	while (!p->exhausted && has_window(p)) {
		uint64_t wait = wait_us(p);
		enum lines_status status;

		if (wait > 0) {
			struct timeval delay = loop_timeval(wait);

			evtimer_add(p->due, &delay);
			break;
		}
		status = next_message(p, &args[2]);
		if (status == LINES_MORE) {
			event_add(p->readable, NULL);
			break;
		}
		if (status != LINES_LINE) {
			give_up(p, status == LINES_LONG ? CLI_FAILED : CLI_OK);
			break;
		}
		connection_send(p->connection, args, 3);
		p->sent++;
	}
	if (p->exhausted && p->answered == p->sent)
		finish(p);
}

static void
on_ready(void *arg)
{
	struct publisher *p = arg;

	p->ready = true;
	p->started_us = clock_mono_us();
	pump(p);
}

static void
on_reply(const struct resp_value *value, void *arg)
{
	struct publisher *p = arg;

	p->answered++;
	if (value->type == RESP_TYPE_INT && value->number >= 0) {
		p->receivers += (uint64_t)value->number;
		return;
	}
	if (p->failed++ == 0 && value->type == RESP_TYPE_ERROR)
		ask_warn_error(value->text);
	else if (p->failed == 1)
		cli_warn("the server's reply is not a number of receivers");
	give_up(p, CLI_ERROR_REPLY);
}

/* An unsolicited reply (of a server at maxclients) counts for the first message. */
static void
on_pause(void *arg)
{
	struct publisher *p = arg;

	if (p->answered > p->sent)
		p->sent = p->answered;
	pump(p);
}

static void
on_drained(void *arg)
{
	pump(arg);
}

static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pump(arg);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct publisher *p = arg;
	ssize_t n = read(fd, lines_room(&p->lines, READ_BYTES), READ_BYTES);

	(void)what;
	if (n > 0) {
		lines_fed(&p->lines, (size_t)n);
	} else if (n == 0) {
		lines_end(&p->lines);
	} else if (errno != EINTR && errno != EAGAIN) {
		cli_warn("cannot read stdin: %s", strerror(errno));
		give_up(p, CLI_FAILED);
	}
	pump(p);
}

static void
on_closed(enum connection_end end, const char *text, void *arg)
{
	struct publisher *p = arg;

	cli_warn("%s", text);
	p->status = p->status == CLI_OK ? connection_end_status(end) : p->status;
	finish(p);
}

static void
on_cut(void *arg)
{
	summarize(arg);
}

static enum cli_status
publish(struct publisher *p)
{
	static const struct connection_events events = {.ready = on_ready,
	    .reply = on_reply,
	    .pause = on_pause,
	    .drained = on_drained,
	    .closed = on_closed};
	struct cli *cli = p->cli;
	struct event_base *base = loop_base(cli->loop);
	int status;

	lines_init(&p->lines, LINE_MAX_BYTES);
	p->readable = event_new(base, STDIN_FILENO, EV_READ, on_readable, p);
	p->due = evtimer_new(base, on_due, p);
	p->connection = connection_new(cli, 2, &events, p);
	loop_on_cut(cli->loop, on_cut, p);
	connection_open(p->connection);
	status = loop_run(cli->loop, cli->timeout_us);
	connection_free(p->connection);
	event_free(p->readable);
	event_free(p->due);
	lines_release(&p->lines);
	return (enum cli_status)status;
}

static enum cli_status
run(struct cli *cli)
{
	struct publisher p = {.cli = cli, .options = cli->options};

	p.from_stdin = cli->operand_count == 1 || strcmp(cli->operands[1], "-") == 0;
	if (cli->operand_count == 1 && isatty(STDIN_FILENO)) {
		cli_warn("MESSAGE is missing (- publishes each line that you type)");
		return CLI_USAGE;
	}
	if (p.from_stdin && p.options->repeat != 0) {
		cli_warn("--repeat needs a MESSAGE on the command line");
		return CLI_USAGE;
	}
	return publish(&p);
}

#define AT(field) .offset = offsetof(struct pub_options, field)

static const struct option_row rows[] = {
    {"repeat", 'r', OPTION_NUMBER, "N", AT(repeat), .min = 1, .max = INT64_MAX,
	.text = "publish MESSAGE N times"},
    {"rate", 0, OPTION_REAL, "R", AT(rate), .max = 10000000,
	.text = "R messages per second, at even intervals"},
    {"shard", 0, OPTION_FLAG, AT(shard), .text = "to a shard channel (SPUBLISH)"},
    {"quiet", 'q', OPTION_FLAG, AT(quiet), .text = "print neither receivers nor summary"},
    {0},
};

const struct cli_command pub_command = {
    .name = "pub",
    .operands = "CHANNEL [MESSAGE|-]",
    .summary = "publish a message, or each line of stdin",
    .options = rows,
    .options_bytes = sizeof(struct pub_options),
    .min_operands = 1,
    .max_operands = 2,
    .run = run,
};

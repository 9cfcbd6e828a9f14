#include "config.h"

#include "cli/cli.h"

#include <event2/event.h>
#include <event2/util.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "cli/ask.h"
#include "cli/connection.h"
#include "cli/loop.h"
#include "cli/options.h"
#include "resp/reply.h"
#include "json/writer.h"

/* After this much silence a PING is sent; after as much again the connection counts as lost. */
#define SILENCE_US 15000000

struct sub_options {
	bool pattern;
	bool shard;
	bool json;
	bool verbose;
	uint64_t count; /* 0: unlimited */
};

struct subscriber {
	struct cli *cli;
	const struct sub_options *options;
	struct connection *connection;
	struct event *retry;
	struct event *silence;
	struct slice *request;    /* the command and its channels */
	struct buffer last_words; /* the last error reply before a close */
	uint64_t received;
	uint64_t lost_us; /* when the subscription was lost; 0: it is active */
	size_t confirmed; /* channels, on this connection */
	unsigned attempt;
	bool was_subscribed; /* on some connection */
	bool notify_answered;
	bool heard; /* data arrived since the last check */
	bool asked;
};

static void
stop(struct subscriber *s, int status)
{
	connection_close(s->connection);
	evtimer_del(s->retry);
	evtimer_del(s->silence);
	if (cli_flush(s->cli))
		loop_stop(s->cli->loop, status);
}

static void
retry_later(struct subscriber *s, const char *text)
{
	uint64_t random;
	uint64_t delay_us;
	struct timeval delay;

	evutil_secure_rng_get_bytes(&random, sizeof(random));
	delay_us = backoff_delay_us(s->attempt++, random);
	delay = loop_timeval(delay_us);
	cli_warn("%s; trying again in %.1f s", text, (double)delay_us / 1e6);
	if (s->lost_us == 0)
		s->lost_us = clock_mono_us();
	evtimer_del(s->silence);
	evtimer_add(s->retry, &delay);
}

/* A retry is useful after "LOADING" or "max number of clients reached", not a wrong password. */
static bool
is_final(const char *error)
{
	return strncmp(error, "NOAUTH", 6) == 0 || strncmp(error, "WRONGPASS", 9) == 0 ||
	       strncmp(error, "NOPERM", 6) == 0;
}

static void
take_denial(struct subscriber *s, const char *error)
{
	connection_close(s->connection);
	if (s->was_subscribed && !is_final(error)) {
		retry_later(s, error);
		return;
	}
	cli_warn("%s", error);
	stop(s, CLI_ERROR_REPLY);
}

static void
on_ready(void *arg)
{
	/* Redis and older servers refuse this command; then missed messages are not reported. */
	static const struct slice notify[] = {{"OUTBOX", 6}, {"SET", 3}, {"NOTIFY", 6}, {"yes", 3}};
	struct subscriber *s = arg;
	struct timeval silence = loop_timeval(SILENCE_US);

	s->confirmed = 0;
	s->notify_answered = false;
	s->heard = true;
	s->asked = false;
	buffer_clear(&s->last_words);
	connection_send(s->connection, notify, 4);
	connection_send(s->connection, s->request, s->cli->operand_count + 1);
	evtimer_add(s->silence, &silence);
}

static void
take_confirmation(struct subscriber *s)
{
	if (++s->confirmed != s->cli->operand_count)
		return;
	if (s->lost_us != 0)
		cli_warn("subscribed again after %.1f s: messages in between were missed",
		    (double)(clock_mono_us() - s->lost_us) / 1e6);
	else if (s->options->verbose)
		cli_warn("subscribed");
	s->was_subscribed = true;
	s->lost_us = 0;
	s->attempt = 0;
}

static void
put_json_message(
    struct buffer *out, const struct slice *pattern, struct slice channel, struct slice payload)
{
	uint64_t now_us = clock_wall_us();

	buffer_append_str(out, "{");
	json_put_member(out, "channel", channel);
	buffer_append_str(out, ",");
	if (pattern != NULL)
		json_put_member(out, "pattern", *pattern);
	else
		buffer_append_str(out, "\"pattern\":null");
	buffer_append_str(out, ",");
	json_put_member(out, "payload", payload);
	buffer_appendf(
	    out, ",\"time\":%" PRIu64 ".%06" PRIu64 "}\n", now_us / 1000000, now_us % 1000000);
}

static void
take_message(
    struct subscriber *s, const struct slice *pattern, struct slice channel, struct slice payload)
{
	struct buffer *out = &s->cli->out;

	if (s->options->json) {
		put_json_message(out, pattern, channel, payload);
	} else {
		if (s->options->pattern || s->cli->operand_count > 1) {
			buffer_append_slice(out, channel);
			buffer_append(out, "\t", 1);
		}
		buffer_append_slice(out, payload);
		buffer_append(out, "\n", 1);
	}
	if (++s->received == s->options->count)
		stop(s, CLI_OK);
	else if (!cli_flush_some(s->cli))
		connection_close(s->connection);
}

static void
take_lagged(struct subscriber *s, int64_t count)
{
	cli_warn("%" PRId64
		 " messages were missed: the server dropped them because this client was too slow",
	    count);
	if (s->options->json)
		buffer_appendf(&s->cli->out, "{\"lagged\":%" PRId64 "}\n", count);
}

/* Any other value (a pong, another confirmation) only shows that the server is alive. */
static void
take_push(struct subscriber *s, const struct resp_value *items, size_t count)
{
	struct slice kind = items[0].text;

	if (count == 3 && (slice_is(kind, "message") || slice_is(kind, "smessage")))
		take_message(s, NULL, items[1].text, items[2].text);
	else if (count == 4 && slice_is(kind, "pmessage"))
		take_message(s, &items[1].text, items[2].text, items[3].text);
	else if (count == 3 && (slice_is(kind, "subscribe") || slice_is(kind, "psubscribe") ||
				   slice_is(kind, "ssubscribe")))
		take_confirmation(s);
	else if (count == 2 && slice_is(kind, "lagged") && items[1].type == RESP_TYPE_INT)
		take_lagged(s, items[1].number);
}

static void
on_reply(const struct resp_value *value, void *arg)
{
	struct subscriber *s = arg;
	bool to_notify = !s->notify_answered;

	s->heard = true;
	s->asked = false;
	s->notify_answered = true;
	if (value->type == RESP_TYPE_ERROR) {
		buffer_clear(&s->last_words);
		buffer_append_escaped(&s->last_words, value->text);
		buffer_append(&s->last_words, "", 1);
		if (!to_notify)
			take_denial(s, s->last_words.ptr);
	} else if ((value->type == RESP_TYPE_ARRAY || value->type == RESP_TYPE_PUSH) &&
		   value->count > 0) {
		take_push(s, value->items, value->count);
	}
}

static void
on_pause(void *arg)
{
	struct subscriber *s = arg;

	if (!cli_flush(s->cli))
		connection_close(s->connection);
}

static void
on_closed(enum connection_end end, const char *text, void *arg)
{
	struct subscriber *s = arg;
	struct buffer reason = {0};

	if (end == CONNECTION_DENIED) {
		take_denial(s, text);
		return;
	}
	buffer_append_str(&reason, text);
	/* A server at maxclients sends an error before it closes. */
	if (end == CONNECTION_LOST && s->confirmed == 0 && s->last_words.len > 0 &&
	    strncmp(s->last_words.ptr, "ERR unknown command", 19) != 0)
		buffer_appendf(&reason, ": %s", s->last_words.ptr);
	buffer_append(&reason, "", 1);
	if (s->was_subscribed && end != CONNECTION_GARBLED) {
		retry_later(s, reason.ptr);
	} else {
		cli_warn("%s", reason.ptr);
		stop(s, connection_end_status(end));
	}
	buffer_release(&reason);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct subscriber *s = arg;

	(void)fd;
	(void)what;
	s->confirmed = 0;
	connection_open(s->connection);
}

/* TCP alone would not detect for hours that the peer has vanished. */
static void
on_silence(evutil_socket_t fd, short what, void *arg)
{
	static const struct slice ping[] = {{"PING", 4}};
	struct subscriber *s = arg;

	(void)fd;
	(void)what;
	if (!s->heard && s->asked) {
		connection_close(s->connection);
		on_closed(CONNECTION_LOST, "the server does not respond", s);
		return;
	}
	if (!s->heard) {
		connection_send(s->connection, ping, 1);
		s->asked = true;
	}
	s->heard = false;
	evtimer_add(s->silence, &(struct timeval){.tv_sec = SILENCE_US / 1000000});
}

static void
on_cut(void *arg)
{
	struct subscriber *s = arg;

	(void)cli_flush(s->cli);
}

static void
make_request(struct subscriber *s)
{
	const struct cli *cli = s->cli;

	s->request = xcalloc(cli->operand_count + 1, sizeof(*s->request));
	s->request[0] = s->options->pattern ? SLICE("PSUBSCRIBE")
			: s->options->shard ? SLICE("SSUBSCRIBE")
					    : SLICE("SUBSCRIBE");
	for (size_t i = 0; i < cli->operand_count; i++)
		s->request[i + 1] = slice_of(cli->operands[i]);
}

static enum cli_status
run(struct cli *cli)
{
	static const struct connection_events events = {
	    .ready = on_ready, .reply = on_reply, .pause = on_pause, .closed = on_closed};
	struct subscriber s = {.cli = cli, .options = cli->options};
	int status;

	if (s.options->pattern && s.options->shard) {
		cli_warn(
		    "--pattern and --shard exclude each other: shard channels have no patterns");
		return CLI_USAGE;
	}
	make_request(&s);
	s.retry = evtimer_new(loop_base(cli->loop), on_retry, &s);
	s.silence = evtimer_new(loop_base(cli->loop), on_silence, &s);
	s.connection = connection_new(cli, 2, &events, &s);
	loop_on_cut(cli->loop, on_cut, &s);
	connection_open(s.connection);
	status = loop_run(cli->loop, cli->timeout_us);
	connection_free(s.connection);
	event_free(s.retry);
	event_free(s.silence);
	buffer_release(&s.last_words);
	xfree(s.request);
	return (enum cli_status)status;
}

#define AT(field) .offset = offsetof(struct sub_options, field)

static const struct option_row rows[] = {
    {"pattern", 0, OPTION_FLAG, AT(pattern), .text = "the channels are patterns (PSUBSCRIBE)"},
    {"shard", 0, OPTION_FLAG, AT(shard), .text = "the channels are shard channels (SSUBSCRIBE)"},
    {"json", 0, OPTION_FLAG, AT(json), .text = "print each message as one line of JSON"},
    {"count", 'n', OPTION_NUMBER, "N", AT(count), .min = 1, .max = INT64_MAX,
	.text = "exit after N messages"},
    {"verbose", 'v', OPTION_FLAG, AT(verbose),
	.text = "report on stderr when the subscription is confirmed"},
    {0},
};

const struct cli_command sub_command = {
    .name = "sub",
    .operands = "CHANNEL...",
    .summary = "print the messages of channels as they arrive",
    .options = rows,
    .options_bytes = sizeof(struct sub_options),
    .min_operands = 1,
    .max_operands = SIZE_MAX,
    .run = run,
};

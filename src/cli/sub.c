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
#include "cli/positions.h"
#include "resp/reply.h"
#include "json/writer.h"

/* After this much silence a PING is sent; after as much again the connection counts as lost. */
#define SILENCE_US 15000000

struct sub_options {
	bool pattern;
	bool shard;
	bool json;
	bool verbose;
	const char *resume; /* a file of positions, or NULL */
	uint64_t count;     /* 0: unlimited */
};

/* What the next error or array on the connection is. Confirmations and messages follow SUBSCRIBE.
 */
enum sub_stage {
	SUB_CHOOSING, /* the reply to OUTBOX SET */
	SUB_RESUMING, /* the verdicts of RESUME or PRESUME */
	SUB_SUBSCRIBED,
};

struct subscriber {
	struct cli *cli;
	const struct sub_options *options;
	struct connection *connection;
	struct event *retry;
	struct event *silence;
	struct positions *positions; /* with --resume; otherwise NULL */
	struct slice *request;       /* the command and its channels */
	size_t *resumed; /* the channels of the RESUME or PRESUME that is not answered yet */
	size_t resumed_count;
	size_t lost;              /* channels of which messages were lost, on this connection */
	struct buffer last_words; /* the last error reply before a close */
	uint64_t received;
	uint64_t lost_us; /* when the subscription was lost; 0: it is active */
	size_t confirmed; /* channels, on this connection */
	unsigned attempt;
	bool was_subscribed; /* on some connection */
	enum sub_stage stage;
	bool heard; /* data arrived since the last check */
	bool asked;
};

/* Prints what is due, and only then saves the positions. False if the loop was stopped. */
static bool
flush(struct subscriber *s)
{
	struct buffer error = {0};
	bool ok;

	if (!cli_flush(s->cli))
		return false;
	if (s->positions == NULL)
		return true;
	ok = positions_save(s->positions, &error);
	if (!ok) {
		cli_warn("%.*s", (int)error.len, error.ptr);
		loop_stop(s->cli->loop, CLI_FAILED);
	}
	buffer_release(&error);
	return ok;
}

static void
stop(struct subscriber *s, int status)
{
	connection_close(s->connection);
	evtimer_del(s->retry);
	evtimer_del(s->silence);
	if (flush(s))
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
	static const struct slice choices[] = {
	    {"OUTBOX", 6}, {"SET", 3}, {"NOTIFY", 6}, {"yes", 3}, {"POSITIONS", 9}, {"yes", 3}};
	struct subscriber *s = arg;
	struct timeval silence = loop_timeval(SILENCE_US);

	s->confirmed = 0;
	s->lost = 0;
	s->stage = SUB_CHOOSING;
	s->heard = true;
	s->asked = false;
	buffer_clear(&s->last_words);
	connection_send(s->connection, choices, s->positions != NULL ? 6 : 4);
	if (s->positions == NULL)
		connection_send(s->connection, s->request, s->cli->operand_count + 1);
	evtimer_add(s->silence, &silence);
}

/* Asks to continue the first resumed_count channels of s->resumed. */
static void
send_resume(struct subscriber *s)
{
	struct slice *args = xcalloc(1 + 2 * s->resumed_count, sizeof(*args));
	struct buffer since = {0};

	args[0] = s->options->pattern ? SLICE("PRESUME") : SLICE("RESUME");
	for (size_t i = 0; i < s->resumed_count; i++) {
		size_t start = since.len;

		positions_put_since(s->positions, s->resumed[i], &since);
		args[1 + 2 * i] = s->request[1 + s->resumed[i]];
		args[2 + 2 * i].len = since.len - start;
	}
	for (size_t i = 0, start = 0; i < s->resumed_count; start += args[2 + 2 * i++].len)
		args[2 + 2 * i].ptr = since.ptr + start;
	connection_send(s->connection, args, 1 + 2 * s->resumed_count);
	s->stage = SUB_RESUMING;
	buffer_release(&since);
	xfree(args);
}

static void
resume_all(struct subscriber *s)
{
	s->resumed_count = s->cli->operand_count;
	for (size_t i = 0; i < s->resumed_count; i++)
		s->resumed[i] = i;
	send_resume(s);
}

/* The channel goes on with the next message. */
static void
take_loss(struct subscriber *s, size_t channel)
{
	struct buffer since = {0}, *out = &s->cli->out;
	const char *name = s->cli->operands[channel];

	positions_put_since(s->positions, channel, &since);
	cli_warn("%s: messages were lost: the server does not keep all that came after %.*s", name,
	    (int)since.len, since.ptr);
	if (s->options->json) {
		buffer_append_str(out, "{\"lost\":{");
		json_put_member(out, s->options->pattern ? "pattern" : "channel", slice_of(name));
		buffer_append_str(out, ",");
		json_put_member(out, "after", buffer_slice(&since));
		buffer_append_str(out, "}}\n");
	}
	buffer_release(&since);
	s->lost++;
	positions_set(s->positions, channel, (struct position){0});
}

static bool
is_verdict(const struct resp_value *value)
{
	return value->type == RESP_TYPE_ARRAY && value->count == 4 &&
	       value->items[1].type == RESP_TYPE_BULK && value->items[2].type == RESP_TYPE_BULK;
}

/* Returns false if the channel has to be asked for again, from now on. */
static bool
take_verdict(struct subscriber *s, size_t channel, const struct resp_value *value)
{
	struct slice verdict = value->items[1].text;
	struct position position;

	if (slice_is(verdict, "lost")) {
		take_loss(s, channel);
		return false;
	}
	if (slice_is(verdict, "none"))
		cli_warn("%s%s keeps no history: messages are missed while the connection is lost",
		    s->cli->operands[channel], s->options->pattern ? ": the server" : "");
	else if (!positions_has(s->positions, channel) &&
		 positions_parse(value->items[2].text, &position))
		positions_set(s->positions, channel, position);
	return true;
}

static void
take_verdicts(struct subscriber *s, const struct resp_value *rows)
{
	size_t again = 0;

	for (size_t i = 0; i < s->resumed_count && i < rows->count; i++)
		if (is_verdict(&rows->items[i]) && !take_verdict(s, s->resumed[i], &rows->items[i]))
			s->resumed[again++] = s->resumed[i];
	s->resumed_count = again;
	if (again > 0) {
		send_resume(s);
		return;
	}
	s->stage = SUB_SUBSCRIBED;
	connection_send(s->connection, s->request, s->cli->operand_count + 1);
}

static void
report_return(const struct subscriber *s)
{
	double seconds = (double)(clock_mono_us() - s->lost_us) / 1e6;

	if (s->positions == NULL)
		cli_warn("subscribed again after %.1f s: messages in between were missed", seconds);
	else
		cli_warn("subscribed again after %.1f s, %s", seconds,
		    s->lost > 0 ? "messages were lost" : "nothing was missed");
}

static void
take_confirmation(struct subscriber *s)
{
	if (++s->confirmed != s->cli->operand_count)
		return;
	if (s->lost_us != 0)
		report_return(s);
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

/* "EPOCH-SEQ payload"; "0-0 payload" is a message that is not kept. Returns the payload. */
static struct slice
take_position(struct subscriber *s, struct slice payload)
{
	const char *space = memchr(payload.ptr, ' ', payload.len);
	struct position position;
	size_t len;

	if (space == NULL)
		return payload;
	len = (size_t)(space - payload.ptr);
	if (!positions_parse((struct slice){payload.ptr, len}, &position))
		return payload;
	if (position.epoch != 0)
		positions_seen(s->positions, position);
	return (struct slice){space + 1, payload.len - len - 1};
}

static void
take_message(
    struct subscriber *s, const struct slice *pattern, struct slice channel, struct slice payload)
{
	struct buffer *out = &s->cli->out;

	if (s->positions != NULL)
		payload = take_position(s, payload);
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

/* The server was cut off from another one. */
static void
take_unknown_lag(struct subscriber *s)
{
	cli_warn("an unknown number of messages was missed: the server's link to another server "
		 "was interrupted");
	if (s->options->json)
		buffer_append_str(&s->cli->out, "{\"lagged\":null}\n");
}

static void
take_lagged(struct subscriber *s, int64_t count)
{
	if (count < 0) {
		take_unknown_lag(s);
		return;
	}
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
take_error(struct subscriber *s, const char *error)
{
	if (s->stage == SUB_CHOOSING && s->positions == NULL) {
		s->stage = SUB_SUBSCRIBED;
	} else if (s->stage == SUB_SUBSCRIBED && s->positions != NULL &&
		   strncmp(error, "LOST ", 5) == 0) {
		resume_all(s);
	} else {
		take_denial(s, error);
	}
}

static void
on_reply(const struct resp_value *value, void *arg)
{
	struct subscriber *s = arg;

	s->heard = true;
	s->asked = false;
	if (value->type == RESP_TYPE_ERROR) {
		buffer_clear(&s->last_words);
		buffer_append_escaped(&s->last_words, value->text);
		buffer_append(&s->last_words, "", 1);
		take_error(s, s->last_words.ptr);
	} else if (s->stage == SUB_CHOOSING && s->positions != NULL) {
		resume_all(s);
	} else if (s->stage == SUB_CHOOSING) {
		s->stage = SUB_SUBSCRIBED;
	} else if (s->stage == SUB_RESUMING && value->type == RESP_TYPE_ARRAY) {
		take_verdicts(s, value);
	} else if ((value->type == RESP_TYPE_ARRAY || value->type == RESP_TYPE_PUSH) &&
		   value->count > 0) {
		take_push(s, value->items, value->count);
	}
}

static void
on_pause(void *arg)
{
	struct subscriber *s = arg;

	if (!flush(s))
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

	(void)flush(s);
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

static bool
open_positions(struct subscriber *s)
{
	struct buffer error = {0};

	if (s->options->resume == NULL)
		return true;
	s->resumed = xcalloc(s->cli->operand_count, sizeof(*s->resumed));
	s->positions =
	    positions_open(s->options->resume, s->cli->operands, s->cli->operand_count, &error);
	if (s->positions == NULL)
		cli_warn("%.*s", (int)error.len, error.ptr);
	buffer_release(&error);
	if (s->positions != NULL)
		return true;
	xfree(s->resumed);
	return false;
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
	if (s.options->shard && s.options->resume != NULL) {
		cli_warn("--resume and --shard exclude each other: shard channels have no history");
		return CLI_USAGE;
	}
	if (!open_positions(&s))
		return CLI_FAILED;
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
	positions_free(s.positions);
	xfree(s.resumed);
	xfree(s.request);
	return (enum cli_status)status;
}

#define AT(field) .offset = offsetof(struct sub_options, field)

static const struct option_row rows[] = {
    {"pattern", 0, OPTION_FLAG, AT(pattern), .text = "the channels are patterns (PSUBSCRIBE)"},
    {"shard", 0, OPTION_FLAG, AT(shard), .text = "the channels are shard channels (SSUBSCRIBE)"},
    {"json", 0, OPTION_FLAG, AT(json), .text = "print each message as one line of JSON"},
    {"resume", 0, OPTION_TEXT, "FILE", AT(resume),
	.text = "go on behind the last message that FILE names, and keep it up to date"},
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

#include "config.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/connection.h"
#include "cli/loop.h"
#include "cli/options.h"
#include "import/postpone.h"
#include "import/source.h"
#include "import/summary.h"
#include "resp/reply.h"
#include "tool/progress.h"
#include "tool/sweep.h"

/*
 * fanfare import FILE|FOLDER: sends what files of Redis have to a server, as commands. Many are
 * sent before their replies arrive; the number in flight and the bytes that are not sent yet are
 * bounded.
 */

#define IN_FLIGHT_MAX 8192
#define UNSENT_MAX ((size_t)512 * 1024)

struct import_options {
	const char *to; /* tool/main.c reads it */
	bool add;
};

enum importing_state {
	CONNECTING, /* or the connection has ended */
	ASKING,     /* whether the server has keys */
	SENDING,
	AWAITING, /* all commands were sent */
	SWEEPING, /* all commands were answered: keys get their real expiry times */
};

struct importing {
	struct cli *cli;
	enum importing_state state;
	bool adds;       /* to keys that the server has */
	bool is_refused; /* nothing was sent */
	struct connection *connection;
	struct import_source *source;
	struct import_summary summary;
	struct progress progress;
	struct import_note notes[IN_FLIGHT_MAX]; /* of the commands in flight: a ring */
	size_t first, in_flight;
	uint64_t unclaimed; /* pending entries of streams without these entries */
	struct postpone postpone;
	struct sweep sweep;
	/* Databases below this number have been selected, or a lower one. For others the reply is
	 * awaited, because the commands behind it would go to the wrong database. */
	uint64_t databases, awaited_databases;
};

static void
stop(struct importing *im, int status)
{
	connection_close(im->connection);
	im->state = CONNECTING;
	loop_stop(im->cli->loop, status);
}

static void
show_progress(struct importing *im, const char *work)
{
	progress_show(&im->progress, work, import_bytes_done(im->source), import_bytes(im->source));
}

static void
warn_source(struct importing *im, struct slice text)
{
	progress_end(&im->progress);
	cli_warn("%.*s", (int)text.len, text.ptr);
}

static void
send_command(struct importing *im, struct import_command *command)
{
	uint64_t number = UINT64_MAX;

	if (import_has_commands(im->source))
		postpone_follow(&im->postpone, command);
	im->notes[(im->first + im->in_flight++) % IN_FLIGHT_MAX] = import_note(command);
	connection_send(im->connection, command->argv, command->argc);
	if (command->part == IMPORT_DATABASE &&
	    (command->argc != 2 || !slice_to_u64(command->argv[1], &number) ||
		number >= im->databases))
		im->awaited_databases = number < UINT64_MAX ? number + 1 : number;
}

static bool
may_send(const struct importing *im)
{
	return im->state == SENDING && im->in_flight < IN_FLIGHT_MAX &&
	       im->awaited_databases == 0 && connection_unsent_bytes(im->connection) < UNSENT_MAX;
}

static void
sweep(struct importing *im)
{
	bool is_whole;

	if (im->postpone.count > 0 && sweep_go_on(&im->sweep))
		return;
	is_whole = !import_summary_has_gaps(&im->summary) && !im->sweep.has_failed &&
		   im->sweep.failed == 0;
	im->sweep.state = SWEEP_DONE;
	stop(im, is_whole ? CLI_OK : CLI_ERROR_REPLY);
}

/* Sends commands until there is enough in flight. */
static void
send_some(struct importing *im)
{
	struct import_command command;

	while (may_send(im)) {
		switch (import_next(im->source, &command)) {
		case IMPORT_MORE:
			send_command(im, &command);
			break;
		case IMPORT_END:
			im->state = AWAITING;
			break;
		case IMPORT_BAD:
			warn_source(im, import_error(im->source));
			stop(im, CLI_FAILED);
			return;
		}
	}
	show_progress(im, "importing");
	if (im->state == AWAITING && im->in_flight == 0) {
		im->state = SWEEPING;
		sweep(im);
	}
}

static void
on_send(void *arg)
{
	send_some(arg);
}

static void
on_ready(void *arg)
{
	struct importing *im = arg;

	if (import_has_commands(im->source) && !im->adds) {
		im->state = ASKING;
		connection_send(
		    im->connection, (struct slice[]){SLICE("INFO"), SLICE("keyspace")}, 2);
		return;
	}
	im->state = SENDING;
	send_some(im);
}

/* Takes the reply to INFO keyspace, which has a line for each database with keys. Commands of
 * append-only files change what is there, so that a repeated import would not give the same. */
static void
begin_if_empty(struct importing *im, const struct resp_value *value)
{
	static const char keys[] = ":keys=";
	bool is_text = value->type == RESP_TYPE_BULK;

	if (is_text && memmem(value->text.ptr, value->text.len, keys, sizeof(keys) - 1) == NULL) {
		im->state = SENDING;
		send_some(im);
		return;
	}
	if (is_text)
		cli_warn("the server has keys already, and the commands of append-only files would "
			 "change them: empty it first, or import with --add");
	else
		ask_warn_error(value->text);
	im->is_refused = true;
	stop(im, CLI_ERROR_REPLY);
}

static bool
begins_with(struct slice text, const char *start)
{
	size_t len = strlen(start);

	return text.len >= len && memcmp(text.ptr, start, len) == 0;
}

static enum import_outcome
outcome_of(const struct resp_value *value)
{
	if (value->type != RESP_TYPE_ERROR)
		return IMPORT_DONE;
	return begins_with(value->text, "ERR unknown command") ||
		       begins_with(value->text, "ERR unknown subcommand")
		   ? IMPORT_NOT_HERE
		   : IMPORT_REFUSED;
}

/* After these errors all others would be the same, or the keys would go to the wrong database. */
static bool
is_fatal(const struct import_note *note, const struct resp_value *value)
{
	return value->type == RESP_TYPE_ERROR &&
	       (note->part == IMPORT_DATABASE || begins_with(value->text, "NOAUTH"));
}

static void
on_reply(const struct resp_value *value, void *arg)
{
	struct importing *im = arg;
	struct import_note note;

	if (im->state == ASKING) {
		begin_if_empty(im, value);
		return;
	}
	if (im->state == SWEEPING) {
		if (sweep_reply(&im->sweep, value))
			sweep(im);
		return;
	}
	if (im->in_flight == 0) {
		progress_end(&im->progress);
		cli_warn("the server sent a reply to no command");
		stop(im, CLI_FAILED);
		return;
	}
	note = im->notes[im->first];
	im->first = (im->first + 1) % IN_FLIGHT_MAX;
	im->in_flight--;
	import_summary_add(&im->summary, &note, outcome_of(value), value->text);
	if (value->type == RESP_TYPE_ARRAY && value->count < note.claims)
		im->unclaimed += note.claims - value->count;
	if (im->in_flight == 0 && im->awaited_databases > 0) {
		im->databases = im->awaited_databases;
		im->awaited_databases = 0;
	}
	if (!is_fatal(&note, value))
		return;
	progress_end(&im->progress);
	ask_warn_error(value->text);
	if (note.part == IMPORT_DATABASE)
		cli_warn("a database of the files cannot be selected");
	stop(im, CLI_ERROR_REPLY);
}

static void
on_closed(enum connection_end end, const char *text, void *arg)
{
	struct importing *im = arg;

	im->state = CONNECTING;
	progress_end(&im->progress);
	cli_warn("%s", text);
	loop_stop(im->cli->loop, connection_end_status(end));
}

/* Before anything is sent. */
static enum cli_status
check(struct importing *im)
{
	enum import_result result;

	do {
		result = import_check(im->source);
		show_progress(im, "checking");
	} while (result == IMPORT_MORE && !loop_is_interrupted());
	progress_end(&im->progress);
	if (result == IMPORT_BAD) {
		warn_source(im, import_error(im->source));
		return CLI_FAILED;
	}
	if (import_warning(im->source).len > 0)
		warn_source(im, import_warning(im->source));
	return CLI_OK;
}

static void
print_line(void *arg, const char *text, bool is_gap)
{
	(void)is_gap;
	buffer_appendf(arg, "%s\n", text);
}

/* About keys that may still have an expiry time that stands for another. */
static void
warn_times(const struct importing *im)
{
	const struct sweep *sweep = &im->sweep;

	if (im->postpone.count == 0)
		return;
	if (sweep->has_failed)
		ask_warn_error(buffer_slice(&sweep->error));
	if (sweep->state != SWEEP_DONE || sweep->has_failed)
		cli_warn("keys that should expire within a day do so 1111 years later, because the "
			 "import did not end: empty the server and import again");
	else if (sweep->failed > 0)
		cli_warn("%llu keys may expire 1111 years later than they should: PTTL or "
			 "PEXPIREAT failed",
		    (unsigned long long)sweep->failed);
}

static void
put_summary(struct importing *im)
{
	struct rdb_left_out left_out = *import_left_out(im->source);

	left_out.expired_keys += im->sweep.removed;
	left_out.pending_entries = im->unclaimed;
	import_summary_end(&im->summary);
	import_summary_write(&im->summary, &left_out, print_line, &im->cli->out);
	if (im->in_flight > 0)
		buffer_appendf(&im->cli->out, "not answered: commands: %zu\n", im->in_flight);
	warn_times(im);
}

static enum cli_status
transfer(struct importing *im)
{
	static const struct connection_events events = {.ready = on_ready,
	    .reply = on_reply,
	    .pause = on_send,
	    .drained = on_send,
	    .closed = on_closed};
	int status;

	im->connection = connection_new(im->cli, 2, &events, im);
	im->sweep = (struct sweep){.postpone = &im->postpone, .connection = im->connection};
	connection_open(im->connection);
	status = loop_run(im->cli->loop, im->cli->timeout_us);
	connection_free(im->connection);
	progress_end(&im->progress);
	if (!im->is_refused)
		put_summary(im);
	if (!cli_flush(im->cli) && status == CLI_OK)
		status = CLI_FAILED;
	return (enum cli_status)status;
}

static enum cli_status
run(struct cli *cli)
{
	struct importing *im = xcalloc(1, sizeof(*im));
	struct import_config config = {.now_ms = (int64_t)(clock_wall_us() / 1000),
	    .replaces = true,
	    .may_truncate = true,
	    .module = import_summary_module,
	    .arg = &im->summary};
	struct buffer error = {0};
	enum cli_status status = CLI_FAILED;

	im->cli = cli;
	im->adds = ((const struct import_options *)cli->options)->add;
	im->postpone.now_ms = config.now_ms;
	progress_init(&im->progress);
	im->source = import_open(cli->operands[0], &config, &error);
	if (im->source == NULL)
		cli_warn("%.*s", (int)error.len, error.ptr);
	else
		status = check(im);
	if (status == CLI_OK)
		status = transfer(im);
	if (im->source != NULL)
		import_close(im->source);
	import_summary_release(&im->summary);
	sweep_release(&im->sweep);
	postpone_release(&im->postpone);
	buffer_release(&error);
	xfree(im);
	return status;
}

static const char *
url_of(const void *options)
{
	return ((const struct import_options *)options)->to;
}

static const struct option_row rows[] = {
    {"to", 0, OPTION_TEXT, "URL", .offset = offsetof(struct import_options, to),
	.text = "the server, as with --url"},
    {"add", 0, OPTION_FLAG, .offset = offsetof(struct import_options, add),
	.text = "carry out append-only files although the server has keys"},
    {0},
};

static const struct import_options defaults;

const struct cli_command import_command = {
    .name = "import",
    .operands = "FILE|FOLDER",
    .summary = "send what snapshots and append-only files of Redis have to a server",
    .options = rows,
    .defaults = &defaults,
    .options_bytes = sizeof(struct import_options),
    .min_operands = 1,
    .max_operands = 1,
    .url = url_of,
    .run = run,
};

#include "config.h"

#include "server/request.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/command.h"
#include "server/statistics.h"

/*
 * The time that handlers with COMMAND_AGAIN may run in a turn, and the units between two checks of
 * the clock.
 */
#define SLICE_US 500
#define UNITS_A_LOOK 32

#define ERROR_TEXT_MAX 1024

void
request_error(struct request *rq, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	struct slice s = {text, 0};
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	assert(len > 0);
	s.len = (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
	resp_put_error(rq->reply, s);
	rq->failed = true;
	statistics_count_error(rq->server->statistics, s);
}

void
request_ok(struct request *rq)
{
	resp_put_simple(rq->reply, "OK");
}

void
request_syntax_error(struct request *rq)
{
	request_error(rq, "ERR syntax error");
}

/* name in upper case, cut to the length of the longest name in the table. */
static const char *
upper(const char *name, char out[COMMAND_NAME_MAX])
{
	size_t i;

	for (i = 0; i < COMMAND_NAME_MAX - 1 && name[i] != '\0'; i++)
		out[i] = (char)toupper((unsigned char)name[i]);
	out[i] = '\0';
	return out;
}

void
request_subcommand_syntax_error(struct request *rq)
{
	char container[COMMAND_NAME_MAX];
	const struct slice *name = &rq->argv[rq->argc > 1];

	upper(
	    rq->command->container != NULL ? rq->command->container : rq->command->name, container);
	request_error(rq,
	    "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP.",
	    (int)(name->len < 128 ? name->len : 128), name->ptr, container);
}

void
request_help(struct request *rq, const char *const lines[])
{
	char container[COMMAND_NAME_MAX], header[COMMAND_NAME_MAX + 80];
	size_t count = 0, i;

	while (lines[count] != NULL)
		count++;
	upper(
	    rq->command->container != NULL ? rq->command->container : rq->command->name, container);
	snprintf(header, sizeof(header),
	    "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", container);
	resp_put_array(rq->reply, count + 3);
	resp_put_simple(rq->reply, header);
	for (i = 0; i < count; i++)
		resp_put_simple(rq->reply, lines[i]);
	resp_put_simple(rq->reply, "HELP");
	resp_put_simple(rq->reply, "    Prints this help.");
}

bool
request_slice_is_over(struct request *rq)
{
	return request_units_are_over(rq, 1);
}

bool
request_units_are_over(struct request *rq, size_t units)
{
	size_t before = rq->units;

	rq->units += units;
	return !rq->in_transaction && rq->units / UNITS_A_LOOK != before / UNITS_A_LOOK &&
	       clock_mono_us() - rq->now_us >= SLICE_US;
}

void
request_hide(struct request *rq, size_t from, size_t to)
{
	if (rq->secret_to == 0 || from < rq->secret_from)
		rq->secret_from = from;
	if (to > rq->secret_to)
		rq->secret_to = to;
}

struct slice
request_shown_arg(const struct request *rq, size_t i)
{
	return i >= rq->secret_from && i < rq->secret_to ? SLICE("(redacted)") : rq->argv[i];
}

struct kv_db *
request_db(const struct request *rq)
{
	return kv_database(rq->server->kv, rq->client->db);
}

int64_t
request_now_ms(struct request *rq)
{
	if (rq->now_ms == 0)
		rq->now_ms = (int64_t)(clock_wall_us() / 1000);
	return rq->now_ms;
}

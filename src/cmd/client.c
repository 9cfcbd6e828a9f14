#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "cmd/handlers.h"
#include "cmd/help.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/request.h"

/*
 * CLIENT: the subcommands by which a client describes and configures itself. Those that act on
 * other clients are in cmd/client_kill.c, cmd/client_list.c and cmd/client_pause.c; client-side
 * caching is in cmd/client_tracking.c.
 */

/* An error text repeats at most this many bytes of a client's argument. */
#define ARGUMENT_SHOWN_MAX 128

static int
shown_len(struct slice argument)
{
	return (int)(argument.len < ARGUMENT_SHOWN_MAX ? argument.len : ARGUMENT_SHOWN_MAX);
}

bool
client_attribute_set(char **attribute, struct slice value)
{
	char *copy;
	size_t i;

	if (value.len > CLIENT_ATTRIBUTE_MAX)
		return false;
	for (i = 0; i < value.len; i++) {
		if (value.ptr[i] < '!' || value.ptr[i] > '~')
			return false;
	}
	copy = value.len > 0 ? xasprintf("%.*s", (int)value.len, value.ptr) : NULL;
	xfree(*attribute);
	*attribute = copy;
	return true;
}

enum command_result
cmd_client_id(struct request *rq)
{
	resp_put_int(rq->reply, (int64_t)rq->client->id);
	return COMMAND_DONE;
}

enum command_result
cmd_client_getname(struct request *rq)
{
	const char *name = client_name(rq->client);

	if (*name != '\0')
		resp_put_bulk_str(rq->reply, name);
	else
		resp_put_null(rq->reply, rq->proto);
	return COMMAND_DONE;
}

enum command_result
cmd_client_setname(struct request *rq)
{
	if (rq->argv[2].len > CLIENT_ATTRIBUTE_MAX)
		request_error(
		    rq, "ERR Client names cannot be longer than %d bytes.", CLIENT_ATTRIBUTE_MAX);
	else if (!client_attribute_set(&session_of(rq->client)->name, rq->argv[2]))
		request_error(
		    rq, "ERR Client names cannot contain spaces, newlines or special characters.");
	else
		request_ok(rq);
	session_trim(rq->client);
	return COMMAND_DONE;
}

enum command_result
cmd_client_setinfo(struct request *rq)
{
	struct slice option = rq->argv[2], value = rq->argv[3];
	char **attribute;

	if (slice_is_nocase(option, "lib-name")) {
		attribute = &session_of(rq->client)->lib_name;
	} else if (slice_is_nocase(option, "lib-ver")) {
		attribute = &session_of(rq->client)->lib_version;
	} else {
		request_error(rq, "ERR Unrecognized option '%.*s'", shown_len(option), option.ptr);
		return COMMAND_DONE;
	}
	if (value.len > CLIENT_ATTRIBUTE_MAX)
		request_error(rq, "ERR %.*s cannot be longer than %d bytes.", shown_len(option),
		    option.ptr, CLIENT_ATTRIBUTE_MAX);
	else if (!client_attribute_set(attribute, value))
		request_error(rq, "ERR %.*s cannot contain spaces, newlines or special characters.",
		    shown_len(option), option.ptr);
	else
		request_ok(rq);
	session_trim(rq->client);
	return COMMAND_DONE;
}

enum command_result
cmd_client_info(struct request *rq)
{
	struct buffer line = {0};

	client_describe(rq->client, rq->now_us, &line);
	buffer_append_str(&line, "\n");
	resp_put_verbatim(rq->reply, rq->proto, "txt", buffer_slice(&line));
	buffer_release(&line);
	return COMMAND_DONE;
}

/* Reads ON or OFF from the third argument. Returns false after replying with a syntax error. */
static bool
parse_on_off(struct request *rq, bool *on)
{
	*on = slice_is_nocase(rq->argv[2], "on");
	if (*on || slice_is_nocase(rq->argv[2], "off"))
		return true;
	request_syntax_error(rq);
	return false;
}

enum command_result
cmd_client_no_evict(struct request *rq)
{
	bool on;

	if (parse_on_off(rq, &on)) {
		rq->client->no_evict = on;
		request_ok(rq);
	}
	return COMMAND_DONE;
}

enum command_result
cmd_client_no_touch(struct request *rq)
{
	bool on;

	if (parse_on_off(rq, &on)) {
		rq->client->no_touch = on;
		request_ok(rq);
	}
	return COMMAND_DONE;
}

enum command_result
cmd_client_reply(struct request *rq)
{
	struct client *c = rq->client;

	if (slice_is_nocase(rq->argv[2], "on")) {
		c->reply_mode = CLIENT_REPLY_ON;
		request_ok(rq);
	} else if (slice_is_nocase(rq->argv[2], "off")) {
		c->reply_mode = CLIENT_REPLY_OFF;
	} else if (slice_is_nocase(rq->argv[2], "skip")) {
		if (c->reply_mode != CLIENT_REPLY_OFF)
			c->reply_mode = CLIENT_REPLY_SKIP_NEXT;
	} else {
		request_syntax_error(rq);
	}
	return COMMAND_DONE;
}

enum command_result
cmd_client_help(struct request *rq)
{
	return request_help_from_table(rq);
}

#include "config.h"

#include "edge/commands.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "edge/methods.h"
#include "edge/session.h"
#include "edge/socket.h"
#include "http/ws_frame.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/request.h"
#include "json/writer.h"

/*
 * Replies to the commands of one frame, which are queued whatever their peer reads: behind so many
 * bytes, commands with long replies fail. (Between frames, net waits until they have been read.)
 */
#define REPLIES_MAX ((size_t)2 << 20)

/* A command may take a millisecond, so each is followed by a look at the clock. */
#define UNITS 64

static const struct method {
	const char *name;
	enum edge_outcome (*run)(struct edge_command *command);
	bool before_connect;
	bool is_long; /* its reply may be long */
} methods[] = {
    {"connect", edge_connect, true, false},
    {"subscribe", edge_subscribe, false, true},
    {"unsubscribe", edge_unsubscribe, false, false},
    {"publish", edge_ws_publish, false, false},
    {"refresh", edge_refresh, false, false},
    {"sub_refresh", edge_sub_refresh, false, false},
    {"history", edge_history, false, true},
    {"presence", edge_presence, false, true},
    {"presence_stats", edge_presence_stats, false, false},
};

#define METHODS (sizeof(methods) / sizeof(methods[0]))

static const struct {
	const char *text;
	enum edge_error code;
	bool is_temporary;
} errors[] = {
    {"internal server error", EDGE_ERROR_INTERNAL, true},
    {"unauthorized", EDGE_ERROR_UNAUTHORIZED, false},
    {"permission denied", EDGE_ERROR_PERMISSION, false},
    {"method not found", EDGE_ERROR_METHOD, false},
    {"already subscribed", EDGE_ERROR_ALREADY, false},
    {"limit exceeded", EDGE_ERROR_LIMIT, false},
    {"bad request", EDGE_ERROR_BAD_REQUEST, false},
    {"not available", EDGE_ERROR_NOT_AVAILABLE, false},
    {"token expired", EDGE_ERROR_EXPIRED, false},
    {"too many requests", EDGE_ERROR_TOO_MANY, true},
    {"unrecoverable position", EDGE_ERROR_POSITION, false},
};

void
edge_commands_refuse(struct edge_session *s, struct request *rq, unsigned code)
{
	struct edge_command command = {.session = s, .rq = rq};

	(void)edge_close(&command, code);
}

static void
put_error(struct edge_command *command, struct buffer *out)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (errors[i].code != command->error)
			continue;
		buffer_appendf(out, "\"error\":{\"code\":%d,\"message\":\"%s\"%s}",
		    (int)errors[i].code, errors[i].text,
		    errors[i].is_temporary ? ",\"temporary\":true" : "");
		return;
	}
	assert(!"every error has a text");
}

static void
put_reply(struct edge_command *command, const char *method, enum edge_outcome outcome)
{
	struct buffer text = {0};

	buffer_appendf(&text, "{\"id\":%" PRIu32 ",", command->id);
	if (outcome == EDGE_FAILED) {
		command->session->edge->figures.command_errors++;
		put_error(command, &text);
	} else {
		buffer_appendf(&text, "\"%s\":{", method);
		buffer_append_slice(&text, buffer_slice(&command->result));
		buffer_append_str(&text, "}");
	}
	buffer_append_str(&text, "}");
	ws_put_frame(command->rq->reply, WS_TEXT, buffer_slice(&text));
	command->session->reply_bytes += text.len;
	buffer_append_slice(command->rq->reply, buffer_slice(&command->after));
	command->rq->push_len = command->rq->reply->len;
	buffer_release(&text);
}

static bool
take_id(struct edge_command *command, struct json_value object)
{
	struct json_value value;
	uint64_t id = 0;

	switch (json_find(object, "id", &value)) {
	case JSON_ABSENT:
		break;
	case JSON_FOUND:
		if (json_get_u64(value, &id) && id <= UINT32_MAX)
			break;
		return false;
	default:
		return false;
	}
	command->id = (uint32_t)id;
	return true;
}

static enum edge_outcome
run_method(struct edge_command *command, const struct method *method)
{
	struct edge_session *s = command->session;

	if (command->id == 0)
		return edge_close(command, EDGE_CLOSE_BAD_REQUEST);
	if (s->state == EDGE_JOINING && !method->before_connect)
		return edge_close(command, EDGE_CLOSE_BAD_REQUEST);
	if (command->params.type != JSON_OBJECT)
		return edge_fail(command, EDGE_ERROR_BAD_REQUEST);
	if (method->is_long && s->reply_bytes > REPLIES_MAX)
		return edge_fail(command, EDGE_ERROR_TOO_MANY);
	return method->run(command);
}

/* The answer to a ping, which is an empty command. */
static enum edge_outcome
take_pong(struct edge_command *command)
{
	struct edge_session *s = command->session;

	if (s->awaits_pong) {
		s->awaits_pong = false;
		edge_session_schedule(s);
	}
	return EDGE_CLOSED;
}

static bool
is_empty(struct json_value object)
{
	struct json_iterator it = json_members(object);
	struct json_value name, value;

	return !json_next_member(&it, &name, &value);
}

/* The method of a command; NULL: unknown. One that is there twice has no parameters. */
static const struct method *
method_of(struct edge_command *command, struct json_value object)
{
	for (size_t i = 0; i < METHODS; i++)
		if (json_find(object, methods[i].name, &command->params) != JSON_ABSENT)
			return &methods[i];
	return NULL;
}

/* A message that needs no answer: {"send":{...}}. */
static bool
is_send(struct json_value object)
{
	struct json_value value;

	return json_find(object, "send", &value) == JSON_FOUND;
}

static enum edge_outcome
run(struct edge_command *command, struct slice line)
{
	const struct method *method;
	struct json_value object;
	enum edge_outcome outcome;

	if (!json_parse(line, &object) || object.type != JSON_OBJECT || !take_id(command, object))
		return edge_close(command, EDGE_CLOSE_BAD_REQUEST);
	if (is_empty(object))
		return take_pong(command);
	if (is_send(object)) {
		command->session->edge->figures.commands++;
		return EDGE_CLOSED;
	}
	method = method_of(command, object);
	if (method != NULL)
		outcome = run_method(command, method);
	else if (command->id == 0)
		outcome = edge_close(command, EDGE_CLOSE_BAD_REQUEST);
	else
		outcome = edge_fail(command, EDGE_ERROR_METHOD);
	if (outcome != EDGE_WAITS) /* it is run again */
		command->session->edge->figures.commands++;
	if (outcome == EDGE_DONE || outcome == EDGE_FAILED)
		put_reply(command, method != NULL ? method->name : "", outcome);
	return outcome;
}

static bool
is_blank(struct slice line)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.ptr[i] != ' ' && line.ptr[i] != '\t' && line.ptr[i] != '\r')
			return false;
	return true;
}

static enum edge_outcome
run_line(struct edge_session *s, struct request *rq, struct slice line)
{
	struct edge_command command = {.session = s, .rq = rq, .params = {.type = JSON_NULL}};
	enum edge_outcome outcome;

	if (is_blank(line))
		return EDGE_CLOSED;
	/* Decoded strings are not longer than the text, so no slice of the room moves. */
	(void)buffer_reserve(&command.room, line.len);
	outcome = run(&command, line);
	buffer_release(&command.room);
	buffer_release(&command.result);
	buffer_release(&command.after);
	return outcome;
}

static struct slice
next_line(struct slice text, size_t at)
{
	const char *end = memchr(text.ptr + at, '\n', text.len - at);

	return (struct slice){
	    text.ptr + at, end != NULL ? (size_t)(end - text.ptr) - at : text.len - at};
}

/* A command that has waited is not counted again. */
static bool
may_run(struct edge_session *s, struct request *rq)
{
	if (s->is_counted || edge_session_take_turn(s, rq->now_us))
		return true;
	edge_commands_refuse(s, rq, EDGE_CLOSE_TOO_MANY);
	return false;
}

static bool
is_publish(struct slice line)
{
	struct json_value object, value;

	return json_parse(line, &object) && object.type == JSON_OBJECT &&
	       json_find(object, "publish", &value) != JSON_ABSENT;
}

/*
 * The replies of one step are queued together, before the messages that its commands published. So
 * a command behind a publish that may end a subscription, or the connection, is another step.
 */
static bool
waits_for_messages(const struct edge_session *s, struct slice line)
{
	return s->has_published && !is_publish(line);
}

enum command_result
edge_commands_run(struct edge_session *s, struct request *rq, struct slice text)
{
	s->has_published = false;
	if (s->done == 0)
		s->reply_bytes = 0;
	while (s->done < text.len && s->state != EDGE_ENDED && may_run(s, rq)) {
		struct slice line = next_line(text, s->done);

		s->is_counted = true;
		if (waits_for_messages(s, line) || run_line(s, rq, line) == EDGE_WAITS) {
			rq->client->pending->progress = (size_t)s->done + 1;
			return COMMAND_AGAIN;
		}
		s->is_counted = false;
		s->done += (uint32_t)line.len + 1;
		if (s->done < text.len && s->state != EDGE_ENDED &&
		    request_units_are_over(rq, UNITS)) {
			rq->client->pending->progress = (size_t)s->done + 1;
			return COMMAND_AGAIN;
		}
	}
	s->done = 0;
	return COMMAND_DONE;
}

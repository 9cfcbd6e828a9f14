#ifndef EDGE_COMMANDS_H
#define EDGE_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "server/command.h"
#include "json/reader.h"

/*
 * Commands of WebSockets: a subset of the JSON protocol of Centrifugo (its protocol version 2).
 * A text message has one command, or several, one a line: {"id":1,"subscribe":{...}}. Each gets a
 * message with its result or error. For this layer only.
 */
struct edge_session;
struct request;

/* Error codes of replies. */
enum edge_error {
	EDGE_ERROR_INTERNAL = 100,
	EDGE_ERROR_UNAUTHORIZED = 101,
	EDGE_ERROR_PERMISSION = 103,
	EDGE_ERROR_METHOD = 104,
	EDGE_ERROR_ALREADY = 105,
	EDGE_ERROR_LIMIT = 106,
	EDGE_ERROR_BAD_REQUEST = 107,
	EDGE_ERROR_NOT_AVAILABLE = 108,
	EDGE_ERROR_EXPIRED = 109,
	EDGE_ERROR_TOO_MANY = 111,
	EDGE_ERROR_POSITION = 112,
};

enum edge_outcome {
	EDGE_DONE,   /* command->result is the content of the reply's object */
	EDGE_FAILED, /* command->error */
	EDGE_WAITS,  /* rq->waits_for, or in a later turn: to be called again */
	EDGE_CLOSED, /* no reply: the connection ends, or none is expected */
};

struct edge_command {
	struct edge_session *session;
	struct request *rq;
	uint32_t id;
	struct json_value params;
	struct buffer room; /* for decoded strings; no slice of it may be used after the next one */
	struct buffer result; /* a JSON object */
	struct buffer after;  /* frames that follow the reply */
	size_t counted;       /* by the command's function */
	enum edge_error error;
};

/* Executes the commands of a text message; those that are done before it has to wait are not
 * executed again. */
enum command_result edge_commands_run(
    struct edge_session *s, struct request *rq, struct slice text);

/* Ends the connection with a close code, in the reply of the frame. */
void edge_commands_refuse(struct edge_session *s, struct request *rq, unsigned code);

/* For the functions of commands. */
enum edge_outcome edge_fail(struct edge_command *command, enum edge_error error);
/* Fails with the code and text of a reply of request_error(), which is taken out of rq->reply. */
enum edge_outcome edge_fail_refused(struct edge_command *command, size_t reply_len);
enum edge_outcome edge_close(struct edge_command *command, unsigned code);

/* A member of the parameters. Absent: *out is as before. False: it has another type, or is there
 * twice. The string is valid until the end of the command. */
bool edge_get_string(struct edge_command *command, const char *name, struct slice *out);
bool edge_get_u64(struct edge_command *command, const char *name, uint64_t *out);
bool edge_get_bool(struct edge_command *command, const char *name, bool *out);

/* One for each command. */
enum edge_outcome edge_connect(struct edge_command *command); /* connect.c */
enum edge_outcome edge_refresh(struct edge_command *command);
enum edge_outcome edge_subscribe(struct edge_command *command); /* subscribe.c */
enum edge_outcome edge_unsubscribe(struct edge_command *command);
enum edge_outcome edge_sub_refresh(struct edge_command *command);
enum edge_outcome edge_ws_publish(struct edge_command *command); /* publish.c */
enum edge_outcome edge_history(struct edge_command *command);    /* read.c */
enum edge_outcome edge_presence(struct edge_command *command);
enum edge_outcome edge_presence_stats(struct edge_command *command);

#endif

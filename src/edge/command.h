#ifndef EDGE_COMMAND_H
#define EDGE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "json/reader.h"

/* Command: one command of a WebSocket while it is executed, for the functions of edge/methods.h.
 * For this layer only. */
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

enum edge_outcome edge_fail(struct edge_command *command, enum edge_error error);
/* Fails with the code and text of a reply of request_error(), which is taken out of rq->reply. */
enum edge_outcome edge_fail_refused(struct edge_command *command, size_t reply_len);
enum edge_outcome edge_close(struct edge_command *command, unsigned code);

/* A member of the parameters. Absent: *out is as before. False: it has another type, or is there
 * twice. The string is valid until the end of the command. */
bool edge_get_string(struct edge_command *command, const char *name, struct slice *out);
bool edge_get_u64(struct edge_command *command, const char *name, uint64_t *out);
bool edge_get_bool(struct edge_command *command, const char *name, bool *out);

#endif

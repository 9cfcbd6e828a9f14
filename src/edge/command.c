#include "config.h"

#include "edge/command.h"

#include <string.h>

#include "edge/session.h"
#include "edge/socket.h"
#include "http/ws_frame.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/request.h"

enum edge_outcome
edge_fail(struct edge_command *command, enum edge_error error)
{
	command->error = error;
	return EDGE_FAILED;
}

/* What the replies of request_error() begin with. */
static const struct {
	const char *prefix;
	enum edge_error error;
} refusals[] = {
    {"-NOPERM ", EDGE_ERROR_PERMISSION},
    {"-ERR max publish rate of this ", EDGE_ERROR_TOO_MANY},
    {"-ERR message too long ", EDGE_ERROR_LIMIT},
    {"-ERR max number of ", EDGE_ERROR_LIMIT},
    {"-READONLY ", EDGE_ERROR_INTERNAL},
    {"-OOM ", EDGE_ERROR_INTERNAL},
    {"-CLUSTERDOWN ", EDGE_ERROR_INTERNAL},
};

enum edge_outcome
edge_fail_refused(struct edge_command *command, size_t reply_len)
{
	struct buffer *reply = command->rq->reply;
	struct slice text = {reply->ptr + reply_len, reply->len - reply_len};

	command->error = EDGE_ERROR_BAD_REQUEST;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		size_t len = strlen(refusals[i].prefix);

		if (text.len >= len && memcmp(text.ptr, refusals[i].prefix, len) == 0)
			command->error = refusals[i].error;
	}
	reply->len = reply_len;
	command->rq->failed = false;
	return EDGE_FAILED;
}

enum edge_outcome
edge_close(struct edge_command *command, unsigned code)
{
	struct edge_session *s = command->session;

	if (edge_session_move(s, EDGE_EVENT_END)) {
		ws_put_close(command->rq->reply, code, slice_of(edge_close_text(code)));
		client_finish(s->client);
	}
	return EDGE_CLOSED;
}

/* False if it is there twice. *found says whether it is there at all. */
static bool
find(struct edge_command *command, const char *name, struct json_value *value, bool *found)
{
	enum json_found result = JSON_ABSENT;

	if (command->params.type == JSON_OBJECT)
		result = json_find(command->params, name, value);
	*found = result == JSON_FOUND && value->type != JSON_NULL;
	return result != JSON_DUPLICATE;
}

bool
edge_get_string(struct edge_command *command, const char *name, struct slice *out)
{
	struct json_value value;
	bool found;

	if (!find(command, name, &value, &found))
		return false;
	return !found || json_get_string(value, &command->room, out);
}

bool
edge_get_u64(struct edge_command *command, const char *name, uint64_t *out)
{
	struct json_value value;
	bool found;

	if (!find(command, name, &value, &found))
		return false;
	return !found || json_get_u64(value, out);
}

bool
edge_get_bool(struct edge_command *command, const char *name, bool *out)
{
	struct json_value value;
	bool found;

	if (!find(command, name, &value, &found))
		return false;
	return !found || json_get_bool(value, out);
}

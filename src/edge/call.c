#include "config.h"

#include "edge/call.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "edge/publication.h"
#include "edge/session.h"
#include "http/headers.h"
#include "http/protocol.h"
#include "http/response.h"
#include "http/target.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/request.h"

/* Responses to errors repeat at most this much of a request. */
#define ERROR_MAX 256

struct slice
edge_call_header(const struct edge_call *call, const char *name)
{
	struct slice value = {"", 0};

	(void)http_header(call->rq->argv, call->rq->argc, name, &value);
	return value;
}

/* Appends the decoded text. */
static bool
decode(struct slice text, unsigned flags, struct buffer *out)
{
	size_t len;

	if (!http_unescape(text, flags, buffer_reserve(out, text.len + 1), &len))
		return false;
	out->len += len;
	return true;
}

/* The value of Host, as far as it tells which origin is the same: over TLS none of plain HTTP is,
 * as anybody on the way could have written its page. Behind a proxy the scheme is unknown. */
static struct slice
own_host(const struct edge_call *call)
{
	static const char plain[] = "http://";
	size_t len = sizeof(plain) - 1;

	if (call->session->is_tls && call->origin.len >= len &&
	    slice_is_nocase((struct slice){call->origin.ptr, len}, plain))
		return SLICE("");
	return edge_call_header(call, "host");
}

/* No browser sends two. */
static void
judge_origin(struct edge_call *call)
{
	size_t count = http_header(call->rq->argv, call->rq->argc, "origin", &call->origin);

	if (count > 1)
		call->origin_verdict = EDGE_ORIGIN_DENIED;
	else
		call->origin_verdict = edge_judge_origin(
		    &call->edge->config->allowed_origins, call->origin, own_host(call));
}

bool
edge_call_init(struct edge_call *call, struct request *rq, struct edge_session *s)
{
	struct http_target target = http_split_target(rq->argv[HTTP_TARGET]);

	assert(rq->argc >= HTTP_FIELDS);
	*call = (struct edge_call){
	    .rq = rq,
	    .session = s,
	    .edge = s->edge,
	    .method = rq->argv[HTTP_METHOD],
	    .body = rq->argv[HTTP_BODY],
	    .is_head = slice_is(rq->argv[HTTP_METHOD], "HEAD"),
	};
	call->query = target.query;
	call->keeps_alive = http_is_persistent(rq->argv, rq->argc);
	judge_origin(call);
	return decode(target.path, HTTP_ONE_SEGMENT, &call->path);
}

void
edge_call_release(struct edge_call *call)
{
	buffer_release(&call->path);
}

enum edge_pair
edge_next_pair(struct slice *rest, struct buffer *key, struct buffer *value)
{
	struct slice raw_key, raw_value;

	buffer_clear(key);
	buffer_clear(value);
	if (!http_next_pair(rest, &raw_key, &raw_value))
		return EDGE_PAIRS_END;
	if (!decode(raw_key, HTTP_FORM, key) || !decode(raw_value, HTTP_FORM, value))
		return EDGE_PAIR_INVALID;
	return EDGE_PAIR;
}

bool
edge_call_parameter(const struct edge_call *call, const char *name, struct buffer *value)
{
	struct slice rest = call->query;
	struct buffer key = {0};
	enum edge_pair pair = EDGE_PAIRS_END;
	bool found = false;

	while (!found && (pair = edge_next_pair(&rest, &key, value)) != EDGE_PAIRS_END)
		found = slice_is(buffer_slice(&key), name);
	buffer_release(&key);
	if (!found)
		buffer_clear(value);
	else if (pair == EDGE_PAIR_INVALID)
		buffer_append_str(value, "%"); /* it is there, but not what anybody asked for */
	return found;
}

void
edge_put_cors(const struct edge_call *call, struct buffer *out)
{
	buffer_append_str(out, "Vary: Origin\r\n");
	if (call->origin_verdict == EDGE_ORIGIN_ANY) {
		buffer_append_str(out, "Access-Control-Allow-Origin: *\r\n");
	} else if (call->origin_verdict == EDGE_ORIGIN_SAME ||
		   call->origin_verdict == EDGE_ORIGIN_LISTED) {
		buffer_append_str(out, "Access-Control-Allow-Origin: ");
		buffer_append_slice(out, call->origin);
		buffer_append_str(out, "\r\nAccess-Control-Allow-Credentials: true\r\n");
	}
}

void
edge_answer(struct edge_call *call, unsigned status, const char *headers, const char *content_type,
    struct slice body)
{
	struct buffer lines = {0};

	buffer_append_str(&lines, headers);
	edge_put_cors(call, &lines);
	http_put_response(call->rq->reply, &(struct http_response){
					       .status = status,
					       .is_head = call->is_head,
					       .keep_alive = call->keeps_alive,
					       .extra = buffer_slice(&lines),
					       .content_type = content_type,
					       .body = body,
					   });
	buffer_release(&lines);
	call->edge->figures.responses[status / 100]++;
	if (!call->keeps_alive)
		client_finish(call->rq->client);
}

void
edge_answer_error(struct edge_call *call, unsigned status, const char *format, ...)
{
	char text[ERROR_MAX];
	struct buffer body = {0};
	const char *headers = "";
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	buffer_append_str(&body, "{\"error\":");
	/* A name from a URL is any bytes, and may have been cut inside a character. */
	edge_put_name(&body, slice_of(text));
	buffer_append_str(&body, "}\n");
	if (status == 503 || status == 429)
		headers = "Retry-After: 1\r\nCache-Control: no-store\r\n";
	else if (status == 401)
		headers = "WWW-Authenticate: Bearer\r\nCache-Control: no-store\r\n";
	edge_answer(call, status, headers, "application/json", buffer_slice(&body));
	buffer_release(&body);
}

/* What the replies begin with. */
static const struct {
	const char *prefix;
	unsigned status;
} statuses[] = {
    {"NOPERM ", 403},
    {"READONLY ", 503},
    {"OOM ", 503},
    {"CLUSTERDOWN ", 503},
    {"ERR max publish rate of this ", 429},
    {"ERR message too long ", 413},
    {"ERR max number of ", 503},
};

static unsigned
status_of(struct slice reply)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		size_t len = strlen(statuses[i].prefix);

		if (reply.len >= len && memcmp(reply.ptr, statuses[i].prefix, len) == 0)
			return statuses[i].status;
	}
	return 400;
}

void
edge_answer_refusal(struct edge_call *call)
{
	struct slice reply = buffer_slice(call->rq->reply);
	char text[ERROR_MAX];
	unsigned status;
	size_t code = 0, len;

	assert(reply.len > 3 && reply.ptr[0] == '-');
	reply = (struct slice){reply.ptr + 1, reply.len - 3};
	status = status_of(reply);
	while (code < reply.len && reply.ptr[code] != ' ')
		code++;
	if (code < reply.len)
		code++;
	len = reply.len - code < sizeof(text) - 1 ? reply.len - code : sizeof(text) - 1;
	memcpy(text, reply.ptr + code, len);
	text[len] = '\0';
	buffer_clear(call->rq->reply);
	edge_answer_error(call, status, "%s", text);
}

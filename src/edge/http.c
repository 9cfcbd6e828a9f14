#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "edge/call.h"
#include "edge/edge.h"
#include "edge/forwarded.h"
#include "edge/routes.h"
#include "edge/session.h"
#include "http/protocol.h"
#include "http/response.h"
#include "http/target.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/client_peer.h"
#include "server/door.h"
#include "server/held.h"
#include "server/request.h"
#include "server/server.h"

/* HTTP requests: the checks that all have in common, and their routes. */

/* For how long a browser may remember the answer to a preflight, in seconds. */
#define PREFLIGHT_MAX_AGE "600"

static bool
is_method(const struct edge_call *call, const struct edge_route *route)
{
	if (slice_is(call->method, "GET") || call->is_head)
		return (route->methods & EDGE_GET) != 0;
	return slice_is(call->method, "POST") && (route->methods & EDGE_POST) != 0;
}

/* The methods of a route, as a header. */
static const char *const allowed[] = {
    [EDGE_GET] = "Allow: GET, HEAD, OPTIONS\r\n",
    [EDGE_POST] = "Allow: POST, OPTIONS\r\n",
    [EDGE_GET | EDGE_POST] = "Allow: GET, HEAD, POST, OPTIONS\r\n",
};

static void
refuse_method(struct edge_call *call, const struct edge_route *route)
{
	edge_answer(call, 405, allowed[route->methods], "application/json",
	    SLICE("{\"error\":\"method not allowed\"}\n"));
}

/* OPTIONS: the preflight of a request from another origin, or a question of a person. */
static void
answer_options(struct edge_call *call, const struct edge_route *route)
{
	struct buffer headers = {0};

	buffer_append_str(&headers, allowed[route->methods]);
	if (call->origin_verdict != EDGE_ORIGIN_NONE) {
		buffer_append_str(&headers, "Access-Control-Allow-Methods: ");
		buffer_append_str(
		    &headers, (route->methods & EDGE_POST) != 0 ? "GET, POST\r\n" : "GET\r\n");
		buffer_append_str(&headers,
		    "Access-Control-Allow-Headers: Authorization, Cache-Control, Content-Type, "
		    "Last-Event-ID, X-Idempotency-Key\r\n"
		    "Access-Control-Max-Age: " PREFLIGHT_MAX_AGE "\r\n");
	}
	buffer_append(&headers, "", 1);
	edge_answer(call, 204, headers.ptr, NULL, SLICE(""));
	buffer_release(&headers);
}

static bool
is_admin(const struct edge_call *call)
{
	const struct edge_io *io = &call->edge->io;

	return call->is_client_known &&
	       io->is_admin(io->arg, client_peer_address(call->rq->client->peer));
}

static void
refuse_origin(struct edge_call *call)
{
	call->edge->figures.denied_origins++;
	edge_answer_error(call, 403, "origin not allowed (http-allowed-origins)");
}

static enum command_result
dispatch(struct edge_call *call, bool is_decoded)
{
	const struct edge_route *route =
	    edge_route_find(buffer_slice(&call->path), call->edge->config->doors);

	if (!is_decoded) {
		edge_answer_error(call, 400, "invalid path");
		return COMMAND_DONE;
	}
	if (!edge_host_is_served(&call->edge->config->hosts, edge_call_header(call, "host"))) {
		call->edge->figures.denied_origins++;
		edge_answer_error(call, 403, "host not served (http-hosts)");
		return COMMAND_DONE;
	}
	if (slice_is(buffer_slice(&call->path), "*")) { /* only of OPTIONS: http/protocol.h */
		edge_answer(call, 204, "", NULL, SLICE(""));
		return COMMAND_DONE;
	}
	if (route == NULL || (route->is_for_admin && !is_admin(call))) {
		edge_answer_error(call, 404, "not found");
		return COMMAND_DONE;
	}
	if (call->origin_verdict == EDGE_ORIGIN_DENIED) {
		refuse_origin(call);
		return COMMAND_DONE;
	}
	if (slice_is(call->method, "OPTIONS")) {
		answer_options(call, route);
		return COMMAND_DONE;
	}
	if (!is_method(call, route)) {
		refuse_method(call, route);
		return COMMAND_DONE;
	}
	if (route->is_prefix)
		call->subpath = (struct slice){
		    call->path.ptr + strlen(route->path), call->path.len - strlen(route->path)};
	return route->handler(call);
}

static enum command_result
handle(struct request *rq)
{
	struct edge_session *s = edge_session_of(rq->client);
	enum command_result result;
	struct edge_call call;
	bool is_decoded;

	if (rq->argv[HTTP_METHOD].len == 0) { /* Expect: 100-continue; the request itself follows */
		buffer_append_str(rq->reply, "HTTP/1.1 100 Continue\r\n\r\n");
		return COMMAND_DONE;
	}
	is_decoded = edge_call_init(&call, rq, s);
	call.is_client_known = edge_forwarded_apply(s, rq);
	result = dispatch(&call, is_decoded);
	edge_call_release(&call);
	return result;
}

/* Waits as a publishing command does: most requests do not, but each may be the one. */
static const struct command http_command = {
    .name = "http",
    .handler = handle,
    .flags = CMD_PUBSUB | CMD_MAY_REPLICATE,
};

static const struct command read_command = {
    .name = "http",
    .handler = handle,
    .flags = CMD_READONLY,
};

/* Not paused by CLIENT PAUSE, so that health checks go on. */
static const struct command page_command = {
    .name = "http",
    .handler = handle,
    .flags = CMD_READONLY | CMD_ALLOW_BUSY,
};

/* A page whose path is encoded is served like any other URL. */
static const struct command *
command_of(const struct edge *edge, const struct slice *args)
{
	const struct edge_route *route;

	if (slice_is(args[HTTP_METHOD], "POST"))
		return &http_command;
	route = edge_route_find(http_split_target(args[HTTP_TARGET]).path, edge->config->doors);
	return route != NULL && route->is_page ? &page_command : &read_command;
}

enum request_verdict
edge_request(void *client, const struct slice *args, size_t count)
{
	struct edge_session *s = edge_session_of(client);

	assert(count >= HTTP_FIELDS);
	if (s->state > EDGE_OPENING)
		return REQUEST_NEXT;
	return server_door_request(client, command_of(s->edge, args), args, count);
}

/* error is "STATUS text": see http/protocol.h. */
void
edge_broken(void *client, const char *error)
{
	struct edge_session *s = edge_session_of(client);
	unsigned status = (unsigned)strtoul(error, NULL, 10);
	struct buffer response = {0};

	s->edge->figures.broken_requests++;
	if (!edge_session_move(s, EDGE_EVENT_END))
		return;
	http_put_error(&response, error);
	s->edge->figures.responses[status / 100 % EDGE_STATUS_CLASSES]++;
	held_push_reply(client, buffer_slice(&response));
	buffer_release(&response);
	server_broken(client, error);
}

#include "config.h"

#include "base/buffer.h"
#include "edge/call.h"
#include "edge/demo.h"
#include "edge/handlers.h"
#include "edge/session.h"
#include "server/core.h"
#include "server/lame_duck.h"
#include "server/metrics.h"
#include "server/request.h"

/* Pages: responses that need no rights of a user. */

#define NOT_STORED "Cache-Control: no-store\r\n"

/* The loop turns: whoever gets this answer knows it. */
enum command_result
edge_healthz(struct edge_call *call)
{
	edge_session_admit(call->session, true);
	edge_answer(call, 200, NOT_STORED, "text/plain; charset=utf-8", SLICE("ok\n"));
	return COMMAND_DONE;
}

/* Whether new clients should come here. */
enum command_result
edge_readyz(struct edge_call *call)
{
	edge_session_admit(call->session, true);
	if (call->rq->server->lame_duck->state == LAME_DUCK_NOT)
		edge_answer(call, 200, NOT_STORED, "text/plain; charset=utf-8", SLICE("ready\n"));
	else
		edge_answer(call, 503, NOT_STORED "Retry-After: 5\r\n", "text/plain; charset=utf-8",
		    SLICE("shutting down\n"));
	return COMMAND_DONE;
}

enum command_result
edge_metrics_page(struct edge_call *call)
{
	enum metrics_format format = metrics_format_for(edge_call_header(call, "accept"));
	struct buffer page = {0};

	edge_session_admit(call->session, true);
	metrics_put(call->rq->server, format, &page);
	edge_answer(call, 200, NOT_STORED, metrics_content_types[format], buffer_slice(&page));
	buffer_release(&page);
	return COMMAND_DONE;
}

/* The page has everything in itself and talks to this server only. */
enum command_result
edge_demo(struct edge_call *call)
{
	edge_session_admit(call->session, true);
	edge_answer(call, 200,
	    "Cache-Control: no-cache\r\n"
	    "Content-Security-Policy: default-src 'none'; script-src 'unsafe-inline'; "
	    "style-src 'unsafe-inline'; connect-src 'self' ws: wss:; img-src data:; "
	    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\n"
	    "X-Content-Type-Options: nosniff\r\n",
	    "text/html; charset=utf-8", edge_demo_page);
	return COMMAND_DONE;
}

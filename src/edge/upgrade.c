#include "config.h"

#include "edge/call.h"
#include "edge/forms.h"
#include "edge/forwarded.h"
#include "edge/handlers.h"
#include "edge/login.h"
#include "edge/session.h"
#include "edge/socket.h"
#include "http/ws_handshake.h"
#include "pubsub/hub.h"
#include "server/client.h"
#include "server/io.h"
#include "server/lame_duck.h"
#include "server/request.h"

/* GET /ws: the request that becomes a WebSocket. */

/* Centrifugo's JSON protocol, as some clients name it. */
#define SUBPROTOCOL "centrifuge-json"

static void
refuse(struct edge_call *call, enum ws_handshake_fault fault)
{
	struct buffer headers = {0}, body = {0};

	buffer_append_slice(&headers, ws_handshake_headers(fault));
	buffer_append(&headers, "", 1);
	buffer_appendf(&body, "{\"error\":\"%s\"}\n", ws_handshake_text(fault));
	edge_answer(
	    call, ws_handshake_status(fault), headers.ptr, "application/json", buffer_slice(&body));
	buffer_release(&headers);
	buffer_release(&body);
}

/*
 * A token in the request is checked at once. Without one the connect command may bring it; the
 * token of an earlier request of the same connection, which may be a proxy's, does not count.
 */
static enum edge_login
log_in(struct edge_call *call, const char **why)
{
	struct buffer token = {0};
	bool has_token;

	edge_find_token(call, &token);
	has_token = token.len > 0;
	buffer_release(&token);
	if (has_token)
		return edge_call_log_in(call, why);
	edge_session_set_grant(call->session, NULL);
	return EDGE_LOGIN_OK;
}

static void
become_socket(struct edge_call *call, const struct ws_handshake *handshake)
{
	struct edge_session *s = call->session;
	struct client *c = call->rq->client;

	ws_handshake_put(call->rq->reply, handshake);
	call->edge->figures.responses[1]++;
	hub_set_form(
	    &c->subscriber, (uint8_t)(call->edge->first_form +
				      (handshake->deflates ? EDGE_FORM_WS_DEFLATE : EDGE_FORM_WS)));
	(void)edge_session_move(s, EDGE_EVENT_UPGRADE);
	edge_session_admit(s, false);
	c->server->io->switch_protocol(
	    client_conn(c), handshake->deflates ? SERVER_PROTOCOL_WS_DEFLATE : SERVER_PROTOCOL_WS);
	edge_socket_began(s, call->rq->now_us);
}

enum command_result
edge_upgrade(struct edge_call *call)
{
	struct request *rq = call->rq;
	struct ws_handshake handshake;
	enum edge_login login;
	const char *why = "";
	enum ws_handshake_fault fault = ws_handshake_judge(
	    rq->argv, rq->argc, call->edge->config->ws_deflate, SUBPROTOCOL, &handshake);

	if (fault != WS_HANDSHAKE_OK) {
		refuse(call, fault);
		return COMMAND_DONE;
	}
	if (rq->server->lame_duck->state != LAME_DUCK_NOT) {
		edge_answer_error(call, 503, "the server is shutting down");
		return COMMAND_DONE;
	}
	login = log_in(call, &why);
	if (login != EDGE_LOGIN_OK)
		return edge_call_refuse_login(call, login, why);
	if (!edge_forwarded_admit(call->session)) {
		edge_answer_error(call, 503, EDGE_FORWARDED_REFUSAL);
		return COMMAND_DONE;
	}
	become_socket(call, &handshake);
	return COMMAND_DONE;
}

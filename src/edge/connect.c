#include "config.h"

#include <inttypes.h>

#include "base/clock.h"
#include "edge/login.h"
#include "edge/methods.h"
#include "edge/presence.h"
#include "edge/session.h"
#include "edge/socket.h"
#include "edge/subscriptions.h"
#include "server/client.h"
#include "server/request.h"
#include "token/grant.h"

/* The commands connect and refresh. */

/* "expires":true,"ttl":540, unless the token has no end. */
static void
put_expiry(struct edge_command *command)
{
	const struct edge_session *s = command->session;
	const struct token_grant *grant = s->grant;
	uint64_t now_s = s->edge->io.wall_s(s->edge->io.arg);

	if (grant == NULL || !grant->has_end)
		return;
	buffer_appendf(&command->result, ",\"expires\":true,\"ttl\":%" PRIu64,
	    grant->refresh_s > now_s ? grant->refresh_s - now_s : 1);
}

/* An error that the client can mend with another token, or the end. */
static enum edge_outcome
refuse(struct edge_command *command, enum edge_login login)
{
	switch (login) {
	case EDGE_LOGIN_NEEDED:
		return edge_fail(command, EDGE_ERROR_UNAUTHORIZED);
	case EDGE_LOGIN_EXPIRED:
		return edge_fail(command, EDGE_ERROR_EXPIRED);
	case EDGE_LOGIN_LATER:
		return EDGE_WAITS;
	case EDGE_LOGIN_TOO_MANY:
		return edge_close(command, EDGE_CLOSE_TOO_MANY);
	default:
		return edge_close(command, EDGE_CLOSE_TOKEN);
	}
}

/* The token of the command, else that of the request for the WebSocket. */
static enum edge_login
log_in(struct edge_command *command, struct slice token)
{
	struct edge_session *s = command->session;
	const char *why;

	if (token.len == 0 && s->grant != NULL)
		return EDGE_LOGIN_OK;
	return edge_log_in(s, command->rq, token, &why);
}

static void
put_result(struct edge_command *command)
{
	const struct edge_session *s = command->session;
	char name[EDGE_CLIENT_NAME_MAX];

	buffer_appendf(&command->result,
	    "\"client\":\"%s\",\"version\":\"fanfare " PACKAGE_VERSION "\",\"ping\":%" PRIu32
	    ",\"pong\":true",
	    edge_client_name(s, name), s->edge->config->ping_interval_s);
	put_expiry(command);
}

static void
joined(struct edge_session *s, uint64_t now_us)
{
	(void)edge_session_move(s, EDGE_EVENT_CONNECT);
	edge_session_admit(s, true);
	s->spoke_us = now_us;
	edge_session_schedule(s);
}

enum edge_outcome
edge_connect(struct edge_command *command)
{
	struct edge_session *s = command->session;
	struct slice token = {"", 0};
	enum edge_outcome outcome;
	enum edge_login login;

	if (s->state != EDGE_JOINING)
		return edge_close(command, EDGE_CLOSE_BAD_REQUEST);
	if (!edge_get_string(command, "token", &token))
		return edge_fail(command, EDGE_ERROR_BAD_REQUEST);
	login = log_in(command, token);
	if (login != EDGE_LOGIN_OK)
		return refuse(command, login);
	put_result(command);
	outcome = edge_subscribe_granted(command);
	if (outcome != EDGE_DONE)
		return outcome;
	joined(s, command->rq->now_us);
	return EDGE_DONE;
}

/* True if the next token is one of the same user of the application. */
static bool
is_same_subject(const struct token_grant *before, const struct edge_session *s)
{
	if (before == NULL || s->grant == NULL)
		return before == s->grant;
	return slice_eq(before->subject, s->grant->subject);
}

enum edge_outcome
edge_refresh(struct edge_command *command)
{
	struct edge_session *s = command->session;
	struct slice token = {"", 0};
	struct token_grant *before = s->grant;
	enum edge_login login;
	char name[EDGE_CLIENT_NAME_MAX];
	const char *why;
	bool is_same;

	if (!edge_get_string(command, "token", &token) || token.len == 0)
		return edge_fail(command, EDGE_ERROR_BAD_REQUEST);
	if (before != NULL)
		token_grant_ref(before);
	login = edge_log_in(s, command->rq, token, &why);
	is_same = is_same_subject(before, s);
	token_grant_unref(before);
	if (login != EDGE_LOGIN_OK)
		return refuse(command, login);
	if (!is_same)
		return edge_close(command, EDGE_CLOSE_TOKEN);
	edge_session_schedule(s);
	buffer_appendf(&command->result,
	    "\"client\":\"%s\",\"version\":\"fanfare " PACKAGE_VERSION "\"",
	    edge_client_name(s, name));
	put_expiry(command);
	edge_subscriptions_check(s, &command->after);
	return EDGE_DONE;
}

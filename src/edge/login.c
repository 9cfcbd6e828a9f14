#include "config.h"

#include "edge/login.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "edge/call.h"
#include "edge/proofs.h"
#include "edge/session.h"
#include "http/headers.h"
#include "server/access.h"
#include "server/client.h"
#include "server/client_peer.h"
#include "server/request.h"
#include "token/cache.h"
#include "token/fault.h"
#include "token/grant.h"

static struct slice
user_name(const struct edge *edge, const struct token_grant *grant)
{
	struct slice user = grant != NULL ? grant->user : (struct slice){"", 0};

	return user.len > 0 ? user : slice_of(edge->config->user);
}

/* Makes the client one of the user with that name. */
static bool
enter(struct edge_session *s, struct token_grant *grant)
{
	struct client *c = s->client;
	struct slice name = user_name(s->edge, grant);
	struct slice now = {c->user->name, c->user->name_len};

	if (c->user->deleted || !slice_eq(now, name) || !c->authenticated)
		if (!server_log_in(c, name))
			return false;
	edge_session_set_grant(s, grant);
	edge_session_admit(s, true);
	return true;
}

static void
log_refusal(struct edge_session *s, const char *why)
{
	char label[160];

	s->edge->figures.denied_tokens++;
	if (edge_may_log(s->edge))
		log_notice("refusing a token of client %s: %s",
		    client_label(s->client, label, sizeof(label)), why);
}

/* A verdict about a token without checking it; EDGE_LOGIN_OK: check it. A token that was seen
 * before costs no signature, so its bearer does not wait for what others do at the same address. */
static enum edge_login
may_check(struct edge_session *s, struct request *rq, struct slice token)
{
	struct edge *edge = s->edge;

	if (token_is_known(edge->tokens, token) ||
	    edge_proof_of(s->proof, edge->tokens, token) != NULL)
		return EDGE_LOGIN_OK;
	switch (access_may_verify(rq)) {
	case ACCESS_LATER:
		return EDGE_LOGIN_LATER;
	case ACCESS_DENIED:
		return EDGE_LOGIN_TOO_MANY;
	default:
		return edge_proof_begin(&edge->proofs, &s->proof, edge->tokens, rq, token)
			   ? EDGE_LOGIN_LATER
			   : EDGE_LOGIN_OK;
	}
}

static enum edge_login
refuse(struct edge_session *s, enum edge_login login, const char *text, const char **why)
{
	*why = text;
	log_refusal(s, text);
	return login;
}

static enum edge_login
check_token(struct edge_session *s, struct request *rq, struct slice token, enum token_use use,
    struct token_grant **grant, const char **why)
{
	struct edge *edge = s->edge;
	const struct token_proof *proof;
	enum edge_login login;
	enum token_fault fault;

	if (edge->tokens == NULL)
		return refuse(s, EDGE_LOGIN_REFUSED, token_fault_text(TOKEN_NO_KEYS), why);
	login = may_check(s, rq, token);
	if (login == EDGE_LOGIN_TOO_MANY)
		return refuse(s, login, "too many wrong tokens from this address", why);
	if (login != EDGE_LOGIN_OK)
		return login;
	proof = edge_proof_of(s->proof, edge->tokens, token);
	fault = token_check_proved(
	    edge->tokens, token, use, proof, edge->io.wall_s(edge->io.arg), grant);
	if (fault == TOKEN_BAD_SIGNATURE && proof == NULL)
		access_wrong_token(rq->server, client_peer_origin(rq->client->peer), rq->now_us);
	edge_proof_drop(&s->proof);
	if (fault == TOKEN_OK)
		return EDGE_LOGIN_OK;
	return refuse(s, fault == TOKEN_EXPIRED ? EDGE_LOGIN_EXPIRED : EDGE_LOGIN_REFUSED,
	    token_fault_text(fault), why);
}

enum edge_login
edge_check_token(struct edge_session *s, struct request *rq, struct slice token,
    struct token_grant **grant, const char **why)
{
	return check_token(s, rq, token, TOKEN_FOR_SUBSCRIPTION, grant, why);
}

static enum edge_login
log_in_with(struct edge_session *s, struct request *rq, struct slice token, const char **why)
{
	struct token_grant *grant = NULL;
	enum edge_login login = check_token(s, rq, token, TOKEN_FOR_CONNECTION, &grant, why);

	if (login == EDGE_LOGIN_OK && !enter(s, grant))
		login = refuse(s, EDGE_LOGIN_REFUSED, "the user of the token may not log in", why);
	token_grant_unref(grant);
	return login;
}

enum edge_login
edge_log_in(struct edge_session *s, struct request *rq, struct slice token, const char **why)
{
	if (token.len > 0)
		return log_in_with(s, rq, token, why);
	if (!s->edge->config->anonymous) {
		*why = "a token is needed";
		return EDGE_LOGIN_NEEDED;
	}
	if (enter(s, NULL))
		return EDGE_LOGIN_OK;
	*why = "the user edge-user may not log in";
	return EDGE_LOGIN_REFUSED;
}

/*
 * A cookie is sent with requests of any page. One of another origin is recognised by the header
 * Origin, which browsers send with every request that can change something or whose response the
 * page can read.
 */
static bool
may_use_cookie(const struct edge_call *call)
{
	struct slice site = edge_call_header(call, "sec-fetch-site");

	switch (call->origin_verdict) {
	case EDGE_ORIGIN_SAME:
	case EDGE_ORIGIN_LISTED:
		return true;
	case EDGE_ORIGIN_NONE:
		return (slice_is(call->method, "GET") || call->is_head) &&
		       !slice_is(site, "cross-site");
	default:
		return false;
	}
}

static bool
find_bearer(const struct edge_call *call, struct buffer *token)
{
	struct slice value = edge_call_header(call, "authorization");
	static const char scheme[] = "bearer ";
	size_t len = sizeof(scheme) - 1;

	if (value.len <= len || !slice_is_nocase((struct slice){value.ptr, len}, scheme))
		return false;
	while (len < value.len && value.ptr[len] == ' ')
		len++;
	buffer_append(token, value.ptr + len, value.len - len);
	return token->len > 0;
}

static bool
find_cookie(const struct edge_call *call, struct buffer *token)
{
	const char *name = call->edge->config->token_cookie;
	struct slice value;

	if (name[0] == '\0' || !may_use_cookie(call) ||
	    http_cookie(call->rq->argv, call->rq->argc, name, &value) == 0)
		return false;
	buffer_append_slice(token, value);
	return token->len > 0;
}

void
edge_find_token(const struct edge_call *call, struct buffer *token)
{
	if (!find_bearer(call, token) && !find_cookie(call, token))
		(void)edge_call_parameter(call, "token", token);
}

enum edge_login
edge_call_log_in(struct edge_call *call, const char **why)
{
	struct buffer token = {0};
	enum edge_login login;

	edge_find_token(call, &token);
	login = edge_log_in(call->session, call->rq, buffer_slice(&token), why);
	buffer_release(&token);
	return login;
}

enum command_result
edge_call_refuse_login(struct edge_call *call, enum edge_login login, const char *why)
{
	if (login == EDGE_LOGIN_LATER)
		return COMMAND_LATER;
	edge_answer_error(call, login == EDGE_LOGIN_TOO_MANY ? 429 : 401, "%s", why);
	return COMMAND_DONE;
}

#include "config.h"

#include <string.h>

#include "acl/login_delay.h"
#include "acl/user.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "server/access.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/client_peer.h"
#include "server/server_config.h"
#include "server/statistics.h"
#include "token/cache.h"
#include "token/grant.h"

/*
 * Logins with a token (AUTH <user> <token>) of users that have the rule jwt, and the end of their
 * sessions, which comes with the token's.
 */

/* The most clients closed in one turn. */
#define ENDED_A_TURN 256

/*
 * Signatures verified for addresses from which wrong ones came, after their delay, and how many at
 * once. A signature takes up to 0.15 ms, so all of them take a few percent of the main loop,
 * whatever the number of connections.
 */
#define LATE_A_SECOND 200
#define LATE_AT_ONCE 20

/* A later end is none: times in us must not overflow. */
#define END_MAX_S (UINT64_C(100) * 365 * 86400)

static void
end_moved(void *thing, uint32_t place)
{
	((struct client *)thing)->session->token_place = place;
}

static const struct time_queue_ops end_ops = {
    .moved = end_moved,
    .realloc = xrealloc,
    .free = xfree,
};

void
access_tokens_init(struct access *access)
{
	time_queue_init(&access->token_ends, &end_ops);
	rate_limit_init(&access->late_tokens, LATE_A_SECOND, LATE_AT_ONCE);
}

void
access_tokens_release(struct access *access)
{
	time_queue_release(&access->token_ends);
}

void
server_set_tokens(struct server *server, struct tokens *tokens)
{
	server->access->tokens = tokens;
}

struct token_figures
access_token_figures(const struct server *server)
{
	const struct tokens *tokens = server->access->tokens;

	return tokens != NULL ? *tokens_figures(tokens) : (struct token_figures){0};
}

uint64_t
access_refused_tokens(const struct server *server)
{
	struct token_figures figures = access_token_figures(server);
	uint64_t sum = 0;

	for (int fault = TOKEN_OK + 1; fault < TOKEN_FAULTS; fault++)
		sum += figures.faults[fault];
	return sum;
}

bool
access_is_token(struct slice password)
{
	size_t dots = 0;

	for (const char *at = password.ptr, *end = at + password.len;
	     dots < 3 && (at = memchr(at, '.', (size_t)(end - at))) != NULL; at++)
		dots++;
	return dots == 2;
}

/*
 * The token is verified whether or not the user exists, so that the time does not tell. Its claims
 * about channels cannot bound the commands of RESP, so such a token is refused rather than taken
 * for more than it says.
 */
const char *
access_check_token(const struct server *server, const struct acl_user *user, struct slice name,
    struct slice token, struct token_grant **grant, bool *is_signed)
{
	enum token_fault fault;
	const char *why = NULL;

	*grant = NULL;
	*is_signed = false;
	if (server->access->tokens == NULL)
		return token_fault_text(TOKEN_NO_KEYS);
	fault = token_check(
	    server->access->tokens, token, TOKEN_FOR_CONNECTION, clock_wall_us() / 1000000, grant);
	if (fault != TOKEN_OK) {
		*is_signed = fault == TOKEN_EXPIRED || fault == TOKEN_NOT_YET ||
			     fault == TOKEN_OF_SUBSCRIPTION;
		return token_fault_text(fault);
	}
	*is_signed = true;
	if (!slice_eq((*grant)->user, name)) {
		why = "the token does not name this user (\"fanfare\":{\"user\":...})";
	} else if ((*grant)->has_caps) {
		why = "a token with claims about channels is for HTTP only";
	} else if (user == NULL || !user->enabled || !user->jwt) {
		*is_signed = false;
		why = "the user may not log in with a token";
	}
	if (why != NULL) {
		token_grant_unref(*grant);
		*grant = NULL;
	}
	return why;
}

bool
access_takes_late_token(struct request *rq)
{
	return rate_limit_take(&rq->server->access->late_tokens, rq->now_us);
}

enum access_login
access_may_verify(struct request *rq)
{
	bool has_waited = rq->client->pending->login_at_us != 0;

	if (access_must_wait(rq))
		return ACCESS_LATER;
	if (has_waited && !access_takes_late_token(rq))
		return ACCESS_DENIED;
	return ACCESS_GRANTED;
}

bool
access_has_failed(const struct client *c)
{
	return login_is_known(c->server->access->login_delays, client_peer_origin(c->peer));
}

void
access_wrong_token(struct server *server, struct slice origin, uint64_t now_us)
{
	server->statistics->counters.auth_failures++;
	login_failed(server->access->login_delays, origin, now_us,
	    (uint64_t)server->config->auth_delay_max_ms * 1000);
}

void
access_set_token_end(struct client *c, uint64_t now_us, const struct token_grant *grant)
{
	uint64_t wall_us = clock_wall_us();
	struct session *session;

	if (!grant->has_end || grant->ends_s > wall_us / 1000000 + END_MAX_S)
		return;
	session = session_of(c);
	session->token_ends_us =
	    now_us + (grant->ends_s * 1000000 > wall_us ? grant->ends_s * 1000000 - wall_us : 0);
	time_queue_add(&c->server->access->token_ends, c, (int64_t)session->token_ends_us);
}

void
access_forget_token_end(struct client *c)
{
	if (c->session == NULL || c->session->token_ends_us == 0)
		return;
	time_queue_remove(&c->server->access->token_ends, c->session->token_place);
	c->session->token_ends_us = 0;
	session_trim(c);
}

uint64_t
access_end_tokens(struct server *server, uint64_t now_us)
{
	const struct time_queue_entry *first;

	for (size_t n = 0; (first = time_queue_first(&server->access->token_ends)) != NULL; n++) {
		struct client *c = first->thing;

		if ((uint64_t)first->at > now_us)
			return (uint64_t)first->at - now_us;
		if (n == ENDED_A_TURN)
			return 0;
		access_forget_token_end(c);
		if (!client_is_dead(c))
			client_kill(c, "its token expired");
	}
	return UINT64_MAX;
}

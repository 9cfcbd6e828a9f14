#ifndef EDGE_LOGIN_H
#define EDGE_LOGIN_H

#include <stdbool.h>

#include "base/bytes.h"
#include "server/command.h"

/*
 * Login: finds out who a session is. A request may carry a token in a header, a cookie or its
 * target; a WebSocket's connect command may carry one. A token that is refused never makes an
 * anonymous session.
 */
struct edge_call;
struct edge_session;
struct request;
struct token_grant;

enum edge_login {
	EDGE_LOGIN_OK,
	EDGE_LOGIN_NEEDED,   /* no token, and edge-anonymous is no */
	EDGE_LOGIN_EXPIRED,  /* the token was valid */
	EDGE_LOGIN_REFUSED,  /* the token is wrong, or its user may not log in */
	EDGE_LOGIN_LATER,    /* wrong tokens came from its address, or an I/O thread verifies the
				token: the request waits (rq->waits_for) and does this again */
	EDGE_LOGIN_TOO_MANY, /* ... so many that it cannot be checked now */
};

/* token empty: none was sent. *why is a literal for the peer, unless it is EDGE_LOGIN_OK. */
enum edge_login edge_log_in(struct edge_session *s, struct request *rq, struct slice token,
    const char **why) __attribute__((warn_unused_result));

/* Checks the token of a subscription. EDGE_LOGIN_OK: *grant is a reference. */
enum edge_login edge_check_token(struct edge_session *s, struct request *rq, struct slice token,
    struct token_grant **grant, const char **why) __attribute__((warn_unused_result));

/* The token of a request: in Authorization, else in the cookie token-cookie if the origin is
 * allowed to use cookies, else in the parameter `token`. Appends it; nothing if there is none. */
struct buffer;
void edge_find_token(const struct edge_call *call, struct buffer *token);

/* edge_log_in() with the token of the request. */
enum edge_login edge_call_log_in(struct edge_call *call, const char **why)
    __attribute__((warn_unused_result));

/* What the handler returns then, unless it is EDGE_LOGIN_OK. Answers with 401 or 429, or the
 * request waits. */
enum command_result edge_call_refuse_login(
    struct edge_call *call, enum edge_login login, const char *why);

#endif

#ifndef EDGE_LOGIN_H
#define EDGE_LOGIN_H

#include <stdbool.h>

#include "base/bytes.h"

/*
 * Login: finds out who a session is. A request may carry a token in a header, a cookie or its
 * target; a WebSocket's connect command may carry one. A token that is refused never makes an
 * anonymous session.
 */
struct edge_call;
struct edge_session;

enum edge_login {
	EDGE_LOGIN_OK,
	EDGE_LOGIN_NEEDED,  /* no token, and edge-anonymous is no */
	EDGE_LOGIN_EXPIRED, /* the token was valid */
	EDGE_LOGIN_REFUSED, /* the token is wrong, or its user may not log in */
};

/* token empty: none was sent. *why is a literal for the peer, unless it is EDGE_LOGIN_OK. */
enum edge_login edge_log_in(struct edge_session *s, struct slice token, const char **why)
    __attribute__((warn_unused_result));

/* The token of a request: in Authorization, else in the cookie token-cookie if the origin is
 * allowed to use cookies, else in the parameter `token`. Appends it; nothing if there is none. */
struct buffer;
void edge_find_token(const struct edge_call *call, struct buffer *token);

/* edge_log_in() with the token of the request. False: the request has its answer. */
bool edge_call_log_in(struct edge_call *call) __attribute__((warn_unused_result));

#endif

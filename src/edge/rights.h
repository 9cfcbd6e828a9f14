#ifndef EDGE_RIGHTS_H
#define EDGE_RIGHTS_H

#include <stdbool.h>

#include "base/bytes.h"

/*
 * Rights: what a session may do with a channel or pattern.
 *
 * Without a token: what the rules of its user (edge-user) allow. With a token that names no user:
 * what its claims grant, and what the rules of edge-user allow. With a token that names a user:
 * what the claims grant within the rules of that user; these rules alone if it has no such claims.
 */
struct edge_session;
struct token_grant;

enum edge_right { EDGE_SUBSCRIBE, EDGE_PUBLISH, EDGE_HISTORY, EDGE_PRESENCE };

/* A pattern (EDGE_SUBSCRIBE only) must be granted literally, as PSUBSCRIBE in ACLs. */
bool edge_may(const struct edge_session *s, enum edge_right right, struct slice name,
    bool is_pattern) __attribute__((warn_unused_result));

/* For the token of a subscription: false if it names a user (fanfare.user) that is not the
 * session's, or that may not subscribe. */
bool edge_user_allows(const struct edge_session *s, const struct token_grant *grant,
    struct slice name, bool is_pattern) __attribute__((warn_unused_result));

/* What the rules of its user say, whatever its token grants. */
bool edge_user_may_subscribe(const struct edge_session *s, struct slice name, bool is_pattern);

#endif

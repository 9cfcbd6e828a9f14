#include "config.h"

#include "edge/rights.h"

#include "acl/check.h"
#include "acl/user.h"
#include "edge/session.h"
#include "server/client.h"
#include "server/command.h"
#include "server/core.h"
#include "server/server_config.h"
#include "token/grant.h"

/* The command that a RESP client would need the rights for. */
struct like {
	const char *container, *name;
};

static const struct like likes[] = {
    [EDGE_SUBSCRIBE] = {NULL, "subscribe"},
    [EDGE_PUBLISH] = {NULL, "publish"},
    [EDGE_HISTORY] = {"history", "range"},
    [EDGE_PRESENCE] = {"presence", "members"},
};

static const enum token_right token_rights[] = {
    [EDGE_SUBSCRIBE] = TOKEN_SUBSCRIBE,
    [EDGE_PUBLISH] = TOKEN_PUBLISH,
    [EDGE_HISTORY] = TOKEN_HISTORY,
    [EDGE_PRESENCE] = TOKEN_PRESENCE,
};

static bool
user_may(const struct client *c, enum edge_right right, struct slice name, bool is_pattern)
{
	const struct command_table *commands = c->server->commands;
	struct like like = is_pattern ? (struct like){NULL, "psubscribe"} : likes[right];
	const struct command *container = NULL, *command;
	struct slice argv[3];
	size_t argc = 0, at;

	if (c->user->deleted || !c->user->enabled)
		return false;
	if (c->user->unrestricted)
		return true;
	if (like.container != NULL) {
		argv[argc++] = slice_of(like.container);
		container = command_find(commands, NULL, argv[0]);
	}
	argv[argc] = slice_of(like.name);
	command = command_find(commands, container, argv[argc++]);
	argv[argc++] = name;
	return acl_check(c->user, command_acl(commands, command), argv, argc,
		   c->server->config->queue_groups, &at) == ACL_ALLOWED;
}

bool
edge_may(const struct edge_session *s, enum edge_right right, struct slice name, bool is_pattern)
{
	const struct client *c = s->client;

	const struct token_grant *grant = s->grant;

	if (grant == NULL || !grant->has_caps)
		return user_may(c, right, name, is_pattern);
	if (token_grant_allows(grant, token_rights[right], name, is_pattern))
		return grant->user.len == 0 || user_may(c, right, name, is_pattern);
	return grant->user.len == 0 && user_may(c, right, name, is_pattern);
}

bool
edge_user_allows(const struct edge_session *s, const struct token_grant *grant, struct slice name,
    bool is_pattern)
{
	const struct acl_user *user = s->client->user;

	if (grant->user.len == 0)
		return true;
	return slice_eq(grant->user, (struct slice){user->name, user->name_len}) &&
	       user_may(s->client, EDGE_SUBSCRIBE, name, is_pattern);
}

bool
edge_user_may_subscribe(const struct edge_session *s, struct slice name, bool is_pattern)
{
	return user_may(s->client, EDGE_SUBSCRIBE, name, is_pattern);
}

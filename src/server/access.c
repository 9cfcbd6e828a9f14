#include "config.h"

#include "server/access.h"

#include <inttypes.h>
#include <string.h>

#include "acl/acl.h"
#include "acl/acl_log.h"
#include "acl/check.h"
#include "acl/login_delay.h"
#include "acl/user.h"
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rate_limit.h"
#include "pubsub/channel_options.h"
#include "pubsub/hub_options.h"
#include "pubsub/queue_name.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/client_limits.h"
#include "server/client_peer.h"
#include "server/command.h"
#include "server/io.h"
#include "server/request.h"
#include "server/server_config.h"
#include "server/statistics.h"
#include "server/wait.h"
#include "token/grant.h"

/* The most logins resumed in one turn. */
#define RESUMED_A_TURN 256

/* Channels of a publishing command that are checked when it is queued. */
#define CHECKED_WHEN_QUEUED 1000

/* The most bytes of channel names compared with patterns in one turn. */
#define LOOK_WORK ((size_t)256 << 10)

static struct slice
requirepass_of(const struct server_config *config)
{
	const char *password = config->requirepass;

	return slice_of(password != NULL ? password : "");
}

static struct slice
requirepass(const struct server *server)
{
	return requirepass_of(server->config);
}

static void
keep_edge_user(struct server *server, bool is_needed)
{
	const char *name = server->config->edge_user;

	if (name != NULL && (is_needed || server->config->has_edge_port))
		acl_keep_user(server->access->acl, slice_of(name));
}

void
access_init(struct server *server)
{
	server->access->acl = acl_new(server->commands->acl);
	server->access->default_user = acl_default(server->access->acl);
	server->access->login_delays = login_delays_new();
	acl_log_init(&server->access->log);
	keep_edge_user(server, false);
	access_tokens_init(server->access);
	acl_set_all_channels(server->access->acl, server->config->acl_pubsub_default);
	acl_set_default_password(server->access->acl, requirepass(server));
	acl_hash(requirepass(server), server->access->requirepass_hash);
}

void
access_release(struct server *server)
{
	acl_free(server->access->acl);
	login_delays_free(server->access->login_delays);
	access_tokens_release(server->access);
	acl_log_reset(&server->access->log);
}

/* requirepass sets the password of the user default; ACL SETUSER may have added others since. */
void
access_reconfigured(struct server *server)
{
	char hash[ACL_HASH_LEN];

	acl_set_all_channels(server->access->acl, server->config->acl_pubsub_default);
	keep_edge_user(server, access_edge_user(server) != NULL);
	acl_hash(requirepass(server), hash);
	if (memcmp(hash, server->access->requirepass_hash, sizeof(hash)) == 0)
		return;
	memcpy(server->access->requirepass_hash, hash, sizeof(hash));
	acl_set_default_password(server->access->acl, requirepass(server));
}

bool
access_needs_auth(const struct server *server)
{
	return !server->access->default_user->nopass || !server->access->default_user->enabled;
}

bool
access_needs_login(const struct client *c)
{
	return !c->authenticated && access_needs_auth(c->server);
}

bool
server_has_password(const struct server *server)
{
	return !server->access->default_user->nopass;
}

void
access_attach(struct client *c)
{
	c->user = acl_user_ref(c->server->access->default_user);
	c->authenticated = !access_needs_auth(c->server);
}

struct acl_user *
access_edge_user(const struct server *server)
{
	return acl_kept_user(server->access->acl);
}

struct acl_user *
access_need_edge_user(struct server *server)
{
	if (access_edge_user(server) == NULL)
		keep_edge_user(server, true); /* io has the port from somewhere else */
	return access_edge_user(server);
}

void
access_attach_edge(struct client *c, struct acl_user *user)
{
	acl_user_ref(user);
	acl_user_unref(c->user);
	c->user = user;
	c->authenticated = true; /* the door checks what its requests prove */
	client_apply_limits(c);
}

void
access_detach(struct client *c)
{
	access_forget_token_end(c);
	acl_user_unref(c->user);
	c->user = NULL;
}

static enum acl_log_context
context_of(const struct request *rq)
{
	if (rq->in_script)
		return ACL_LOG_SCRIPT;
	return client_transaction(rq->client) != NULL ? ACL_LOG_MULTI : ACL_LOG_TOPLEVEL;
}

static void
note(struct request *rq, enum acl_log_reason reason, struct slice object, struct slice user)
{
	struct server *server = rq->server;
	struct buffer line = {0};

	if (server->config->acllog_max_len == 0)
		return;
	client_describe(rq->client, rq->now_us, &line);
	acl_log_add(&server->access->log, server->config->acllog_max_len, clock_wall_us() / 1000,
	    reason, context_of(rq), object, user, buffer_slice(&line));
	buffer_release(&line);
}

void
access_count(struct client *c, bool counts)
{
	if (counts == c->counted_user || (counts && access_needs_login(c)))
		return;
	c->counted_user = counts;
	c->user->clients += counts ? 1 : (size_t)-1;
}

static void
become(struct client *c, struct acl_user *user, bool authenticated)
{
	acl_user_ref(user);
	access_forget_token_end(c);
	access_count(c, false);
	acl_user_unref(c->user);
	c->user = user;
	c->authenticated = authenticated;
	access_follow(c);
	client_apply_limits(c);
}

void
access_follow(struct client *c)
{
	access_count(c, true);
	c->server->io->set_unauthenticated(client_conn(c), access_needs_login(c));
}

void
access_reset(struct client *c)
{
	become(c, c->server->access->default_user, !access_needs_auth(c->server));
}

bool
access_is_full(const struct acl_user *user)
{
	return user->limits.connections != 0 && user->clients >= user->limits.connections;
}

/* A client that is the user default without having authenticated is not counted yet. */
static bool
has_room(const struct client *c, const struct acl_user *user)
{
	return (c->user == user && c->counted_user) || !access_is_full(user);
}

/* Returns false after replying with an error if the user has no room for this connection. */
static bool
enter(struct request *rq, struct acl_user *user)
{
	struct client *c = rq->client;

	if (!has_room(c, user)) {
		request_error(rq,
		    "ERR max number of connections of this user reached "
		    "(limit:connections %" PRIu32 ")",
		    user->limits.connections);
		return false;
	}
	become(c, user, true);
	return true;
}

/* The user of doors is off, because nobody has to prove to be it; only doors log clients in as it.
 */
static bool
is_usable(const struct client *c, const struct acl_user *user)
{
	return user != NULL &&
	       (user->enabled || (client_door(c) != NULL && user == access_edge_user(c->server)));
}

bool
server_log_in(struct client *c, struct slice name)
{
	struct acl_user *user = acl_find(c->server->access->acl, name);

	if (!client_is_open(c) || !is_usable(c, user) || !has_room(c, user))
		return false;
	become(c, user, true);
	return true;
}

/*
 * A login that has waited is processed: it does not wait twice, so no login waits longer than
 * auth-delay-max.
 */
bool
access_must_wait(struct request *rq)
{
	struct client *c = rq->client;
	struct slice from = client_peer_origin(c->peer);
	uint64_t max_us = (uint64_t)rq->server->config->auth_delay_max_ms * 1000, delay_us;

	if (c->pending->login_at_us != 0) {
		c->pending->login_at_us = 0;
		return false;
	}
	delay_us = login_delay(rq->server->access->login_delays, from, rq->now_us, max_us);
	if (delay_us == 0)
		return false;
	c->pending->login_at_us = rq->now_us + delay_us;
	rq->waits_for = WAIT_LOGIN;
	rq->server->statistics->counters.delayed_logins++;
	return true;
}

/* The login has failed. why: for the log. The peer is told the reason only if it may be. */
static enum access_login
fail(struct request *rq, struct slice name, const char *what, const char *why, bool tells)
{
	struct server *server = rq->server;
	char label[160];

	server->statistics->counters.auth_failures++;
	login_failed(server->access->login_delays, client_peer_origin(rq->client->peer), rq->now_us,
	    (uint64_t)server->config->auth_delay_max_ms * 1000);
	note(rq, ACL_LOG_AUTH, rq->argv[0], name);
	if (rate_limit_take(server->log_limit, rq->now_us))
		log_notice("wrong %s from client %s%s%s", what,
		    client_label(rq->client, label, sizeof(label)), why[0] != '\0' ? ": " : "",
		    why);
	if (tells)
		request_error(rq, "WRONGPASS %s", why);
	else
		request_error(rq, "WRONGPASS invalid username-password pair or user is disabled.");
	return ACCESS_DENIED;
}

static enum access_login
log_in_with_token(struct request *rq, struct acl_user *user, struct slice name, struct slice token)
{
	struct token_grant *grant;
	bool is_signed;
	const char *why = access_check_token(rq->server, user, name, token, &grant, &is_signed);
	bool entered;

	if (why != NULL)
		return fail(rq, name, "token", why, is_signed);
	entered = enter(rq, user);
	if (entered)
		access_set_token_end(rq->client, rq->now_us, grant);
	token_grant_unref(grant);
	return entered ? ACCESS_GRANTED : ACCESS_DENIED;
}

enum access_login
access_log_in(struct request *rq, struct slice name, struct slice password)
{
	struct server *server = rq->server;
	struct acl_user *user = acl_find(server->access->acl, name);
	bool has_waited = rq->client->pending->login_at_us != 0;

	if (access_must_wait(rq)) {
		if (!rq->in_transaction)
			return ACCESS_LATER;
		/*
		 * The password is not checked: otherwise a transaction full of guesses would not
		 * wait.
		 */
		rq->client->pending->login_at_us = 0;
		request_error(rq,
		    "ERR too many wrong passwords: a login now has to wait, and can't "
		    "inside a transaction");
		return ACCESS_DENIED;
	}
	if (acl_user_accepts(user, password))
		return enter(rq, user) ? ACCESS_GRANTED : ACCESS_DENIED;
	if (server->access->tokens != NULL && access_is_token(password)) {
		if (!has_waited || access_takes_late_token(rq))
			return log_in_with_token(rq, user, name, password);
		request_error(rq, "ERR too many wrong tokens from this address; try again later");
		return ACCESS_DENIED;
	}
	return fail(rq, name, "password", "", false);
}

/* Begins or continues the check of the request; false: there is more to do. */
static bool
look_at(struct request *rq, struct acl_look *out)
{
	struct client *c = rq->client;
	struct acl_look look = ACL_LOOK_BEGINS;

	look.queue_names = rq->server->config->queue_groups;
	look.version = rq->server->limits_version;
	if (c->pending->look != NULL && c->pending->look->version == look.version)
		look = *c->pending->look;
	if (acl_check_part(c->user, command_acl(rq->server->commands, rq->command), rq->argv,
		rq->argc, LOOK_WORK, &look)) {
		*out = look;
		return true;
	}
	if (c->pending->look == NULL)
		c->pending->look = xmalloc(sizeof(*c->pending->look));
	*c->pending->look = look;
	return false;
}

void
access_check_over(struct client *c)
{
	if (c->pending == NULL)
		return;
	xfree(c->pending->look);
	c->pending->look = NULL;
}

static void
note_denial(struct request *rq, enum acl_verdict verdict, size_t at)
{
	const struct acl_user *user = rq->client->user;
	struct counters *counters = &rq->server->statistics->counters;
	struct slice name = {user->name, user->name_len};
	struct slice object = rq->argv[at];
	char command[COMMAND_NAME_MAX];

	if (rq->server->config->queue_groups && command_takes_queue_names(rq->command))
		object = queue_name_topic(object); /* what a rule must grant */
	if (verdict == ACL_DENIED_COMMAND) {
		counters->denied_commands++;
		note(rq, ACL_LOG_COMMAND, slice_of(command_full_name(rq->command, command)), name);
	} else if (verdict == ACL_DENIED_KEY) {
		counters->denied_keys++;
		note(rq, ACL_LOG_KEY, rq->argv[at], name);
	} else {
		counters->denied_channels++;
		note(rq, ACL_LOG_CHANNEL, object, name);
	}
}

bool
access_allows(struct request *rq, bool *later)
{
	struct acl_user *user = rq->client->user;
	char command[COMMAND_NAME_MAX];
	struct acl_look look;

	if (user->deleted) {
		client_dismiss(rq->client, DOOR_END_DENIED, "its user was deleted");
		return false;
	}
	if (!look_at(rq, &look)) {
		*later = true;
		return false;
	}
	if (look.verdict == ACL_ALLOWED)
		return true;
	note_denial(rq, look.verdict, look.denied_at);
	if (look.verdict == ACL_DENIED_COMMAND)
		request_error(rq, "NOPERM this user has no permissions to run the '%s' command",
		    command_full_name(rq->command, command));
	else
		request_error(rq,
		    "NOPERM this user has no permissions to access one of the %s used as arguments",
		    look.verdict == ACL_DENIED_KEY ? "keys" : "channels");
	return false;
}

bool
access_may_publish(struct request *rq, struct slice channel)
{
	const struct acl_user *user = rq->client->user;
	struct slice name = {user->name, user->name_len};
	struct hub *hub = rq->server->hub;

	if ((hub_options_in_use(hub) & CHANNEL_BIT(publish_users)) == 0 ||
	    channel_options_allow_user(hub_options_of(hub, channel), name))
		return true;
	rq->server->statistics->counters.denied_channels++;
	note(rq, ACL_LOG_CHANNEL, channel, name);
	request_error(rq, "NOPERM this user may not publish to this channel");
	return false;
}

bool
access_may_queue(struct request *rq)
{
	const struct acl_channels *channels =
	    &command_acl(rq->server->commands, rq->command)->channels;
	size_t at = channels->first;

	if (!command_publishes(rq->command) || (rq->command->flags & CMD_SHARD) != 0)
		return true;
	for (int n = 0; n < CHECKED_WHEN_QUEUED && at < rq->argc; n++) {
		if (!access_may_publish(rq, rq->argv[at]))
			return false;
		if (channels->step == 0)
			break;
		at += channels->step;
	}
	return true;
}

bool
access_allows_channels(struct request *rq, size_t first, size_t count)
{
	const struct acl_user *user = rq->client->user;

	for (size_t i = first; !user->unrestricted && i < first + count; i++) {
		if (acl_may_receive(user, rq->argv[i], false))
			continue;
		note_denial(rq, ACL_DENIED_CHANNEL, i);
		request_error(rq,
		    "NOPERM this user has no permissions to access one of the channels used as "
		    "arguments");
		return false;
	}
	return true;
}

bool
access_still_allows(struct request *rq)
{
	static const char *const reasons[] = {
	    [ACL_DENIED_COMMAND] = "no permission to execute the command or subcommand",
	    [ACL_DENIED_KEY] = "no permission to touch the specified keys",
	    [ACL_DENIED_CHANNEL] = "no permission to access one of the channels used as arguments",
	};
	const struct acl_user *user = rq->client->user;
	enum acl_verdict verdict;
	size_t at;

	if (user->unrestricted)
		return true;
	verdict = acl_check(user, command_acl(rq->server->commands, rq->command), rq->argv,
	    rq->argc, rq->server->config->queue_groups, &at);
	if (verdict == ACL_ALLOWED)
		return true;
	note_denial(rq, verdict, at);
	request_error(rq,
	    "NOPERM ACLs rules changed between the moment the transaction was accumulated and the "
	    "EXEC call. This command is no longer allowed for the following reason: %s",
	    reasons[verdict]);
	return false;
}

enum acl_verdict
access_of_script(struct request *rq)
{
	const struct acl_user *user = rq->client->user;
	enum acl_verdict verdict;
	size_t at;

	if (user->unrestricted)
		return ACL_ALLOWED;
	verdict = acl_check(user, command_acl(rq->server->commands, rq->command), rq->argv,
	    rq->argc, rq->server->config->queue_groups, &at);
	if (verdict != ACL_ALLOWED)
		note_denial(rq, verdict, at);
	return verdict;
}

void
access_rules_changed(struct server *server)
{
	server->limits_version++;
	wait_event(server, WAIT_EVENT_RULES);
}

uint64_t
access_resume(struct server *server, uint64_t now_us)
{
	const struct time_queue_entry *first;

	for (size_t n = 0; (first = time_queue_first(&server->waits->logins)) != NULL; n++) {
		if ((uint64_t)first->at > now_us)
			return (uint64_t)first->at - now_us;
		if (n == RESUMED_A_TURN)
			return 0;
		wait_event_of(first->thing, WAIT_EVENT_DUE);
	}
	return UINT64_MAX;
}

void
server_describe_users(const struct server *server, bool without_default, struct buffer *out)
{
	acl_describe(server->access->acl, without_default, requirepass(server), out);
}

bool
server_load_users(struct server *server, struct slice text, const char *path,
    const struct server_config *config, struct buffer *error)
{
	acl_set_all_channels(server->access->acl, config->acl_pubsub_default);
	if (!acl_load(server->access->acl, text, path, requirepass_of(config), error)) {
		acl_set_all_channels(server->access->acl, server->config->acl_pubsub_default);
		return false;
	}
	/* requirepass has been applied: a user default among the lines takes precedence. */
	acl_hash(requirepass_of(config), server->access->requirepass_hash);
	access_rules_changed(server);
	access_enforce(server, NULL, NULL, -1);
	return true;
}

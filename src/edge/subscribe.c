#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "acl/user.h"
#include "base/clock.h"
#include "edge/channel.h"
#include "edge/leases.h"
#include "edge/login.h"
#include "edge/methods.h"
#include "edge/opening.h"
#include "edge/presence.h"
#include "edge/publication.h"
#include "edge/rights.h"
#include "edge/session.h"
#include "edge/socket.h"
#include "edge/subscribe.h"
#include "edge/subscriptions.h"
#include "http/ws_frame.h"
#include "pubsub/channel_tree.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_replay.h"
#include "server/client.h"
#include "server/request.h"
#include "server/server_config.h"
#include "token/grant.h"

/*
 * The commands subscribe, unsubscribe and sub_refresh.
 *
 * What a subscription missed is part of the reply, and read from the history in the same step in
 * which the subscription is made.
 */

/* A recovery with more than this does not happen: the client is told to load the state anew. */
#define RECOVERED_MAX 1000
#define RECOVERED_BYTES_MAX ((size_t)1 << 20)
/* All that a connect command recovers. */
#define CONNECT_BYTES_MAX ((size_t)2 << 20)

/* Codes of an unsubscription by the server: from 2500 on the client subscribes again. */
#define UNSUBSCRIBE_DENIED 2000
#define UNSUBSCRIBE_EXPIRED 2501

static enum hub_kind
kind_of(const struct edge_channel *channel)
{
	return channel->is_pattern ? HUB_PATTERN : HUB_CHANNEL;
}

static bool
read_wish(struct edge_command *command, struct edge_wish *wish)
{
	struct slice shown = {"", 0};

	*wish = (struct edge_wish){.token = {"", 0}, .epoch = {"", 0}};
	if (!edge_get_string(command, "channel", &shown) || shown.len == 0 ||
	    !edge_get_string(command, "token", &wish->token) ||
	    !edge_get_bool(command, "recover", &wish->recover) ||
	    !edge_get_string(command, "epoch", &wish->epoch) ||
	    !edge_get_u64(command, "offset", &wish->offset))
		return false;
	wish->channel = edge_channel_of(command->session, shown);
	return wish->channel.name.len > 0 &&
	       wish->channel.name.len <= command->rq->server->config->hub.name_bytes;
}

/* Where the client goes on; an epoch that is not a number is lost. */
static struct position_since
since_of(const struct edge_wish *wish)
{
	struct position_since since = {.kind = POSITION_AT, .at = {0, 1}};
	uint64_t epoch;

	if (slice_to_u64(wish->epoch, &epoch))
		since.at = (struct hub_position){epoch, wish->offset};
	return since;
}

static bool
is_same_subject(const struct edge_session *s, const struct token_grant *grant)
{
	struct slice own = s->grant != NULL ? s->grant->subject : (struct slice){"", 0};

	return slice_eq(own, grant->subject);
}

static enum edge_outcome
refuse_token(struct edge_command *command, enum edge_login login)
{
	switch (login) {
	case EDGE_LOGIN_EXPIRED:
		return edge_fail(command, EDGE_ERROR_EXPIRED);
	case EDGE_LOGIN_LATER:
		return EDGE_WAITS;
	case EDGE_LOGIN_TOO_MANY:
		return edge_fail(command, EDGE_ERROR_TOO_MANY);
	default:
		return edge_fail(command, EDGE_ERROR_PERMISSION);
	}
}

/* Checks the token of one subscription. */
static enum edge_outcome
check_token(struct edge_command *command, struct edge_wish *wish)
{
	const struct edge_channel *channel = &wish->channel;
	struct edge_session *s = command->session;
	uint64_t wall_s = s->edge->io.wall_s(s->edge->io.arg);
	struct token_grant *grant = NULL;
	enum edge_login login;
	const char *why;
	bool is_granted;

	login = edge_check_token(s, command->rq, wish->token, &grant, &why);
	if (login != EDGE_LOGIN_OK)
		return refuse_token(command, login);
	is_granted = is_same_subject(s, grant) && slice_eq(grant->channel, channel->shown) &&
		     edge_user_allows(s, grant, channel->name, channel->is_pattern);
	wish->is_bounded = grant->user.len > 0;
	wish->lease_us = edge_session_end_of(s->edge, grant);
	if (wish->lease_us == 0)
		wish->lease_us = UINT64_MAX;
	else
		wish->ttl_s = grant->refresh_s > wall_s ? grant->refresh_s - wall_s : 1;
	token_grant_unref(grant);
	return is_granted ? EDGE_DONE : edge_fail(command, EDGE_ERROR_PERMISSION);
}

static enum edge_outcome
check_rights(struct edge_command *command, struct edge_wish *wish)
{
	const struct edge_channel *channel = &wish->channel;
	enum edge_outcome outcome = EDGE_DONE;

	if (wish->token.len > 0)
		outcome = check_token(command, wish);
	else if (!edge_may(command->session, EDGE_SUBSCRIBE, channel->name, channel->is_pattern))
		outcome = edge_fail(command, EDGE_ERROR_PERMISSION);
	if (outcome == EDGE_FAILED)
		command->session->edge->figures.denied_rights++;
	return outcome;
}

enum edge_outcome
edge_subscribe_check(struct edge_command *command, const struct edge_wish *wish)
{
	struct client *c = command->rq->client;
	uint32_t limit = c->user->limits.subscriptions, count = client_subscriptions(c);

	if (hub_is_subscribed(&c->subscriber, kind_of(&wish->channel), wish->channel.name))
		return edge_fail(command, EDGE_ERROR_ALREADY);
	if (count >= command->session->edge->config->max_channels || (limit > 0 && count >= limit))
		return edge_fail(command, EDGE_ERROR_LIMIT);
	return EDGE_DONE;
}

struct edge_opening *
edge_subscribe_opening(struct edge_session *s, const struct edge_wish *wish)
{
	struct edge_opening *opening = edge_opening_new(&s->client->subscriber);
	struct position_since since = since_of(wish);

	edge_opening_add(
	    opening, wish->channel.name, wish->channel.is_pattern, wish->recover ? &since : NULL);
	return opening;
}

struct publications {
	struct buffer text; /* without brackets */
	size_t count;
	size_t before; /* bytes of the reply that precede it */
};

/* Returns false if there are too many. */
static bool
put_publication(void *arg, const struct hub_message *message)
{
	struct publications *p = arg;

	if (p->count == RECOVERED_MAX)
		return false;
	if (p->count++ > 0)
		buffer_append_str(&p->text, ",");
	edge_put_publication(&p->text, message);
	return p->text.len <= RECOVERED_BYTES_MAX && p->before + p->text.len <= CONNECT_BYTES_MAX;
}

static void
put_position(struct edge_command *command, struct buffer *out)
{
	struct hub_position position = history_position(hub_history(command->rq->server->hub));

	buffer_appendf(out, "\"recoverable\":true,\"epoch\":\"%" PRIu64 "\",\"offset\":%" PRIu64,
	    position.epoch, position.seq);
}

/* The result of a subscription that was just made. */
static void
put_subscribed(struct edge_command *command, const struct edge_wish *wish, bool keeps,
    bool recovered, const struct publications *publications, struct buffer *out)
{
	struct edge_figures *figures = &command->session->edge->figures;
	size_t begin = out->len;

	if (keeps)
		put_position(command, out);
	if (wish->recover) {
		recovered ? figures->resumed++ : figures->lost++;
		buffer_appendf(out, "%s\"was_recovering\":true,\"recovered\":%s",
		    out->len > begin ? "," : "", recovered ? "true" : "false");
	}
	if (publications->count > 0) {
		buffer_append_str(out, out->len > begin ? "," : "");
		buffer_append_str(out, "\"publications\":[");
		buffer_append_slice(out, buffer_slice(&publications->text));
		buffer_append_str(out, "]");
	}
	if (wish->ttl_s > 0)
		buffer_appendf(out, "%s\"expires\":true,\"ttl\":%" PRIu64,
		    out->len > begin ? "," : "", wish->ttl_s);
}

static void
set_lease(struct edge_session *s, const struct edge_wish *wish)
{
	const struct edge_channel *channel = &wish->channel;

	s->leases = edge_lease_set(s->leases, channel->name, channel->is_pattern, wish->lease_us);
	edge_lease_bound(s->leases, channel->name, channel->is_pattern, wish->is_bounded);
}

enum edge_outcome
edge_subscribe_step(struct edge_command *command, const struct edge_wish *wish,
    struct edge_opening *opening, struct buffer *out)
{
	struct edge_session *s = command->session;
	struct publications publications = {.before = out->len + command->counted};
	const struct edge_name *name = edge_opening_name(opening, 0);
	bool fits = edge_opening_read(opening, command->rq->now_us, put_publication, &publications);
	enum hub_result result = edge_opening_subscribe_live(opening);

	if (!fits) {
		/* What was written in vain counts, too: it took as long. */
		command->counted += publications.text.len;
		publications.count = 0;
	}
	if (result == HUB_OK) {
		client_subscriptions_changed(s->client);
		put_subscribed(command, wish, name->keeps, fits && name->verdict == HUB_RESUMED,
		    &publications, out);
		if (wish->lease_us > 0) {
			set_lease(s, wish);
			edge_session_schedule(s);
		}
		edge_presence_join(s, &wish->channel, command->rq->now_us);
	}
	buffer_release(&publications.text);
	return result == HUB_OK ? EDGE_DONE : edge_fail(command, EDGE_ERROR_LIMIT);
}

/* False: ws-glob-prefix has changed while the command waited, and with it what the name means. */
static bool
is_for(const struct edge_opening *opening, const struct edge_channel *channel)
{
	const struct edge_name *name = edge_opening_name(opening, 0);

	return name->is_pattern == channel->is_pattern && slice_eq(name->name, channel->name);
}

enum edge_outcome
edge_subscribe(struct edge_command *command)
{
	struct edge_session *s = command->session;
	struct edge_opening *opening;
	enum edge_outcome outcome;
	struct edge_wish wish;

	if (!read_wish(command, &wish)) {
		edge_opening_drop(&s->opening);
		return edge_fail(command, EDGE_ERROR_BAD_REQUEST);
	}
	/* Again when it has waited: rules may have changed. */
	outcome = check_rights(command, &wish);
	if (outcome == EDGE_DONE)
		outcome = edge_subscribe_check(command, &wish);
	if (outcome != EDGE_DONE) {
		edge_opening_drop(&s->opening);
		return outcome;
	}
	if (s->opening != NULL && !is_for(s->opening, &wish.channel))
		edge_opening_drop(&s->opening);
	if (s->opening == NULL)
		s->opening = edge_subscribe_opening(s, &wish);
	switch (edge_opening_link(s->opening, command->rq)) {
	case UPSTREAM_ASKED:
		return EDGE_WAITS;
	case UPSTREAM_REFUSES:
		edge_opening_drop(&s->opening);
		return edge_fail(command, EDGE_ERROR_PERMISSION);
	default:
		break;
	}
	if (!edge_opening_step(s->opening, command->rq))
		return EDGE_WAITS;
	opening = s->opening;
	outcome = edge_subscribe_step(command, &wish, opening, &command->result);
	edge_opening_drop(&s->opening);
	return outcome;
}

static void
unsubscribe(struct edge_session *s, const struct edge_channel *channel)
{
	struct client *c = s->client;

	s->leases = edge_lease_end(s->leases, channel->name, channel->is_pattern);
	edge_presence_leave(s, channel, clock_recent_us());
	if (hub_unsubscribe(&c->subscriber, kind_of(channel), channel->name) == HUB_OK)
		client_subscriptions_changed(c);
}

enum edge_outcome
edge_unsubscribe(struct edge_command *command)
{
	struct slice shown = {"", 0};
	struct edge_channel channel;

	if (!edge_get_string(command, "channel", &shown) || shown.len == 0)
		return edge_fail(command, EDGE_ERROR_BAD_REQUEST);
	channel = edge_channel_of(command->session, shown);
	unsubscribe(command->session, &channel);
	return EDGE_DONE;
}

enum edge_outcome
edge_sub_refresh(struct edge_command *command)
{
	struct edge_session *s = command->session;
	enum edge_outcome outcome;
	struct edge_wish wish;

	if (!read_wish(command, &wish) || wish.token.len == 0)
		return edge_fail(command, EDGE_ERROR_BAD_REQUEST);
	if (!hub_is_subscribed(&s->client->subscriber, kind_of(&wish.channel), wish.channel.name))
		return edge_fail(command, EDGE_ERROR_PERMISSION);
	outcome = check_token(command, &wish);
	if (outcome != EDGE_DONE)
		return outcome;
	set_lease(s, &wish);
	edge_session_schedule(s);
	if (wish.ttl_s > 0)
		buffer_appendf(&command->result, "\"expires\":true,\"ttl\":%" PRIu64, wish.ttl_s);
	return EDGE_DONE;
}

/* Ends a subscription and tells so: in *out, or, if that is NULL, at once. */
static void
push_unsubscribe(struct edge_session *s, const struct edge_channel *channel, int code,
    const char *reason, struct buffer *out)
{
	struct buffer text = {0};

	buffer_append_str(&text, "{\"push\":{\"channel\":");
	edge_put_name(&text, channel->shown);
	buffer_appendf(&text, ",\"unsubscribe\":{\"code\":%d,\"reason\":\"%s\"}}}", code, reason);
	unsubscribe(s, channel); /* channel->shown may end with it */
	if (out != NULL)
		ws_put_frame(out, WS_TEXT, buffer_slice(&text));
	else
		edge_socket_send(s, buffer_slice(&text));
	buffer_release(&text);
}

/* A subscription as the WebSocket knows it, in *shown, to which it is copied. */
static struct edge_channel
channel_named(
    const struct edge_session *s, struct slice name, bool is_pattern, struct buffer *shown)
{
	buffer_clear(shown);
	if (is_pattern)
		buffer_append_str(shown, s->edge->config->ws_glob_prefix);
	buffer_append_slice(shown, name);
	return (struct edge_channel){
	    .shown = buffer_slice(shown),
	    .name = {shown->ptr + shown->len - name.len, name.len},
	    .is_pattern = is_pattern,
	};
}

void
edge_subscriptions_expire(struct edge_session *s, uint64_t now_us)
{
	struct buffer shown = {0};
	struct slice name;
	bool is_pattern;
	uint64_t ends_us;

	while (edge_lease_first(s->leases, &name, &is_pattern, &ends_us) && ends_us <= now_us) {
		struct edge_channel channel = channel_named(s, name, is_pattern, &shown);

		s->edge->figures.expired_sessions++;
		push_unsubscribe(s, &channel, UNSUBSCRIBE_EXPIRED, "subscription expired", NULL);
	}
	buffer_release(&shown);
}

bool
edge_subscription_is_leased(const struct edge_session *s, struct slice name, bool is_pattern)
{
	if (!edge_lease_has(s->leases, name, is_pattern))
		return false;
	return !edge_lease_is_bounded(s->leases, name, is_pattern) ||
	       edge_user_may_subscribe(s, name, is_pattern);
}

static void
check_kind(struct edge_session *s, enum hub_kind kind, struct buffer *out)
{
	struct subscriber *subscriber = &s->client->subscriber;
	struct buffer shown = {0};

	for (uint32_t left = subscriber->count[kind]; left > 0; left--) {
		struct slice name = topic_name(hub_first_subscription(subscriber, kind)->topic);
		struct edge_channel channel = channel_named(s, name, kind == HUB_PATTERN, &shown);

		if (edge_subscription_is_leased(s, channel.name, channel.is_pattern) ||
		    edge_may(s, EDGE_SUBSCRIBE, channel.name, channel.is_pattern))
			hub_rotate_subscriptions(subscriber, kind);
		else
			push_unsubscribe(s, &channel, UNSUBSCRIBE_DENIED, "permission denied", out);
	}
	buffer_release(&shown);
}

void
edge_subscriptions_check(struct edge_session *s, struct buffer *out)
{
	check_kind(s, HUB_CHANNEL, out);
	check_kind(s, HUB_PATTERN, out);
}

#include "config.h"

#include <inttypes.h>

#include "acl/check.h"
#include "acl/user.h"
#include "cmd/handlers.h"
#include "cmd/patterns_gather.h"
#include "cmd/position_errors.h"
#include "cmd/publish_check.h"
#include "cmd/queue_group.h"
#include "pubsub/hub.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_latest.h"
#include "pubsub/hub_options.h"
#include "pubsub/hub_replay.h"
#include "pubsub/queue_name.h"
#include "resp/writer.h"
#include "server/armed.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/request.h"
#include "server/server_config.h"
#include "server/upstream.h"

/* SUBSCRIBE and its variants. PUBLISH is in cmd/publish.c, PUBSUB in cmd/introspection.c, RESUME
 * and PRESUME, which choose where SUBSCRIBE and PSUBSCRIBE begin, in cmd/resume.c. */

/*
 * The count in a confirmation. As in Redis, it includes channels and patterns, or shard channels
 * alone; memberships of queue groups count with the first.
 */
static uint32_t
confirmed_count(const struct client *c, enum hub_kind kind)
{
	const uint32_t *count = c->subscriber.count;

	return kind == HUB_SHARD
		   ? count[HUB_SHARD]
		   : count[HUB_CHANNEL] + count[HUB_PATTERN] + hub_queues_of(&c->subscriber);
}

static void
put_confirmation_name(struct request *rq, const char *verb, struct slice name)
{
	resp_put_push(rq->reply, rq->proto, 3);
	resp_put_bulk_str(rq->reply, verb);
	resp_put_bulk(rq->reply, name);
}

/* Confirmations are pushes: CLIENT REPLY OFF does not drop them. */
static void
put_confirmation_count(struct request *rq, enum hub_kind kind)
{
	resp_put_int(rq->reply, confirmed_count(rq->client, kind));
	rq->push_len = rq->reply->len;
}

/*
 * Returns false after replying with an error if a name is too long or an incomplete queue name; no
 * name is subscribed to then.
 */
static bool
check_names(struct request *rq, enum hub_kind kind)
{
	for (size_t i = 1; i < rq->argc; i++)
		if (!channel_name_fits(rq, rq->argv[i]) || !queue_check_name(rq, kind, rq->argv[i]))
			return false;
	return true;
}

static void
refuse(struct request *rq, enum hub_result result, enum hub_kind kind, struct slice name)
{
	const struct hub_limits *limits = &rq->server->config->hub;
	uint64_t own = 0;

	if (kind == HUB_CHANNEL)
		own = hub_options_of(rq->server->hub, name)->max_subscribers;

	if (result == HUB_NAME_TOO_LONG) /* the limit was lowered since check_names */
		channel_name_error(rq);
	else if (result == HUB_TOO_MANY_SUBSCRIPTIONS)
		request_error(rq,
		    "ERR max number of subscriptions per client reached "
		    "(max-subscriptions-per-client %" PRIu32 ")",
		    limits->subscriptions);
	else if (own > 0 && own < limits->subscribers)
		request_error(rq,
		    "ERR max number of subscribers of this channel reached "
		    "(max-subscribers %" PRIu64 ")",
		    own);
	else
		request_error(rq,
		    "ERR max number of subscribers of this %s reached "
		    "(max-subscribers-per-channel %" PRIu32 ")",
		    kind == HUB_PATTERN ? "pattern" : "channel", limits->subscribers);
}

/*
 * Removes the subscription just made if it is one more than the user may have, and replies with an
 * error. This cannot be checked before: the client may have been subscribed already.
 */
static bool
is_past_user_limit(struct request *rq, enum hub_kind kind, struct slice name)
{
	uint32_t limit = rq->client->user->limits.subscriptions;

	if (limit == 0 || client_subscriptions(rq->client) <= limit)
		return false;
	if (hub_unsubscribe(&rq->client->subscriber, kind, name) != HUB_OK)
		return false;
	request_error(rq,
	    "ERR max number of subscriptions per client of this user reached "
	    "(limit:subscriptions %" PRIu32 ")",
	    limit);
	return true;
}

/*
 * A command that continues in a later turn checks each name again if rules may have changed: the
 * check after the change saw only the subscriptions made until then.
 */
static bool
may_still_hear(const struct request *rq, enum hub_kind kind, struct slice name)
{
	const struct client *c = rq->client;

	if (c->pending->rules_version == rq->server->limits_version || c->user->unrestricted)
		return true;
	if (queue_joins(rq, kind, name))
		name = queue_name_topic(name);
	return acl_may_receive(c->user, name, kind == HUB_PATTERN);
}

/* Replies with -LOST if the channel is armed and cannot be resumed any more. */
static bool
can_begin(struct request *rq, enum hub_kind kind, struct slice name)
{
	struct hub_position position = history_position(hub_history(rq->server->hub));
	struct hub_start start;

	if (kind != HUB_CHANNEL || queue_joins(rq, kind, name) ||
	    !armed_find(rq->client, kind, name, &start) ||
	    hub_can_resume(rq->server->hub, name, start.after_seq, rq->now_us))
		return true;
	position.seq = start.after_seq;
	position_lost_error(rq, name, position);
	return false;
}

/* Before anything is done: each armed channel must still be resumable. In slices; COMMAND_DONE: all
 * are checked, or there was an error. */
static enum command_result
check_armed(struct request *rq, enum hub_kind kind)
{
	size_t *checked = &rq->client->pending->checked;

	if (kind != HUB_CHANNEL || armed_count(rq->client, kind) == 0)
		return COMMAND_DONE;
	while (*checked + 1 < rq->argc && can_begin(rq, kind, rq->argv[*checked + 1]))
		if (++*checked + 1 < rq->argc && request_slice_is_over(rq))
			return COMMAND_AGAIN;
	return COMMAND_DONE;
}

/* The same, and the names themselves. */
static enum command_result
check(struct request *rq, enum hub_kind kind)
{
	struct pending *pending = rq->client->pending;

	if (pending->checked == 0) {
		pending->rules_version = rq->server->limits_version;
		if (!check_names(rq, kind))
			return COMMAND_DONE;
	}
	return check_armed(rq, kind);
}

/* An armed channel begins where it was armed, and is not armed any more; another one begins with
 * its latest messages if it has the option replay. */
static enum hub_result
subscribe_to(struct request *rq, enum hub_kind kind, struct slice name, struct hub_latest *latest)
{
	struct subscriber *s = &rq->client->subscriber;
	enum hub_result result;
	struct hub_start start;

	if (kind == HUB_PATTERN)
		return gather_subscribe(rq, name);
	if (kind != HUB_CHANNEL)
		return hub_subscribe(s, kind, name);
	if (!armed_find(rq->client, kind, name, &start))
		return (hub_options_in_use(s->hub) & CHANNEL_BIT(replay)) != 0
			   ? hub_subscribe_latest(s, name, rq->now_us, latest)
			   : hub_subscribe(s, kind, name);
	result = hub_subscribe_after(s, name, start.after_seq, rq->now_us);
	if (result == HUB_OK || result == HUB_ALREADY)
		armed_remove(rq->client, kind, name);
	return result;
}

/* Returns false after replying with an error. */
static bool
subscribe_one(struct request *rq, enum hub_kind kind, struct slice name, struct hub_latest *latest)
{
	enum hub_result result;

	if (queue_joins(rq, kind, name))
		return queue_join_by_name(rq, kind, name);
	if (!can_begin(rq, kind, name)) /* it was lost in the turns since the check */
		return false;
	result = subscribe_to(rq, kind, name, latest);
	if (result != HUB_OK && result != HUB_ALREADY) {
		refuse(rq, result, kind, name);
		return false;
	}
	return result == HUB_ALREADY || !rq->client->user->limits.any ||
	       !is_past_user_limit(rq, kind, name);
}

/* The messages come behind the confirmations of this slice of the command. */
static void
push_latest(struct request *rq, const struct hub_latest *latest)
{
	struct outbox *outbox = &rq->client->subscriber.outbox;

	if (!outbox->marked)
		outbox_mark(outbox);
	hub_push_latest(&rq->client->subscriber, latest, rq->now_us);
}

static struct upstream_name
upstream_name(const struct request *rq, size_t i)
{
	enum hub_kind kind = (rq->command->flags & CMD_SHARD) != 0      ? HUB_SHARD
			     : (rq->command->flags & CMD_PATTERNS) != 0 ? HUB_PATTERN
									: HUB_CHANNEL;
	struct slice name = rq->argv[i];

	return (struct upstream_name){
	    .kind = kind, .name = queue_joins(rq, kind, name) ? queue_name_topic(name) : name};
}

static enum command_result
subscribe(struct request *rq, enum hub_kind kind, const char *verb)
{
	struct client *c = rq->client;
	enum command_result result = COMMAND_DONE;
	struct hub_latest latest;

	latest.count = latest.messages = 0;
	latest.bytes = 0;
	if (rq->server->upstream != NULL && c->pending->progress == 0) {
		if (c->pending->asked == 0 && !check_names(rq, kind))
			return COMMAND_DONE;
		if (upstream_await(rq, &(struct upstream_arguments){
					   1, rq->argc - 1, 1, upstream_name}) == COMMAND_LATER)
			return COMMAND_LATER;
		if (rq->failed)
			return COMMAND_DONE;
	}
	if (c->pending->progress == 0) {
		if (check(rq, kind) == COMMAND_AGAIN)
			return COMMAND_AGAIN;
		if (rq->failed)
			return COMMAND_DONE;
	}
	if (kind == HUB_PATTERN && gather_armed(rq) == COMMAND_AGAIN)
		return COMMAND_AGAIN;
	while (!rq->failed && c->pending->progress + 1 < rq->argc) {
		struct slice name = rq->argv[c->pending->progress + 1];

		if (!may_still_hear(rq, kind, name)) {
			client_kill(
			    c, "its user lost the permission for a channel that it subscribes to");
			break;
		}
		if (!subscribe_one(rq, kind, name, &latest))
			break;
		put_confirmation_name(rq, verb, name);
		put_confirmation_count(rq, kind);
		if (++c->pending->progress + 1 < rq->argc &&
		    (request_slice_is_over(rq) || hub_latest_is_full(&latest))) {
			result = COMMAND_AGAIN;
			break;
		}
	}
	if (result == COMMAND_DONE)
		gather_end(rq);
	else if (kind != HUB_SHARD && armed_count(c, kind) > 0)
		hub_hold_replay(&c->subscriber); /* what is armed may begin with older messages */
	client_subscriptions_changed(c);
	if (latest.count > 0)
		push_latest(rq, &latest);
	if (result == COMMAND_DONE)
		hub_start_replay(&c->subscriber);
	return result;
}

/*
 * The name may be owned by the topic, which is freed with its last subscription: the name is
 * written first.
 */
static void
unsubscribe_one(struct request *rq, enum hub_kind kind, const char *verb, struct slice name)
{
	put_confirmation_name(rq, verb, name);
	if (kind != HUB_SHARD)
		armed_remove(rq->client, kind, name);
	/* If there was no such subscription the reply is the same. The membership ends first: the
	 * name may not outlive the subscription. */
	queue_leave_by_name(rq, kind, name);
	if (hub_unsubscribe(&rq->client->subscriber, kind, name) == HUB_OK)
		client_subscriptions_changed(rq->client);
	put_confirmation_count(rq, kind);
}

/* The memberships of queue groups that were joined with a queue name. */
static enum command_result
leave_named_queues(struct request *rq, enum hub_kind kind, const char *verb)
{
	const struct queue_member *member;
	bool more;

	while ((member = queue_next_named(rq, kind, &more)) != NULL) {
		put_confirmation_name(rq, verb, queue_member_queue_name(member));
		queue_leave(rq, member);
		put_confirmation_count(rq, kind);
		rq->client->pending->progress++;
		if (request_slice_is_over(rq))
			return COMMAND_AGAIN;
	}
	if (!more)
		return COMMAND_DONE;
	rq->client->pending->checked++;
	return COMMAND_AGAIN;
}

static enum command_result
unsubscribe_all(struct request *rq, enum hub_kind kind, const char *verb)
{
	struct client *c = rq->client;
	struct subscription *subscription;

	while (kind != HUB_SHARD && !armed_remove_some(c, kind, 1)) {
		c->pending->checked++;
		if (request_slice_is_over(rq))
			return COMMAND_AGAIN;
	}
	while ((subscription = hub_first_subscription(&c->subscriber, kind)) != NULL) {
		unsubscribe_one(rq, kind, verb, topic_name(subscription->topic));
		c->pending->progress++;
		if (request_slice_is_over(rq))
			return COMMAND_AGAIN;
	}
	if (leave_named_queues(rq, kind, verb) == COMMAND_AGAIN)
		return COMMAND_AGAIN;
	if (c->pending->progress == 0) {
		resp_put_push(rq->reply, rq->proto, 3);
		resp_put_bulk_str(rq->reply, verb);
		resp_put_null(rq->reply, rq->proto);
		put_confirmation_count(rq, kind);
	}
	return COMMAND_DONE;
}

static enum command_result
unsubscribe(struct request *rq, enum hub_kind kind, const char *verb)
{
	struct client *c = rq->client;

	if (rq->argc == 1)
		return unsubscribe_all(rq, kind, verb);
	while (c->pending->progress + 1 < rq->argc) {
		unsubscribe_one(rq, kind, verb, rq->argv[++c->pending->progress]);
		if (c->pending->progress + 1 < rq->argc && request_slice_is_over(rq))
			return COMMAND_AGAIN;
	}
	return COMMAND_DONE;
}

enum command_result
cmd_subscribe(struct request *rq)
{
	return subscribe(rq, HUB_CHANNEL, "subscribe");
}

enum command_result
cmd_unsubscribe(struct request *rq)
{
	return unsubscribe(rq, HUB_CHANNEL, "unsubscribe");
}

enum command_result
cmd_psubscribe(struct request *rq)
{
	return subscribe(rq, HUB_PATTERN, "psubscribe");
}

enum command_result
cmd_punsubscribe(struct request *rq)
{
	return unsubscribe(rq, HUB_PATTERN, "punsubscribe");
}

enum command_result
cmd_ssubscribe(struct request *rq)
{
	/* As in Redis: in a transaction SUBSCRIBE and PSUBSCRIBE are allowed, SSUBSCRIBE is not. */
	if (rq->in_transaction) {
		request_error(rq, "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
		return COMMAND_DONE;
	}
	return subscribe(rq, HUB_SHARD, "ssubscribe");
}

enum command_result
cmd_sunsubscribe(struct request *rq)
{
	return unsubscribe(rq, HUB_SHARD, "sunsubscribe");
}

#include "config.h"

#include "cmd/queue_group.h"

#include <assert.h>
#include <inttypes.h>

#include "acl/check.h"
#include "acl/user.h"
#include "cmd/handlers.h"
#include "cmd/publish_check.h"
#include "pubsub/queue_name.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/request.h"
#include "server/server_config.h"
#include "server/upstream.h"

/* Members of queue groups: QSUBSCRIBE and QUNSUBSCRIBE, and what SUBSCRIBE and its like need. */

/* An error text repeats at most this many bytes of a name. */
#define SHOWN_MAX 128

/* A command that continues in a later turn checks each name again if rules may have changed. */
static bool
may_still_receive(const struct request *rq, struct slice name)
{
	const struct client *c = rq->client;

	return c->pending->rules_version == rq->server->limits_version || c->user->unrestricted ||
	       acl_may_receive(c->user, name, queue_topic_kind(name) == HUB_PATTERN);
}

/* Returns false after replying with an error; then no group is joined. */
static bool
check_names(struct request *rq)
{
	for (size_t i = 1; i < rq->argc; i++)
		if (!channel_name_fits(rq, rq->argv[i]))
			return false;
	return true;
}

/* Confirmations are pushes: CLIENT REPLY OFF does not drop them. */
static void
confirm(struct request *rq, const char *verb, struct slice group, struct slice name)
{
	resp_put_push(rq->reply, rq->proto, 4);
	resp_put_bulk_str(rq->reply, verb);
	resp_put_bulk(rq->reply, group);
	resp_put_bulk(rq->reply, name);
}

static void
confirm_count(struct request *rq)
{
	const struct subscriber *s = &rq->client->subscriber;

	resp_put_int(rq->reply, s->count[HUB_CHANNEL] + s->count[HUB_PATTERN] + hub_queues_of(s));
	rq->push_len = rq->reply->len;
}

static void
refuse(struct request *rq, enum hub_result result)
{
	const struct hub_limits *limits = &rq->server->config->hub;

	if (result == HUB_NAME_TOO_LONG) /* the limit was lowered since check_names */
		channel_name_error(rq);
	else if (result == HUB_TOO_MANY_SUBSCRIPTIONS)
		request_error(rq,
		    "ERR max number of subscriptions per client reached "
		    "(max-subscriptions-per-client %" PRIu32 ")",
		    limits->subscriptions);
	else
		request_error(rq,
		    "ERR max number of members of this group, or of subscribers of its channel, "
		    "reached (max-subscribers-per-channel %" PRIu32 ")",
		    limits->subscribers);
}

/* False after replying with an error. */
static bool
join(struct request *rq, enum queue_style style, struct slice group, enum hub_kind kind,
    struct slice name)
{
	struct client *c = rq->client;
	uint32_t limit = c->user->limits.subscriptions;
	enum hub_result result = hub_join_queue(&c->subscriber, style, group, kind, name);

	if (result != HUB_OK && result != HUB_ALREADY) {
		refuse(rq, result);
		return false;
	}
	if (result == HUB_OK && limit > 0 && client_subscriptions(c) > limit) {
		(void)!hub_leave_queue(&c->subscriber, group, kind, name);
		request_error(rq,
		    "ERR max number of subscriptions per client of this user reached "
		    "(limit:subscriptions %" PRIu32 ")",
		    limit);
		return false;
	}
	return true;
}

static struct upstream_name
upstream_name(const struct request *rq, size_t i)
{
	return (struct upstream_name){.kind = queue_topic_kind(rq->argv[i]), .name = rq->argv[i]};
}

enum command_result
cmd_qsubscribe(struct request *rq)
{
	struct client *c = rq->client;
	struct pending *p = c->pending;
	enum command_result result = COMMAND_DONE;

	if (p->progress == 0 && p->asked == 0 && !check_names(rq))
		return COMMAND_DONE;
	if (upstream_await(rq, &(struct upstream_arguments){2, rq->argc - 2, 1, upstream_name}) ==
	    COMMAND_LATER)
		return COMMAND_LATER;
	if (rq->failed)
		return COMMAND_DONE;
	if (p->progress == 0)
		p->rules_version = rq->server->limits_version;
	while (p->progress + 2 < rq->argc && result == COMMAND_DONE) {
		struct slice name = rq->argv[p->progress + 2];

		if (!may_still_receive(rq, name)) {
			client_kill(
			    c, "its user lost the permission for a channel that it subscribes to");
			break;
		}
		if (!join(rq, QUEUE_BY_COMMAND, rq->argv[1], queue_topic_kind(name), name))
			break;
		confirm(rq, "qsubscribe", rq->argv[1], name);
		confirm_count(rq);
		if (++p->progress + 2 < rq->argc && request_slice_is_over(rq))
			result = COMMAND_AGAIN;
	}
	client_subscriptions_changed(c);
	return result;
}

/* The names are owned by the group, which ends with its last member: they are written first. */
static void
leave(struct request *rq, struct slice group, enum hub_kind kind, struct slice name)
{
	confirm(rq, "qunsubscribe", group, name);
	/* If it was no member the reply is the same. */
	if (hub_leave_queue(&rq->client->subscriber, group, kind, name) == HUB_OK)
		client_subscriptions_changed(rq->client);
	confirm_count(rq);
}

/* All memberships, or those of one group. progress is 2 + twice the number of memberships that are
 * left to be visited, + 1 if one has ended. */
static enum command_result
leave_all(struct request *rq, const struct slice *group)
{
	struct client *c = rq->client;
	struct pending *p = c->pending;
	const struct queue_member *member;

	if (p->progress == 0)
		p->progress = 2 + 2 * (size_t)hub_queues_of(&c->subscriber);
	while (p->progress > 3 && (member = hub_first_queue(&c->subscriber)) != NULL) {
		p->progress -= 2;
		if (group != NULL && !slice_eq(queue_member_group(member), *group)) {
			hub_rotate_queues(&c->subscriber);
		} else {
			leave(rq, queue_member_group(member), queue_member_kind(member),
			    queue_member_name(member));
			p->progress |= 1;
		}
		if (p->progress > 3 && request_slice_is_over(rq))
			return COMMAND_AGAIN;
	}
	if (p->progress % 2 == 0) {
		resp_put_push(rq->reply, rq->proto, 4);
		resp_put_bulk_str(rq->reply, "qunsubscribe");
		if (group != NULL)
			resp_put_bulk(rq->reply, *group);
		else
			resp_put_null(rq->reply, rq->proto);
		resp_put_null(rq->reply, rq->proto);
		confirm_count(rq);
	}
	return COMMAND_DONE;
}

enum command_result
cmd_qunsubscribe(struct request *rq)
{
	struct pending *p = rq->client->pending;

	if (rq->argc < 3)
		return leave_all(rq, rq->argc == 2 ? &rq->argv[1] : NULL);
	while (p->progress + 2 < rq->argc) {
		struct slice name = rq->argv[p->progress + 2];

		p->progress++;
		leave(rq, rq->argv[1], queue_topic_kind(name), name);
		if (p->progress + 2 < rq->argc && request_slice_is_over(rq))
			return COMMAND_AGAIN;
	}
	return COMMAND_DONE;
}

bool
queue_joins(const struct request *rq, enum hub_kind kind, struct slice name)
{
	struct slice group, topic;

	return rq->server->config->queue_groups && kind != HUB_SHARD &&
	       queue_name_parse(name, &group, &topic);
}

bool
queue_check_name(struct request *rq, enum hub_kind kind, struct slice name)
{
	if (!rq->server->config->queue_groups || kind == HUB_SHARD || !queue_name_is(name) ||
	    queue_joins(rq, kind, name))
		return true;
	request_error(rq, "ERR Invalid queue name '%.*s': must be " QUEUE_NAME_PREFIX "GROUP/NAME",
	    (int)(name.len < SHOWN_MAX ? name.len : SHOWN_MAX), name.ptr);
	return false;
}

bool
queue_join_by_name(struct request *rq, enum hub_kind kind, struct slice name)
{
	struct slice group, topic;
	bool is_complete = queue_name_parse(name, &group, &topic);

	assert(is_complete);
	return join(rq, QUEUE_BY_NAME, group, kind, topic);
}

bool
queue_leave_by_name(struct request *rq, enum hub_kind kind, struct slice name)
{
	struct subscriber *s = &rq->client->subscriber;
	const struct queue_member *member;
	struct slice group, topic;

	if (hub_named_queues_of(s, kind) == 0 || !queue_name_parse(name, &group, &topic))
		return false;
	member = hub_find_queue(s, group, kind, topic);
	if (member == NULL || queue_member_style(member) != QUEUE_BY_NAME)
		return false;
	queue_leave(rq, member);
	return true;
}

const struct queue_member *
queue_next_named(struct request *rq, enum hub_kind kind, bool *more)
{
	struct subscriber *s = &rq->client->subscriber;

	*more = false;
	while (hub_named_queues_of(s, kind) > 0) {
		const struct queue_member *member = hub_first_queue(s);

		if (queue_member_kind(member) == kind &&
		    queue_member_style(member) == QUEUE_BY_NAME)
			return member;
		hub_rotate_queues(s);
		if (request_slice_is_over(rq)) {
			*more = true;
			return NULL;
		}
	}
	return NULL;
}

void
queue_leave(struct request *rq, const struct queue_member *member)
{
	/* It is there. */
	(void)!hub_leave_queue(&rq->client->subscriber, queue_member_group(member),
	    queue_member_kind(member), queue_member_name(member));
	client_subscriptions_changed(rq->client);
}

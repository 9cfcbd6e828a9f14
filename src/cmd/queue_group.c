#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "acl/check.h"
#include "acl/user.h"
#include "cmd/handlers.h"
#include "cmd/publish_check.h"
#include "pubsub/queue_group.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/request.h"
#include "server/server_config.h"

/* QSUBSCRIBE and QUNSUBSCRIBE: members of queue groups. */

/* A name with a special character of globs is a pattern. */
static enum hub_kind
kind_of(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (memchr("*?[\\", name.ptr[i], 4) != NULL)
			return HUB_PATTERN;
	return HUB_CHANNEL;
}

static bool
may_receive(const struct request *rq, struct slice name)
{
	const struct acl_user *user = rq->client->user;

	return user->unrestricted || acl_may_receive(user, name, kind_of(name) == HUB_PATTERN);
}

/* Returns false after replying with an error; then no group is joined. */
static bool
check_names(struct request *rq)
{
	for (size_t i = 1; i < rq->argc; i++) {
		if (rq->argv[i].len > rq->server->config->hub.name_bytes) {
			channel_name_error(rq);
			return false;
		}
		/* The check before the command took all names for channels. */
		if (i > 1 && !may_receive(rq, rq->argv[i])) {
			request_error(rq, "NOPERM this user has no permissions to access one of "
					  "the channels used as arguments");
			return false;
		}
	}
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
join(struct request *rq, struct slice name)
{
	struct client *c = rq->client;
	struct slice group = rq->argv[1];
	uint32_t limit = c->user->limits.subscriptions;
	enum hub_result result = hub_join_queue(&c->subscriber, group, kind_of(name), name);

	if (result != HUB_OK && result != HUB_ALREADY) {
		refuse(rq, result);
		return false;
	}
	if (result == HUB_OK && limit > 0 && client_subscriptions(c) > limit) {
		(void)!hub_leave_queue(&c->subscriber, group, kind_of(name), name);
		request_error(rq,
		    "ERR max number of subscriptions per client of this user reached "
		    "(limit:subscriptions %" PRIu32 ")",
		    limit);
		return false;
	}
	confirm(rq, "qsubscribe", group, name);
	confirm_count(rq);
	return true;
}

enum command_result
cmd_qsubscribe(struct request *rq)
{
	struct client *c = rq->client;
	struct pending *p = c->pending;
	enum command_result result = COMMAND_DONE;

	if (p->progress == 0 && !check_names(rq))
		return COMMAND_DONE;
	if (p->progress == 0)
		p->rules_version = rq->server->limits_version;
	while (p->progress + 2 < rq->argc && result == COMMAND_DONE) {
		struct slice name = rq->argv[p->progress + 2];

		if (p->rules_version != rq->server->limits_version && !may_receive(rq, name)) {
			client_kill(
			    c, "its user lost the permission for a channel that it subscribes to");
			break;
		}
		if (!join(rq, name))
			break;
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
		leave(rq, rq->argv[1], kind_of(name), name);
		if (p->progress + 2 < rq->argc && request_slice_is_over(rq))
			return COMMAND_AGAIN;
	}
	return COMMAND_DONE;
}

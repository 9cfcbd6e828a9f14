#include "config.h"

#include "acl/user.h"
#include "cmd/handlers.h"
#include "cmd/publish.h"
#include "cmd/publish_check.h"
#include "pubsub/hub.h"
#include "resp/writer.h"
#include "server/access.h"
#include "server/client.h"
#include "server/command.h"
#include "server/wait_state.h"

/*
 * MPUBLISH and PUBLISHMANY. First all messages are checked; if one is refused, none is published.
 * Then they are published one after the other, in several turns if there are many. A message that
 * has to wait holds up those behind it. The progress is kept with the request, so that no message
 * is published twice: with n messages it is the number of checked messages, then n + 1 and the
 * number of published ones.
 */

/* Messages and deliveries that take as long as a unit of work, roughly. */
#define DELIVERIES_A_UNIT 16
#define BYTES_A_UNIT 65536

/*
 * The rules may have changed since the request was allowed. Appends an error and returns false if
 * they do not allow message i any more.
 */
static bool
is_still_allowed(struct request *rq, size_t i)
{
	const struct client *c = rq->client;
	bool is_first = (rq->command->flags & CMD_CHANNELS_LATER) == 0;
	struct hub_post post = publish_post(rq, rq->command, rq->argv, i);
	struct slice argv[] = {rq->argv[0], is_first ? post.channel : post.payload,
	    is_first ? post.payload : post.channel};
	struct request one = *rq;
	bool allowed, later;

	if (c->pending->rules_version == rq->server->limits_version || c->user->unrestricted)
		return true;
	one.argv = argv;
	one.argc = 3;
	do {
		later = false;
		allowed = access_allows(&one, &later);
	} while (later);
	access_check_over(rq->client);
	rq->failed |= one.failed;
	return allowed;
}

/* COMMAND_DONE: the next message follows. */
static enum command_result
publish_next(struct request *rq, size_t i)
{
	struct hub_post post = publish_post(rq, rq->command, rq->argv, i);
	struct hub_outcome outcome = {0};
	size_t units = 1;

	if (is_still_allowed(rq, i) && !publish_is_handed_over(rq, post.kind, post.channel)) {
		enum publish_result result = publish_message(rq, &post, &outcome);

		if (result == PUBLISH_WAITS)
			return COMMAND_AGAIN;
		if (result == PUBLISH_DONE)
			resp_put_int(rq->reply, (int64_t)outcome.receivers);
		if (outcome.receivers > 0)
			units +=
			    outcome.receivers / DELIVERIES_A_UNIT + post.payload.len / BYTES_A_UNIT;
	}
	/* Of a message that was refused when it was tried again something may be prepared. */
	hub_end_publication(rq->server->hub, &rq->client->pending->publication);
	rq->client->pending->progress++;
	return request_units_are_over(rq, units) ? COMMAND_AGAIN : COMMAND_DONE;
}

/* COMMAND_AGAIN: not all are checked yet. *allowed is false if one is refused. */
static enum command_result
check_all(struct request *rq, size_t count, bool *allowed)
{
	struct pending *p = rq->client->pending;

	if (p->progress == 0)
		p->rules_version = rq->server->limits_version;
	while (p->progress < count) {
		struct hub_post post = publish_post(rq, rq->command, rq->argv, p->progress);

		*allowed = publish_allows(rq, post.kind, post.channel, post.payload);
		if (!*allowed)
			return COMMAND_DONE;
		if (++p->progress < count && request_slice_is_over(rq))
			return COMMAND_AGAIN;
	}
	return COMMAND_DONE;
}

static enum command_result
publish_all(struct request *rq)
{
	struct client *c = rq->client;
	size_t count = publish_count_messages(rq->command, rq->argc);
	bool allowed = true;

	if (c->pending->progress < count) {
		if (check_all(rq, count, &allowed) == COMMAND_AGAIN)
			return COMMAND_AGAIN;
		if (!allowed)
			return COMMAND_DONE;
		resp_put_array(rq->reply, count);
		c->pending->progress = count + 1;
	}
	/* A message may close its own publisher. */
	while (c->pending->progress - (count + 1) < count && client_is_open(c))
		if (publish_next(rq, c->pending->progress - (count + 1)) == COMMAND_AGAIN)
			return COMMAND_AGAIN;
	return COMMAND_DONE;
}

enum command_result
cmd_mpublish(struct request *rq)
{
	if (rq->argc % 2 == 0) {
		request_error(rq, "ERR wrong number of arguments for 'mpublish' command");
		return COMMAND_DONE;
	}
	return publish_all(rq);
}

enum command_result
cmd_publishmany(struct request *rq)
{
	return publish_all(rq);
}

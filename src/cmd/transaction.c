#include "config.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "cmd/handlers.h"
#include "cmd/publish.h"
#include "pubsub/hub.h"
#include "resp/writer.h"
#include "server/access.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/command.h"
#include "server/dispatch.h"
#include "server/held.h"
#include "server/propagation.h"
#include "server/request_keys.h"
#include "server/server_config.h"
#include "server/transaction.h"
#include "server/watch.h"

/* MULTI, EXEC, DISCARD, WATCH, UNWATCH. server/dispatch.c decides which commands are queued. */

/* All replies of a transaction are in memory before the first is sent; this bounds them. */
#define REPLY_MAX ((size_t)1 << 30)

enum command_result
cmd_multi(struct request *rq)
{
	struct client *c = rq->client;

	if (client_transaction(c) != NULL) {
		request_error(rq, "ERR MULTI calls can not be nested");
		return COMMAND_DONE;
	}
	session_of(c)->transaction = transaction_new(rq->server->limits_version);
	request_ok(rq);
	return COMMAND_DONE;
}

enum command_result
cmd_discard(struct request *rq)
{
	if (client_transaction(rq->client) == NULL) {
		request_error(rq, "ERR DISCARD without MULTI");
		return COMMAND_DONE;
	}
	client_discard_transaction(rq->client);
	request_ok(rq);
	return COMMAND_DONE;
}

enum command_result
cmd_watch(struct request *rq)
{
	size_t i;

	if (client_transaction(rq->client) != NULL) {
		request_error(rq, "ERR WATCH inside MULTI is not allowed");
		return COMMAND_DONE;
	}
	for (i = 1; i < rq->argc; i++) {
		bool exists = key_peek(rq, request_db(rq), rq->argv[i]) != NULL;

		if (!watch_add(rq->server, &session_of(rq->client)->watch, rq->client->db,
			rq->argv[i], exists)) {
			request_error(rq,
			    "ERR max number of watched keys per client reached "
			    "(max-watched-keys-per-client %" PRIu32 ")",
			    rq->server->config->watched_keys);
			return COMMAND_DONE;
		}
	}
	request_ok(rq);
	return COMMAND_DONE;
}

enum command_result
cmd_unwatch(struct request *rq)
{
	if (rq->client->session != NULL)
		watch_clear(rq->server, &rq->client->session->watch);
	session_trim(rq->client);
	request_ok(rq);
	return COMMAND_DONE;
}

static enum hub_result
ask_for_room_of(struct request *rq, const struct queued_command *q, size_t i, size_t *bytes)
{
	struct hub_post post = publish_post(rq, q->command, q->argv, i);

	if (post.channel.len > rq->server->config->hub.name_bytes) /* it will be refused */
		return HUB_OK;
	return hub_may_post(
	    rq->server->hub, &post, rq->now_us, &rq->client->pending->publication, bytes);
}

/*
 * A publish cannot wait once the first command has been executed, so EXEC checks the room for all
 * messages before. If the earlier messages of the transaction fill an outbox, later ones are queued
 * beyond its limits, by the size of the transaction at most.
 */
static enum hub_result
ask_for_room(struct request *rq, const struct transaction *t)
{
	const struct queued_command *q;
	enum hub_result result = HUB_OK, room;
	size_t bytes = 0;

	TAILQ_FOREACH (q, &t->commands, all) {
		if (!command_publishes(q->command))
			continue;
		for (size_t i = 0; i < publish_count_messages(q->command, q->argc); i++) {
			room = ask_for_room_of(rq, q, i, &bytes);
			if (room == HUB_TOO_LARGE)
				return room;
			if (room == HUB_FULL || result == HUB_OK)
				result = room;
		}
	}
	rq->waits_for = result == HUB_FULL ? WAIT_MEMORY : WAIT_ROOM;
	return result;
}

/*
 * Appends a command's reply to the others. If CLIENT REPLY drops replies, only the pushes in it are
 * kept.
 */
static void
take_reply(struct request *rq, struct buffer *part, size_t push_len)
{
	struct client *c = rq->client;
	struct slice reply = buffer_slice(part);

	if (client_is_muted(c))
		reply.len = push_len;
	if (reply.len > REPLY_MAX - rq->reply->len)
		client_kill(c, "the replies of its transaction exceed 1 GiB");
	else
		buffer_append_slice(rq->reply, reply);
	buffer_clear(part);
}

/* SUBSCRIBE and its variants, HELLO, AUTH. */
static bool
changes_state(const struct command *command)
{
	return (command->flags & CMD_NO_AUTH) != 0 ||
	       ((command->flags & CMD_PUBSUB) != 0 &&
		   (command->flags & CMD_IN_SUBSCRIBE_MODE) != 0);
}

static void
execute_all(struct request *rq, const struct transaction *t)
{
	struct client *c = rq->client;
	const struct acl_user *user = c->user;
	const struct queued_command *q;
	struct buffer part = {0};

	if (!client_is_muted(c))
		resp_put_array(rq->reply, t->count);
	TAILQ_FOREACH (q, &t->commands, all) {
		struct request queued = {.server = rq->server,
		    .client = c,
		    .command = q->command,
		    .argv = q->argv,
		    .argc = q->argc,
		    .reply = &part,
		    .proto = c->proto,
		    .now_us = rq->now_us,
		    .now_ms = request_now_ms(rq),
		    .in_transaction = true};

		if ((user == c->user && t->rules_version == rq->server->limits_version) ||
		    access_still_allows(&queued))
			request_execute_queued(&queued);
		take_reply(rq, &part, queued.push_len);
		if (changes_state(q->command))
			held_note_state(c);
	}
	buffer_release(&part);
	/* CLIENT REPLY has already been applied to each reply. */
	rq->push_len = rq->reply->len;
	propagation_commit(rq->server, rq->client);
	/* The reply must precede messages that the transaction caused to its own client, even if it
	 * also ended the subscription or changed the protocol. */
	if ((t->flags & (CMD_PUBSUB | CMD_NO_AUTH)) != 0)
		held_note_pushes(c);
}

enum command_result
cmd_exec(struct request *rq)
{
	struct client *c = rq->client;
	const struct transaction *t = client_transaction(c);
	enum hub_result room;

	if (t == NULL) {
		request_error(rq, "ERR EXEC without MULTI");
		return COMMAND_DONE;
	}
	if (t->spoiled) {
		request_error(rq, "EXECABORT Transaction discarded because of previous errors.");
	} else if (watch_is_broken(rq->server, &c->session->watch, request_now_ms(rq))) {
		resp_put_null_array(rq->reply, rq->proto);
	} else if ((room = ask_for_room(rq, t)) == HUB_TOO_LARGE) {
		request_error(rq,
		    "EXECABORT Transaction discarded because of: OOM its messages exceed "
		    "'maxmemory-pubsub'.");
	} else if (room != HUB_OK) {
		return COMMAND_LATER;
	} else {
		watch_clear(rq->server, &c->session->watch);
		execute_all(rq, t);
	}
	client_discard_transaction(c);
	return COMMAND_DONE;
}

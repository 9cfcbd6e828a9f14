#include "config.h"

#include "server/dispatch.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "acl/user.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rate_limit.h"
#include "pubsub/outbox.h"
#include "resp/writer.h"
#include "server/access.h"
#include "server/blocked.h"
#include "server/call_record.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/client_limits.h"
#include "server/client_peer.h"
#include "server/clients.h"
#include "server/command.h"
#include "server/command_lookup.h"
#include "server/door.h"
#include "server/evict.h"
#include "server/held.h"
#include "server/io.h"
#include "server/journal.h"
#include "server/monitor.h"
#include "server/propagation.h"
#include "server/request.h"
#include "server/request_holds.h"
#include "server/server_config.h"
#include "server/statistics.h"
#include "server/tracking.h"
#include "server/transaction.h"
#include "server/wait.h"

/* Checks a request and calls its handler. The checks are in the order of Redis's processCommand. */

#define REPLY_KEEP_BYTES 65536 /* memory kept for the next reply */

/* What the row of a door's request may have: the other flags are for RESP and for keys. */
#define DOOR_FLAGS                                                                                 \
	(CMD_WRITE | CMD_READONLY | CMD_PUBSUB | CMD_ADMIN | CMD_MAY_REPLICATE |                   \
	    CMD_SKIP_SLOWLOG | CMD_ALLOW_BUSY)

/* Most clients repeat a command: it is compared before the table is searched. Returns false after
 * replying with an error. */
static bool
find_command(struct request *rq)
{
	const struct command *last = client_last_command(rq->client);

	if (last == NULL || last->container != NULL || (last->flags & CMD_CONTAINER) != 0 ||
	    !slice_is_nocase(rq->argv[0], last->name))
		return request_find_command(rq);
	rq->command = last;
	return true;
}

/*
 * Returns false after replying with an error if the client may not run the request; or sets *later.
 */
static bool
is_allowed(struct request *rq, bool *later)
{
	char name[COMMAND_NAME_MAX];

	if (!command_arity_fits(rq->command, rq->argc)) {
		request_error(rq, "ERR wrong number of arguments for '%s' command",
		    command_full_name(rq->command, name));
		return false;
	}
	if (access_needs_login(rq->client) && (rq->command->flags & CMD_NO_AUTH) == 0) {
		request_error(rq, "NOAUTH Authentication required.");
		return false;
	}
	if (client_transaction(rq->client) != NULL && (rq->command->flags & CMD_NO_MULTI) != 0) {
		request_error(rq, "ERR Command not allowed inside a transaction");
		return false;
	}
	if (!rq->client->user->unrestricted && !access_allows(rq, later))
		return false;
	if ((request_flags(rq) & CMD_WRITE) != 0 && rq->server->journal->refuses) {
		request_error(rq, "%s", rq->server->journal->refusal);
		return false;
	}
	if (client_is_subscribed(rq->client) && (rq->command->flags & CMD_IN_SUBSCRIBE_MODE) == 0) {
		request_error(rq,
		    "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT "
		    "/ "
		    "RESET are allowed in this context",
		    command_full_name(rq->command, name));
		return false;
	}
	return true;
}

/* Queued commands take memory, too. Returns false after replying with an error if there is none. */
static bool
has_memory(struct request *rq)
{
	bool is_queued =
	    client_transaction(rq->client) != NULL && (rq->command->flags & CMD_NOT_QUEUED) == 0;

	if (rq->server->config->maxmemory_bytes == 0 ||
	    ((request_flags(rq) & CMD_DENYOOM) == 0 && !is_queued) || evict_make_room(rq->server))
		return true;
	request_error(rq, "OOM command not allowed when used memory > 'maxmemory'.");
	return false;
}

static void
push_reply(struct request *rq)
{
	struct slice reply = buffer_slice(rq->reply);

	if (client_is_muted(rq->client))
		reply.len = rq->push_len;
	held_push_reply(rq->client, reply);
	buffer_clear(rq->reply);
	buffer_shrink(rq->reply, REPLY_KEEP_BYTES);
	rq->push_len = 0;
}

/* CLIENT REPLY SKIP drops its own reply and the next one. */
static void
advance_reply_mode(struct client *c)
{
	if (c->reply_mode == CLIENT_REPLY_SKIP_NEXT)
		c->reply_mode = CLIENT_REPLY_SKIP;
	else if (c->reply_mode == CLIENT_REPLY_SKIP)
		c->reply_mode = CLIENT_REPLY_ON;
}

static void
note_changes(struct request *rq)
{
	if (rq->changes > 0 || rq->logged)
		propagation_finish(rq);
	else if ((rq->command->flags & CMD_WRITE) != 0)
		held_note_no_change(rq->client);
}

/* Requests of a door are not shown: their arguments are of another protocol, and secrets. */
static void
feed_monitors(struct request *rq)
{
	if (!TAILQ_EMPTY(rq->server->monitors) && client_door(rq->client) == NULL)
		monitor_feed(rq->server, rq);
}

/* The command is done, or continues as a job that will end the request. */
static enum request_verdict
finish_command(struct request *rq, uint64_t duration_us)
{
	struct client *c = rq->client;

	tracking_executed(rq);
	note_changes(rq);
	if (client_door(c) != NULL && !client_is_open(c)) /* no message is behind its last reply */
		outbox_unmark(&c->subscriber.outbox);
	push_reply(rq);
	outbox_unmark(&c->subscriber.outbox);
	advance_reply_mode(c);
	call_record(rq, duration_us);
	feed_monitors(rq);
	client_check_limits(c, rq->now_us);
	client_request_over(c);
	return c->pending->job == NULL ? REQUEST_NEXT : wait_begin(c, WAIT_JOB);
}

static void
swap_buffers(struct buffer *a, struct buffer *b)
{
	struct buffer was = *a;

	*a = *b;
	*b = was;
}

/*
 * The handler did a part of its work. If the reply so far consists of pushes only, it is sent;
 * otherwise it is kept until the command is done.
 */
static enum request_verdict
interrupt_command(struct request *rq)
{
	struct client *c = rq->client;

	assert(c->pending->progress > 0 || c->pending->checked > 0);
	c->pending->running = rq->command;
	tracking_executed(rq); /* the keys that it has read may change before it goes on */
	if (rq->push_len == rq->reply->len)
		push_reply(rq);
	else
		swap_buffers(rq->reply, &c->pending->partial);
	outbox_unmark(&c->subscriber.outbox);
	return wait_begin(c, rq->waits_for != WAIT_NOT ? rq->waits_for : WAIT_TURN);
}

static enum request_verdict
execute(struct request *rq)
{
	struct client *c = rq->client;
	enum command_result result;

	/* A request that subscribes may go on to publish in a transaction or through a door. */
	if (client_subscriptions(c) > 0 || client_transaction(c) != NULL || client_door(c) != NULL)
		outbox_mark(&c->subscriber.outbox);
	if (c->pending->partial.len > 0)
		swap_buffers(rq->reply, &c->pending->partial);
	result = rq->command->handler(rq);
	if (result == COMMAND_LATER) {
		assert(rq->reply->len == 0 && rq->waits_for != WAIT_NOT);
		outbox_unmark(&c->subscriber.outbox);
		if (rq->waits_for == WAIT_TURN)
			c->pending->running_us += clock_mono_us() - rq->now_us;
		return wait_begin(c, rq->waits_for);
	}
	if (result == COMMAND_BLOCKED) {
		assert(client_door(c) == NULL);
		tracking_executed(rq); /* it is told of the change that ends its wait */
		outbox_unmark(&c->subscriber.outbox);
		feed_monitors(rq);
		return REQUEST_BLOCKED;
	}
	c->pending->running_us += clock_mono_us() - rq->now_us;
	return result == COMMAND_AGAIN ? interrupt_command(rq)
				       : finish_command(rq, c->pending->running_us);
}

/* Runs one command of a transaction or a script; its reply stays in rq->reply. */
void
request_execute_queued(struct request *rq)
{
	struct tracking *tracking = rq->server->tracking;
	struct client *c = rq->client, *executing = tracking->executing;
	struct buffer *outer_reply = c->pending->exec_reply; /* of a script within MULTI */
	uint64_t begun_us = clock_mono_us();
	enum command_result result;

	tracking->executing = c;
	c->pending->exec_reply = rq->reply;
	c->pending->progress = c->pending->checked = c->pending->counted = 0;
	do {
		result = rq->command->handler(rq);
		assert(result != COMMAND_LATER);
	} while (result == COMMAND_AGAIN);
	c->pending->progress = c->pending->checked = c->pending->counted = 0;
	c->pending->exec_reply = outer_reply;
	tracking->executing = executing;
	tracking_executed(rq);
	note_changes(rq);
	call_record(rq, clock_mono_us() - begun_us);
	feed_monitors(rq);
}

/* Ends a blocked request whose reply exists already. */
static void
end_blocked(struct request *rq)
{
	uint64_t duration_us = clock_mono_us() - rq->now_us;

	note_changes(rq);
	push_reply(rq);
	outbox_unmark(&rq->client->subscriber.outbox);
	advance_reply_mode(rq->client);
	tracking_request_executed(rq->client, rq->command, false);
	call_record(rq, duration_us);
	client_check_limits(rq->client, rq->now_us);
}

/*
 * Checks the rules again, which may have changed while it waited. False: the client goes on
 * waiting.
 */
static bool
execute_blocked(struct request *rq)
{
	struct client *c = rq->client, *executing = rq->server->tracking->executing;
	enum command_result result = COMMAND_DONE;
	bool allowed, later;

	rq->server->tracking->executing = c;
	do {
		later = false;
		allowed =
		    rq->ready->is_allowed || c->user->unrestricted || access_allows(rq, &later);
	} while (later);
	access_check_over(c);
	if (client_subscriptions(c) > 0)
		outbox_mark(&c->subscriber.outbox);
	if (allowed)
		result = rq->command->handler(rq);
	rq->server->tracking->executing = executing;
	if (result == COMMAND_BLOCKED) {
		outbox_unmark(&c->subscriber.outbox);
		tracking_request_executed(c, rq->command, false);
		return false;
	}
	assert(result == COMMAND_DONE);
	if (allowed)
		tracking_executed(rq);
	end_blocked(rq);
	return true;
}

/* True for the lines that only a web browser sends, if a page makes it connect here. */
static bool
is_http(const struct request *rq)
{
	return slice_is_nocase(rq->argv[0], "post") || slice_is_nocase(rq->argv[0], "host:");
}

/* Sends a reply that no handler wrote. */
static enum request_verdict
answer(struct request *rq)
{
	push_reply(rq);
	advance_reply_mode(rq->client);
	client_check_limits(rq->client, rq->now_us);
	client_request_over(rq->client);
	return REQUEST_NEXT;
}

/* EXEC was refused: discards the transaction and extends the error. */
static void
abort_exec(struct request *rq)
{
	struct slice error = buffer_slice(rq->reply);
	char why[256];
	size_t skip = error.len > 5 && memcmp(error.ptr, "-ERR ", 5) == 0 ? 5 : 1;

	if (error.len < skip + 2) /* it is closed, without a reply */
		return;
	snprintf(why, sizeof(why), "%.*s", (int)(error.len - skip - 2), error.ptr + skip);
	buffer_clear(rq->reply);
	client_discard_transaction(rq->client);
	request_error(rq, "EXECABORT Transaction discarded because of: %s", why);
}

static enum request_verdict
reject(struct request *rq)
{
	char label[160];

	if (rq->command != NULL)
		call_record_stats(rq->server, rq->command)->rejected++;
	if (rq->command == NULL && is_http(rq)) {
		if (rate_limit_take(rq->server->log_limit, rq->now_us))
			log_notice("closing client %s: it sent HTTP",
			    client_label(rq->client, label, sizeof(label)));
		buffer_clear(rq->reply);
		client_kill(rq->client, "sent HTTP");
		client_request_over(rq->client);
		return REQUEST_NEXT;
	}
	if (client_transaction(rq->client) != NULL)
		transaction_spoil(client_transaction(rq->client));
	if (rq->command != NULL && (rq->command->flags & CMD_EXEC) != 0)
		abort_exec(rq);
	return answer(rq);
}

static enum request_verdict
queue(struct request *rq)
{
	const struct server_config *config = rq->server->config;
	struct transaction *t = client_transaction(rq->client);

	if (!access_may_queue(rq))
		return reject(rq);
	if (!t->spoiled &&
	    !transaction_add(t, rq->command, request_flags_of_script(rq), rq->argv, rq->argc,
		config->transaction_commands, config->query_buffer_bytes)) {
		request_error(rq,
		    "ERR transaction too large (max-transaction-commands %" PRIu32
		    ", client-query-buffer-limit %zu)",
		    config->transaction_commands, config->query_buffer_bytes);
		return reject(rq);
	}
	resp_put_simple(rq->reply, "QUEUED");
	return answer(rq);
}

static enum request_verdict
begin(struct request *rq)
{
	bool later = false, allowed;

	if (!find_command(rq))
		return reject(rq);
	rq->client->last_command = (uint16_t)(command_index(rq->server->commands, rq->command) + 1);
	if (!rq->client->authenticated)
		access_follow(rq->client);
	allowed = is_allowed(rq, &later);
	if (later)
		return wait_begin(rq->client, WAIT_TURN);
	access_check_over(rq->client);
	if (!allowed || request_is_busy(rq) || !has_memory(rq))
		return reject(rq);
	if (request_is_paused(rq))
		return wait_begin(rq->client, WAIT_PAUSE);
	if (client_transaction(rq->client) != NULL && (rq->command->flags & CMD_NOT_QUEUED) == 0)
		return queue(rq);
	if (request_waits_for_disk(rq))
		return wait_begin(rq->client, WAIT_DISK);
	return execute(rq);
}

/* Continues a command that was answered in part: it cannot be refused any more. */
static enum request_verdict
go_on(struct request *rq)
{
	return request_is_paused(rq) ? wait_begin(rq->client, WAIT_PAUSE) : execute(rq);
}

/* The door has checked what its protocol and its rights demand. */
static enum request_verdict
begin_of_door(struct request *rq)
{
	struct client *c = rq->client;

	if (c->user->deleted) {
		client_dismiss(c, DOOR_END_DENIED, "its user was deleted");
		client_request_over(c);
		return REQUEST_NEXT;
	}
	if ((rq->command->flags & CMD_ALLOW_BUSY) == 0 && request_is_paused(rq))
		return wait_begin(c, WAIT_PAUSE);
	if (request_waits_for_disk(rq))
		return wait_begin(c, WAIT_DISK);
	return execute(rq);
}

static enum request_verdict
take_request(struct client *c, struct request *rq)
{
	struct pending *p = c->pending;

	wait_end(c);
	if (p->job != NULL)
		return wait_begin(c, WAIT_JOB);
	if (p->job_ended) {
		rq->command = client_last_command(c);
		client_request_over(c);
		return REQUEST_NEXT;
	}
	rq->reply = rq->server->reply;
	rq->proto = c->proto;
	rq->now_us = clock_recent_us();
	rq->command = p->running;
	c->active_us = rq->now_us;
	if (rq->command != NULL)
		return go_on(rq);
	rq->command = p->of_door;
	return rq->command != NULL ? begin_of_door(rq) : begin(rq);
}

/* of_door: the row of a door's request; NULL: the command is in the table. */
static enum request_verdict
serve(struct client *c, const struct command *of_door, const struct slice *args, size_t count)
{
	struct server *server = c->server;
	enum request_verdict verdict;
	struct request rq = {.server = server, .client = c, .argv = args, .argc = count};

	if (!client_is_open(c))
		return REQUEST_NEXT;
	pending_begin(c);
	c->pending->is_executed = true;
	c->pending->of_door = of_door;
	server->tracking->executing = c;
	verdict = take_request(c, &rq);
	server->tracking->executing = NULL;
	c->pending->is_executed = false;
	if (of_door != NULL && !client_is_open(c)) {
		/* It ended itself, and may take long to leave. Nothing is queued behind its last
		 * reply, which may be held. */
		if (held_is_empty(c))
			outbox_seal(&c->subscriber.outbox);
		wait_event_of(c, WAIT_EVENT_LEFT);
		verdict = REQUEST_NEXT;
	}
	if (verdict == REQUEST_NEXT)
		pending_end(c);
	tracking_request_executed(c, rq.command, verdict == REQUEST_NEXT);
	if (!TAILQ_EMPTY(&server->blocked->ready))
		blocked_serve(server);
	return verdict;
}

enum request_verdict
server_request(struct client *c, const struct slice *args, size_t count)
{
	assert(count > 0 && client_door(c) == NULL);
	return serve(c, NULL, args, count);
}

enum request_verdict
server_door_request(
    struct client *c, const struct command *command, const struct slice *args, size_t count)
{
	assert(client_door(c) != NULL && (command->flags & ~(uint32_t)DOOR_FLAGS) == 0);
	return serve(c, command, args, count);
}

void
dispatch_init(struct server *server)
{
	server->blocked->execute = execute_blocked;
	server->blocked->end = end_blocked;
}

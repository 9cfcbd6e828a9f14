#include "config.h"

#include "server/wait.h"

#include <assert.h>

#include "base/alloc.h"
#include "pubsub/hub.h"
#include "server/client.h"
#include "server/command.h"
#include "server/io.h"
#include "server/transaction.h"

/* Clients of one queue resumed in one turn, so that a turn stays short however many wait. */
#define RETRIES_A_TURN 128
#define CONTINUED_A_TURN 4

/*
 * The most rounds begun in one turn. If at the end of a round a subscriber is found for which no
 * publisher waits any more, another round begins; most of these are short.
 */
#define ROUNDS_A_TURN 3

#define S WAIT_STAYS
#define R WAIT_RETRIES
#define E WAIT_ENDS

/* clang-format off */
static const uint8_t answers[WAIT_REASONS][WAIT_EVENTS] = {
/*                       room memory disk saved paused unpaused rules limits upstream next due key kept done ver. answered left */
[WAIT_NOT] =            { S,   S,     S,   S,    S,     S,       S,    S,     S,       S,   S,  S,  S,   S,   S,   S,       S },
[WAIT_RESUMED] =        { S,   S,     S,   S,    S,     S,       S,    S,     S,       S,   S,  S,  S,   S,   S,   S,       E },
[WAIT_JOB] =            { S,   S,     S,   S,    S,     S,       S,    S,     S,       S,   S,  S,  S,   R,   S,   S,       E },
[WAIT_TURN] =           { S,   S,     S,   S,    S,     S,       S,    S,     S,       R,   S,  S,  S,   S,   S,   S,       E },
[WAIT_ROOM] =           { R,   S,     S,   S,    R,     S,       R,    R,     S,       S,   S,  S,  S,   S,   S,   S,       E },
[WAIT_MEMORY] =         { S,   R,     S,   S,    R,     S,       R,    R,     S,       S,   S,  S,  S,   S,   S,   S,       E },
[WAIT_DISK] =           { S,   S,     R,   S,    S,     S,       R,    S,     S,       S,   S,  S,  S,   S,   S,   S,       E },
[WAIT_SAVE] =           { S,   S,     S,   R,    S,     S,       R,    S,     S,       S,   S,  S,  S,   S,   S,   S,       E },
[WAIT_PAUSE] =          { S,   S,     S,   S,    S,     R,       R,    S,     S,       S,   S,  S,  S,   S,   S,   S,       E },
[WAIT_KEY] =            { S,   S,     S,   S,    S,     S,       S,    S,     S,       S,   S,  R,  S,   S,   S,   S,       E },
[WAIT_LOGIN] =          { S,   S,     S,   S,    S,     S,       S,    S,     S,       S,   R,  S,  S,   S,   S,   S,       E },
[WAIT_HISTORY] =        { S,   S,     S,   S,    S,     S,       R,    S,     S,       S,   S,  S,  R,   S,   S,   S,       E },
[WAIT_TOKEN] =          { S,   S,     S,   S,    S,     S,       S,    S,     S,       S,   S,  S,  S,   S,   R,   S,       E },
[WAIT_SYNC] =           { S,   S,     R,   S,    S,     S,       R,    S,     S,       S,   R,  S,  S,   S,   S,   S,       E },
[WAIT_UPSTREAM_NAMES] = { S,   S,     S,   S,    S,     S,       R,    S,     R,       S,   S,  S,  S,   S,   S,   R,       E },
[WAIT_UPSTREAM] =       { S,   S,     S,   S,    R,     S,       R,    R,     R,       S,   S,  S,  S,   S,   S,   S,       E },
[WAIT_UPSTREAM_PRESENCE] = {
                          S,   S,     S,   S,    S,     S,       S,    S,     S,       S,   S,  S,  S,   S,   S,   R,       E },
[WAIT_POSITION] =       { S,   S,     S,   S,    S,     S,       S,    S,     S,       S,   S,  S,  S,   S,   S,   R,       E },
};
/* clang-format on */

enum wait_answer
wait_answer(enum wait_reason reason, enum wait_event event)
{
	return (enum wait_answer)answers[reason][event];
}

static void
note_login_place(void *client, uint32_t place)
{
	((struct client *)client)->pending->wait.login_place = place;
}

static const struct time_queue_ops login_ops = {
    .moved = note_login_place, .realloc = xrealloc, .free = xfree};

void
waits_init(struct waits *waits)
{
	for (size_t i = 0; i < WAIT_REASONS; i++)
		TAILQ_INIT(&waits->queues[i].clients);
	time_queue_init(&waits->logins, &login_ops);
}

void
waits_set_hooks(struct waits *waits, enum wait_reason reason, struct wait_hooks hooks)
{
	waits->hooks[reason] = hooks;
}

void
waits_release(struct waits *waits)
{
	time_queue_release(&waits->logins);
	xfree(waits->spare);
}

size_t
waits_blocked(const struct waits *waits)
{
	return waits->queues[WAIT_ROOM].count + waits->queues[WAIT_MEMORY].count +
	       waits->queues[WAIT_DISK].count + waits->queues[WAIT_SAVE].count +
	       waits->queues[WAIT_PAUSE].count + waits->queues[WAIT_KEY].count +
	       waits->queues[WAIT_HISTORY].count + waits->queues[WAIT_SYNC].count +
	       waits->queues[WAIT_UPSTREAM_NAMES].count + waits->queues[WAIT_UPSTREAM].count +
	       waits->queues[WAIT_UPSTREAM_PRESENCE].count + waits->queues[WAIT_POSITION].count;
}

bool
waits_try_memory(const struct waits *waits)
{
	const struct wait_queue *queue = &waits->queues[WAIT_MEMORY];

	return (queue->again && queue->count > 0) || queue->left > 0 || waits->memory_pending > 0;
}

static void
join(struct client *c, enum wait_reason reason)
{
	struct wait_queue *queue = &c->server->waits->queues[reason];

	assert(client_waits_for(c) == WAIT_NOT);
	c->pending->wait.reason = (uint8_t)reason;
	queue->count++;
	TAILQ_INSERT_TAIL(&queue->clients, c, pending->wait.queue);
	if (reason == WAIT_LOGIN)
		time_queue_add(&c->server->waits->logins, c, (int64_t)c->pending->login_at_us);
}

/* PUBLISH, SPUBLISH, EXEC with one of them, or a door's request that publishes. */
static bool
publishes(const struct client *c)
{
	const struct command *command =
	    c->pending->of_door != NULL ? c->pending->of_door : client_last_command(c);

	if ((command->flags & CMD_EXEC) != 0 && client_transaction(c) != NULL)
		return (client_transaction(c)->flags & CMD_MAY_REPLICATE) != 0 &&
		       (client_transaction(c)->flags & CMD_PUBSUB) != 0;
	return command_publishes(command);
}

/*
 * True if the request is dropped when its peer closes the connection or its sending side: a message
 * is published, and a value is popped by a blocked command, only while the client is connected; a
 * reader of the history, WAITAOF and what waits for the upstream may wait without end.
 * Other waiting requests are executed even then.
 */
static bool
ends_with_its_peer(const struct client *c, enum wait_reason reason)
{
	return reason == WAIT_ROOM || reason == WAIT_MEMORY || reason == WAIT_KEY ||
	       reason == WAIT_HISTORY || reason == WAIT_SYNC || reason == WAIT_UPSTREAM_NAMES ||
	       reason == WAIT_UPSTREAM || reason == WAIT_UPSTREAM_PRESENCE ||
	       (reason == WAIT_PAUSE && publishes(c));
}

enum request_verdict
wait_begin(struct client *c, enum wait_reason reason)
{
	join(c, reason);
	if (c->server->waits->hooks[reason].joined != NULL)
		c->server->waits->hooks[reason].joined(c);
	if (reason != WAIT_MEMORY && reason != WAIT_ROOM && reason != WAIT_TURN)
		c->pending->wait.memory_since_us = 0; /* its grace period begins again */
	/* Its message is not being copied: other publishers need not wait for it. */
	if (reason != WAIT_ROOM && reason != WAIT_TURN)
		hub_suspend_publication(c->server->hub, &c->pending->publication);
	return ends_with_its_peer(c, reason) ? REQUEST_BLOCKED : REQUEST_LATER;
}

static void
limit_to(size_t *value, size_t max)
{
	if (*value > max)
		*value = max;
}

void
wait_end(struct client *c)
{
	struct waits *waits = c->server->waits;
	struct wait_queue *queue = &waits->queues[c->pending->wait.reason];

	if (c->pending->wait.in_round) {
		c->pending->wait.in_round = false;
		waits->round_pending--;
	}
	if (c->pending->wait.in_pass) {
		c->pending->wait.in_pass = false;
		waits->memory_pending--;
	}
	if (c->pending->wait.reason == WAIT_NOT)
		return;
	if (waits->hooks[c->pending->wait.reason].left != NULL)
		waits->hooks[c->pending->wait.reason].left(c);
	if (c->pending->wait.reason == WAIT_LOGIN)
		time_queue_remove(&waits->logins, c->pending->wait.login_place);
	TAILQ_REMOVE(&queue->clients, c, pending->wait.queue);
	queue->count--;
	limit_to(&queue->left, queue->count);
	if (c->pending->wait.reason == WAIT_TURN)
		limit_to(&waits->round_turns, queue->count);
	c->pending->wait.reason = WAIT_NOT;
}

static void
resume(struct client *c)
{
	struct waits *waits = c->server->waits;
	bool in_round = waits->in_round &&
			(c->pending->wait.reason == WAIT_ROOM ||
			    (c->pending->wait.reason == WAIT_TURN && waits->round_turns > 0));
	bool in_pass = c->pending->wait.reason == WAIT_MEMORY;

	if (in_round && c->pending->wait.reason == WAIT_TURN)
		waits->round_turns--;
	if (c->pending->wait.reason == WAIT_UPSTREAM_NAMES &&
	    c->pending->asking == UPSTREAM_IS_ASKED)
		c->pending->asking = UPSTREAM_HAS_ANSWERED;
	wait_end(c);
	join(c, WAIT_RESUMED);
	c->pending->wait.in_pass = in_pass;
	waits->memory_pending += in_pass;
	c->pending->wait.in_round = in_round;
	waits->round_pending += in_round;
	c->server->io->resume(client_conn(c));
}

void
wait_event(struct server *server, enum wait_event event)
{
	for (size_t i = 0; i < WAIT_REASONS; i++)
		if (answers[i][event] == WAIT_RETRIES)
			server->waits->queues[i].again = true;
}

void
wait_event_of(struct client *c, enum wait_event event)
{
	switch (wait_answer(client_waits_for(c), event)) {
	case WAIT_STAYS:
		break;
	case WAIT_RETRIES:
		resume(c);
		break;
	case WAIT_ENDS:
		wait_end(c);
		client_request_over(c);
		pending_end(c);
		break;
	}
}

/*
 * A round ends when all requests that could have waited for a subscriber at its beginning were
 * retried.
 */
static void
end_round(struct server *server)
{
	struct waits *waits = server->waits;

	if (!waits->in_round || waits->queues[WAIT_ROOM].left > 0 || waits->round_turns > 0 ||
	    waits->round_pending > 0)
		return;
	waits->in_round = false;
	hub_end_round(server->hub);
}

static void
begin_round(struct server *server)
{
	struct waits *waits = server->waits;

	waits->in_round = true;
	waits->round_turns = waits->queues[WAIT_TURN].count;
	hub_begin_round(server->hub);
}

/*
 * Begins a pass over a queue: a client that has to wait again moves to its end, so that a request
 * that can continue is never kept behind those that cannot.
 */
static void
begin_pass(struct server *server, enum wait_reason reason)
{
	struct wait_queue *queue = &server->waits->queues[reason];

	if (!queue->again || queue->left > 0 || (reason == WAIT_ROOM && server->waits->in_round))
		return;
	queue->again = false;
	queue->left = queue->count;
	if (reason == WAIT_ROOM)
		begin_round(server);
}

static void
resume_some(struct wait_queue *queue, size_t count)
{
	struct client *c;

	for (; count > 0 && queue->left > 0; count--) {
		c = TAILQ_FIRST(&queue->clients);
		queue->left--;
		resume(c);
	}
}

void
wait_resume(struct server *server)
{
	static const enum wait_reason retried[] = {WAIT_MEMORY, WAIT_DISK, WAIT_SAVE, WAIT_PAUSE,
	    WAIT_HISTORY, WAIT_SYNC, WAIT_UPSTREAM_NAMES, WAIT_UPSTREAM};
	struct wait_queue *queues = server->waits->queues;

	for (size_t i = 0; i < sizeof(retried) / sizeof(*retried); i++) {
		begin_pass(server, retried[i]);
		resume_some(&queues[retried[i]], RETRIES_A_TURN);
	}
	end_round(server);
	for (int n = 0; n < ROUNDS_A_TURN && queues[WAIT_ROOM].again; n++) {
		begin_pass(server, WAIT_ROOM);
		end_round(server);
	}
	resume_some(&queues[WAIT_ROOM], RETRIES_A_TURN);
	queues[WAIT_TURN].left = queues[WAIT_TURN].count;
	resume_some(&queues[WAIT_TURN], CONTINUED_A_TURN);
	end_round(server);
}

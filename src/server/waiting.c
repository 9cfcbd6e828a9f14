#include "config.h"

#include "server/state.h"

/* Resumed in one turn, so that a turn stays short however many wait. */
#define RETRIES_A_TURN 128
#define CONTINUED_A_TURN 4

/*
 * Waiting clients: their request was handed back to io (SERVER_LATER), which reads nothing more of
 * them until io.resume. A request that is tried again and must wait again goes to the end of the
 * queue, so one that could go on is never kept behind those that can't.
 */
/* Those who come later are mostly due later. */
static void
insert_login(struct client *c)
{
	struct server *server = c->server;
	struct client *before = TAILQ_LAST(&server->logins, clients);

	while (before != NULL && before->login_at_us > c->login_at_us)
		before = TAILQ_PREV(before, clients, waiting);
	if (before != NULL)
		TAILQ_INSERT_AFTER(&server->logins, before, c, waiting);
	else
		TAILQ_INSERT_HEAD(&server->logins, c, waiting);
}

void
client_wait(struct client *c, enum client_wait why)
{
	struct server *server = c->server;

	client_stop_waiting(c);
	c->wait = why;
	switch (why) {
	case CLIENT_WAITS_FOR_ROOM:
	case CLIENT_WAITS_FOR_PAUSE:
	case CLIENT_WAITS_FOR_DISK:
		TAILQ_INSERT_TAIL(&server->waiting, c, waiting);
		server->waiting_count++;
		break;
	case CLIENT_WAITS_FOR_TURN:
		TAILQ_INSERT_TAIL(&server->continuing, c, waiting);
		break;
	case CLIENT_WAITS_FOR_LOGIN:
		insert_login(c);
		server->login_count++;
		break;
	case CLIENT_WAITS_FOR_JOB:
	case CLIENT_WAITS_FOR_KEY:
	case CLIENT_WAITS_NOT:
		break;
	}
}

void
client_stop_waiting(struct client *c)
{
	struct server *server = c->server;

	switch (c->wait) {
	case CLIENT_WAITS_FOR_ROOM:
	case CLIENT_WAITS_FOR_PAUSE:
	case CLIENT_WAITS_FOR_DISK:
		TAILQ_REMOVE(&server->waiting, c, waiting);
		server->waiting_count--;
		break;
	case CLIENT_WAITS_FOR_TURN:
		TAILQ_REMOVE(&server->continuing, c, waiting);
		break;
	case CLIENT_WAITS_FOR_LOGIN:
		TAILQ_REMOVE(&server->logins, c, waiting);
		server->login_count--;
		break;
	case CLIENT_WAITS_FOR_KEY:
		blocked_forget(c);
		break;
	default:
		break;
	}
	c->wait = CLIENT_WAITS_NOT;
}

static void
resume(struct client *c)
{
	client_stop_waiting(c);
	c->server->io.resume(c->conn);
}

void
waiting_resume(struct server *server)
{
	size_t n;

	if (server->retry_waiting) {
		server->retry_waiting = false;
		server->retry_left = server->waiting_count;
	}
	for (n = 0; n < RETRIES_A_TURN && server->retry_left > 0; n++) {
		server->retry_left--;
		if (TAILQ_EMPTY(&server->waiting))
			server->retry_left = 0;
		else
			resume(TAILQ_FIRST(&server->waiting));
	}
	for (n = 0; n < CONTINUED_A_TURN && !TAILQ_EMPTY(&server->continuing); n++)
		resume(TAILQ_FIRST(&server->continuing));
}

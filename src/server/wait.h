#ifndef SERVER_WAIT_H
#define SERVER_WAIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/time_queue.h"
#include "server/io.h"
#include "server/wait_state.h"

/*
 * Waiting: why a client's request is not done yet, and what ends that.
 *
 * A client waits for one reason at a time; its record (struct wait) is in the queue of that reason,
 * and its request is kept by io (REQUEST_LATER, REQUEST_BLOCKED), which reads no further request of
 * it. One table (wait_answer) says what an event means for each reason: the client goes on waiting;
 * or its request is handed over again and checked from the start, as a new one; or the client stops
 * waiting and releases what its request had claimed. No totals over the waiting clients are stored:
 * they are computed from the queues.
 */
struct client;
struct server;

enum wait_event {
	WAIT_EVENT_ROOM,     /* a full outbox has room, or another publisher waits for it now */
	WAIT_EVENT_MEMORY,   /* memory_guard.c has room for the waiting messages */
	WAIT_EVENT_DISK,     /* something was synced, or less is to be written */
	WAIT_EVENT_SAVED,    /* a snapshot ended, or a switch of the append-only file */
	WAIT_EVENT_PAUSED,   /* CLIENT PAUSE */
	WAIT_EVENT_UNPAUSED, /* CLIENT UNPAUSE, or the pause is over */
	WAIT_EVENT_RULES,    /* rules of access changed */
	WAIT_EVENT_LIMITS,   /* the configuration changed */
	WAIT_EVENT_UPSTREAM, /* the link went up or down, or there is room for messages */
	WAIT_EVENT_NEXT,     /* of one client: its turn has come */
	WAIT_EVENT_DUE,      /* ... its login is due, or the time of its WAITAOF is up */
	WAIT_EVENT_KEY,      /* ... its blocking command was answered */
	WAIT_EVENT_KEPT,     /* ... one of its channels has a message, or its time is up */
	WAIT_EVENT_DONE,     /* ... its job is done */
	WAIT_EVENT_VERIFIED, /* ... its token was verified, or is not to be */
	WAIT_EVENT_ANSWERED, /* ... the upstream has answered */
	WAIT_EVENT_LEFT,     /* ... it was killed, is being finished, or has left */
};
#define WAIT_EVENTS (WAIT_EVENT_LEFT + 1)

enum wait_answer { WAIT_STAYS, WAIT_RETRIES, WAIT_ENDS };

TAILQ_HEAD(waiting_clients, client);

/*
 * Functions of a module that are called when a client begins to wait for its reason, and when it
 * stops waiting. During both calls the client is in the queue. NULL: none.
 */
struct wait_hooks {
	void (*joined)(struct client *c);
	void (*left)(struct client *c);
};

/* The clients that wait for one reason, the longest waiting first. */
struct wait_queue {
	struct waiting_clients clients;
	size_t count;
	size_t left; /* to be resumed in this pass over the queue */
	bool again;  /* another pass follows */
};

/* The waiting clients of a server. */
struct waits {
	struct wait_queue queues[WAIT_REASONS];
	struct time_queue logins; /* the clients of WAIT_LOGIN, by login_at_us */
	struct wait_hooks hooks[WAIT_REASONS];
	/* The hub's round (hub_begin_round): which requests are retried in it. */
	bool in_round;
	size_t round_turns;    /* in WAIT_TURN, to be resumed */
	size_t round_pending;  /* resumed, and not retried yet */
	size_t memory_pending; /* resumed from WAIT_MEMORY, and not retried yet */
	struct pending *spare; /* owned, all zero; NULL: it is in use */
};

/* The table. */
enum wait_answer wait_answer(enum wait_reason reason, enum wait_event event);

void waits_init(struct waits *waits);
void waits_release(struct waits *waits);

/* One module for each reason at most. */
void waits_set_hooks(struct waits *waits, enum wait_reason reason, struct wait_hooks hooks);

/* The client's request, which was handed over, waits. Returns what io has to do with it. */
enum request_verdict wait_begin(struct client *c, enum wait_reason reason);

/* Ends the wait: its request is handed over again. */
void wait_end(struct client *c);

/* An event for all waiting clients. wait_resume resumes those that must retry. */
void wait_event(struct server *server, enum wait_event event);

/* An event for one client, which takes effect at once. */
void wait_event_of(struct client *c, enum wait_event event);

/* Called once a turn, after the flush. */
void wait_resume(struct server *server);

/*
 * True until every request that waited for memory at the last WAIT_EVENT_MEMORY has been retried.
 */
bool waits_try_memory(const struct waits *waits);

/*
 * The number of clients whose request waits for others: for room, memory, the disk, a pause, a key
 * or a message.
 */
size_t waits_blocked(const struct waits *waits);

/* A request of c begins, or goes on: c->pending is not NULL afterwards. */
void pending_begin(struct client *c);

/* To be called when the request may be done: c->pending is NULL afterwards, unless it is still
 * needed. */
void pending_end(struct client *c);

/* The client is freed. */
void pending_drop(struct client *c);

#endif

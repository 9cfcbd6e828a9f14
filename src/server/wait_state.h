#ifndef SERVER_WAIT_STATE_H
#define SERVER_WAIT_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "pubsub/hub.h"

/* Why a client's request waits; a part of struct client, see wait.h. */
struct acl_look;
struct block;
struct client;
struct command;
struct history_read;
struct hub_gather;
struct job;
struct presence_question;
struct sent_wait;
struct sync_wait;

enum wait_reason {
	WAIT_NOT,
	WAIT_RESUMED,        /* io was told to hand the request over again */
	WAIT_JOB,            /* its own job is not done */
	WAIT_TURN,           /* its command goes on in a later turn */
	WAIT_ROOM,           /* a subscriber under OUTBOX_BLOCK is full */
	WAIT_MEMORY,         /* maxmemory-pubsub */
	WAIT_DISK,           /* replies are held, or too much is unwritten */
	WAIT_SAVE,           /* SAVE: a snapshot must end */
	WAIT_PAUSE,          /* CLIENT PAUSE */
	WAIT_KEY,            /* see blocked.h */
	WAIT_LOGIN,          /* wrong passwords came from its address: see login_delay.h */
	WAIT_HISTORY,        /* HISTORY READ: see history_wait.h */
	WAIT_TOKEN,          /* another thread verifies its token */
	WAIT_SYNC,           /* WAITAOF: see sync_wait.h */
	WAIT_UPSTREAM_NAMES, /* the upstream has to confirm what it subscribes to: see upstream.h */
	WAIT_UPSTREAM,       /* its message or query cannot be sent to the upstream yet */
	WAIT_UPSTREAM_PRESENCE, /* the upstream has to say who is present: see presence_ask.h */
	WAIT_POSITION, /* the upstream has not given a message its position yet: see sent_wait.h */
};
#define WAIT_REASONS (WAIT_POSITION + 1)

/* The wait of one client. */
struct wait {
	TAILQ_ENTRY(client) queue; /* of its reason */
	uint8_t reason;            /* enum wait_reason */
	bool in_round;             /* resumed in the hub's round, and not retried yet */
	bool in_pass;              /* resumed from WAIT_MEMORY, and not retried yet */
	uint32_t login_place;      /* WAIT_LOGIN: place in the time queue */
	uint64_t memory_since_us;  /* start of a wait for memory, room or its turn; or 0 */
};

/*
 * The state of a client's request from its arrival until it is done: why it waits, its progress,
 * and what it has claimed.
 *
 * Invariant: client->pending is not NULL while a request of the client is executed or waits, and
 * while its job runs. An idle client has none. Requests that do not wait share one struct, one
 * after the other (waits.spare), so they allocate nothing.
 */
/* How far a request is that needs names of the upstream. */
enum upstream_asking {
	UPSTREAM_NOT_ASKED,
	UPSTREAM_IS_ASKED,     /* for at least one name */
	UPSTREAM_HAS_ANSWERED, /* ... and it was resumed after that */
};

struct pending {
	struct wait wait;
	struct hub_publication publication; /* the message that it publishes */
	struct block *block;                /* while it is blocked; owned by blocked.c */
	struct history_read *read;          /* owned, one block; its HISTORY READ, if it waited */
	struct sync_wait *sync;             /* owned; its WAITAOF, if it waited */
	struct sent_wait *sent;    /* owned; its message that waits for a position, or NULL */
	struct hub_gather *gather; /* owned; of its PRESUME or PSUBSCRIBE in progress, or NULL */
	struct presence_question *presence; /* owned, by presence_ask.c; or NULL */
	struct job *job;                    /* a sliced command in progress */
	const struct command *running;      /* COMMAND_AGAIN: the command in progress, or NULL */
	const struct command *of_door; /* the request is a door's, of this row; NULL: it is not */
	size_t progress;               /* used by the handler; 0 when a command begins */
	size_t checked;                /* the same: what it has done before that */
	size_t counted;                /* ... and what it has counted of them */
	uint64_t running_us;           /* spent on it so far */
	struct buffer partial;         /* its reply so far */
	struct buffer *exec_reply;     /* reply to the running command of a transaction */
	struct acl_look *look;         /* owned; state of an access check of several turns */
	uint64_t login_at_us;          /* when its waiting login is processed; 0: none */
	size_t asked;                  /* names that the upstream was asked for */
	uint64_t awaited_answers; /* what its SUBSCRIBE waits for, see upstream.h; 0: nothing */
	uint64_t awaited_sent;    /* WAIT_POSITION: until this message is answered */
	uint64_t awaited_disk;    /* SAVE: until so many snapshots have ended; CONFIG SET: an
				     attempt to switch the log on; 0: neither */
	uint32_t rules_version;   /* limits_version when its SUBSCRIBE was allowed */
	uint8_t asking;           /* enum upstream_asking */
	bool is_executed;         /* server_request is executing it */
	bool job_ended;           /* the request need not be executed again */
	/* For its reply, if that is held (held.h): */
	uint64_t first_sent; /* the first message that the command has sent to the upstream; 0: none
			      */
	bool has_changed;    /* the command has changed something */
	bool has_pushed;     /* ... has caused messages to itself */
	bool has_new_state;  /* ... has changed subscriptions, protocol or user */
};

#endif

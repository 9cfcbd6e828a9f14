#ifndef SERVER_WAIT_STATE_H
#define SERVER_WAIT_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* Why a client's request waits; a part of struct client, see wait.h. */
struct client;

enum wait_reason {
	WAIT_NOT,
	WAIT_RESUMED, /* io was told to hand the request over again */
	WAIT_JOB,     /* its own job is not done */
	WAIT_TURN,    /* its command goes on in a later turn */
	WAIT_ROOM,    /* a subscriber under OUTBOX_BLOCK is full */
	WAIT_MEMORY,  /* maxmemory-pubsub */
	WAIT_DISK,    /* replies are held, or too much is to be written */
	WAIT_SAVE,    /* SAVE: a snapshot is to end */
	WAIT_PAUSE,   /* CLIENT PAUSE */
	WAIT_KEY,     /* see blocked.h */
	WAIT_LOGIN,   /* wrong passwords came from its address: see login_delay.h */
};
#define WAIT_REASONS (WAIT_LOGIN + 1)

/* One client's. */
struct wait {
	TAILQ_ENTRY(client) queue; /* of its reason */
	uint8_t reason;            /* enum wait_reason */
	bool in_round;             /* resumed in the hub's round, and not tried yet */
	bool in_pass;              /* resumed from WAIT_MEMORY, and not tried yet */
	uint32_t login_place;      /* of WAIT_LOGIN: in the queue by time */
	uint64_t memory_since_us;  /* the request waits for memory, room or its turn since then; 0:
				      for  something else, or it never waited for memory */
};

#endif

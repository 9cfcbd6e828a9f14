#ifndef SERVER_CLIENT_STATE_H
#define SERVER_CLIENT_STATE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The life of a client, from the accepted connection to the freed memory. A client is in one state;
 * one table says which state each event leads to. The states are in the order of the life: a client
 * never returns to an earlier one.
 */
enum client_state {
	CLIENT_OPEN,
	CLIENT_REFUSED,   /* over maxclients or against protected mode: finishing, and in no list */
	CLIENT_FINISHING, /* accepts no more requests; ends when its outbox is flushed */
	CLIENT_PARTING,   /* the same, because of a lame-duck period, which counts it */
	CLIENT_KILLED,    /* io.kill was called: CLIENT LIST does not show it any more */
	CLIENT_CUT,       /* the same, counted by memory_guard.c: its outbox still uses memory */
	CLIENT_GONE,      /* closed; its subscriptions are being removed in slices */
	CLIENT_GONE_CUT,  /* the same, still counted by memory_guard.c */
};
#define CLIENT_STATES (CLIENT_GONE_CUT + 1)

enum client_event {
	CLIENT_EVENT_REFUSE,
	CLIENT_EVENT_FINISH,
	CLIENT_EVENT_PART,
	CLIENT_EVENT_KILL,
	CLIENT_EVENT_CUT,
	CLIENT_EVENT_CLOSE,
};
#define CLIENT_EVENTS (CLIENT_EVENT_CLOSE + 1)

/* The next state by the table; the same state if the event has no effect in it. */
enum client_state client_state_after(enum client_state state, enum client_event event);

/* Moves an enum client_state. False, and nothing changed, if the event has no effect in it. */
bool client_state_move(uint8_t *state, enum client_event event);

#endif

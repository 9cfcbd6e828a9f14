#ifndef APP_UPGRADE_STATES_H
#define APP_UPGRADE_STATES_H

#include <stdint.h>

/*
 * The states of an upgrade, in the process that is replaced, as one table of transitions: it takes
 * events and returns the actions and the next state. It does nothing itself; app/hand_over.c
 * carries the actions out.
 *
 * What must hold, and which part of the table makes it so:
 *
 * - Exactly one process accepts connections. The successor listens on the same sockets, but accepts
 *   only after UPGRADE_TELL, and this process closes its listeners in the same step
 *   (UPGRADE_TAKE_LEAVE). If the message of UPGRADE_TELL cannot be sent, the successor is gone.
 * - No acknowledged change is lost. The successor gets the keys of one moment (UPGRADE_COPY) and
 * all changes since then. UPGRADE_SEAL follows when no command can change a key any more
 *   (UPGRADE_FREEZE), every change was sent, and the append-only file is synced.
 * - No change is acknowledged after the state that the successor has: from UPGRADE_FREEZE on,
 *   commands that change keys wait. Either they continue after UPGRADE_THAW, or they are refused
 *   after UPGRADE_TAKE_LEAVE.
 * - No member of a channel seems to leave or to join: the same child sends the members, events wait
 *   since UPGRADE_FREEZE and are published by the one that serves afterwards, and what leaves since
 *   then is recorded for the successor.
 * - No position of a kept message is given twice. A child sends the kept messages after
 *   UPGRADE_FREEZE, when nothing is published; if one is kept all the same, the upgrade fails.
 * After UPGRADE_TAKE_LEAVE this process keeps no message.
 * - If anything fails, this process serves as if nothing had happened: UPGRADE_EVENT_FAILED leads
 *   from every state to UPGRADE_NONE, and undoes exactly what was done.
 * - Memory is bounded: while changes are collected, the directive aof-unsynced-max-bytes limits
 *   them, and writers wait. The child of UPGRADE_COPY shares its memory with this process.
 */
enum upgrade_state {
	UPGRADE_NONE,
	UPGRADE_STARTS,    /* the successor reads its configuration */
	UPGRADE_WAITS,     /* ... is ready to receive; a snapshot or rewrite has to end first */
	UPGRADE_COPIES,    /* a child sends the keys; changes are collected */
	UPGRADE_FOLLOWS,   /* the changes are sent, until few are left */
	UPGRADE_FREEZES,   /* nothing changes; the last changes, messages and members are sent */
	UPGRADE_CONCLUDES, /* the successor has everything and opens the files */
	UPGRADE_DONE,      /* it serves */
};
#define UPGRADE_STATES (UPGRADE_DONE + 1)

enum upgrade_event {
	UPGRADE_EVENT_BEGIN,  /* the successor was started */
	UPGRADE_EVENT_HELLO,  /* it is ready to receive */
	UPGRADE_EVENT_IDLE,   /* no snapshot or rewrite is under way */
	UPGRADE_EVENT_COPIED, /* the child has sent all keys */
	UPGRADE_EVENT_CLOSE,  /* few changes are left, or they do not become fewer */
	UPGRADE_EVENT_EMPTY,  /* all changes are sent and synced */
	UPGRADE_EVENT_READY,  /* the successor can serve */
	UPGRADE_EVENT_TOLD,   /* the message that it shall serve was sent */
	UPGRADE_EVENT_FAILED, /* the successor refuses, has ended or takes too long; a call failed;
				 or this process is shutting down */
};
#define UPGRADE_EVENTS (UPGRADE_EVENT_FAILED + 1)

/* In the order in which they are carried out. */
enum upgrade_action {
	UPGRADE_RESERVE = 1 << 0, /* no snapshot or rewrite begins */
	UPGRADE_COPY = 1 << 1,
	UPGRADE_FREEZE = 1 << 2,
	UPGRADE_SEAL = 1 << 3, /* no further change; tells the successor what it has got */
	UPGRADE_TELL = 1 << 4,
	UPGRADE_TAKE_LEAVE =
	    1 << 5,              /* closes the listeners, refuses changes, becomes a lame duck */
	UPGRADE_CANCEL = 1 << 6, /* undoes RESERVE, COPY and SEAL */
	UPGRADE_THAW = 1 << 7,   /* undoes FREEZE */
	UPGRADE_DROP = 1 << 8,   /* ends the successor, and the connection to it */
	UPGRADE_REFUSE = 1 << 9, /* an upgrade is under way already */
	UPGRADE_FAIL = 1 << 10,  /* the event is impossible in this state: the successor breaks the
				    protocol, so UPGRADE_EVENT_FAILED follows */
};

/* Returns the actions, and sets *state to the next state. */
uint32_t upgrade_step(enum upgrade_state *state, enum upgrade_event event);

#endif

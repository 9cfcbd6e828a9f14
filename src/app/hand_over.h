#ifndef APP_HAND_OVER_H
#define APP_HAND_OVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "app/departures.h"
#include "app/upgrade.h"
#include "app/upgrade_states.h"
#include "base/buffer.h"
#include "persist/dump_file.h"

/*
 * Hand over: the upgrade in the process that is replaced. It carries out the actions of
 * upgrade_states.h: it starts the successor (upgrade.h), passes the keys and files to it
 * (persist/transfer.h) over the channel (upgrade_channel.h), and has it serve. take_over.h is the
 * other side.
 *
 * It does not know what an upgrade means for the rest of the daemon: lifecycle.h decides whether it
 * may begin, and what follows it.
 */
struct net_watch;
struct wiring;

struct hand_over {
	struct wiring *wiring; /* borrowed */
	struct upgrade upgrade;
	enum upgrade_state state;
	uint64_t since_us;                /* when the state began */
	struct net_watch *input, *output; /* owned; NULL: not watched */
	pid_t successor;                  /* as it says */
	struct departures departures;
	struct dump_child history; /* sends the kept messages and members while nothing changes */
	struct net_watch *history_end;
	bool history_is_sent;
	uint64_t history_seq;    /* the newest position that it sends */
	bool ends_itself;        /* it was told to us why: it is not killed */
	struct buffer why;       /* the upgrade failed */
	void (*done)(void *arg); /* the successor serves */
	void *arg;
};

/* Borrows argv, see upgrade_init(). */
void hand_over_init(
    struct hand_over *h, struct wiring *wiring, char **argv, void (*done)(void *arg), void *arg);
void hand_over_release(struct hand_over *h); /* no upgrade is active any more */

void hand_over_begin(struct hand_over *h);

bool hand_over_is_active(const struct hand_over *h);

/* Gives the upgrade up, if there is one, without a line in the log. */
void hand_over_cancel(struct hand_over *h);

/* Call it before the event loop is released: nothing is sent any more. */
void hand_over_end(struct hand_over *h);

/* Call it at the end of each turn, when the turn's changes were passed on (persist_turn_ends). */
void hand_over_turn_ends(struct hand_over *h);

#endif

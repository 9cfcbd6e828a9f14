#ifndef SERVER_PAUSE_H
#define SERVER_PAUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/core.h"

struct job_kind;

/*
 * Pause: CLIENT PAUSE, the last step of an upgrade, and a suspended script. A paused command waits
 * (WAIT_PAUSE); no key expires or is evicted, so that no key becomes ready for a blocked client. A
 * suspended script makes keys ready: their clients are served when it has ended.
 */
struct pause {
	uint64_t until_us; /* of CLIENT PAUSE; monotonic; 0: not paused */
	bool all;          /* all commands, otherwise only those that publish or change keys */
	bool frozen;       /* an upgrade: those that publish or change keys */
	const struct job_kind *by_script; /* a script is suspended: all commands, and all jobs but
					     its own; NULL: none is, see scripts.h */
	bool handed_over;                 /* ... is over: another process serves */
};

#define PAUSE_HANDED_OVER "READONLY Another process has taken over from this one. Connect again."

/* now_us is monotonic. */
static inline bool
server_is_paused(const struct server *server, uint64_t now_us)
{
	return server->pause->until_us > now_us || server->pause->frozen ||
	       server->pause->by_script != NULL;
}

/* Begins or ends the pause of an upgrade, which is independent of CLIENT PAUSE. */
void server_freeze(struct server *server, bool frozen);

#endif

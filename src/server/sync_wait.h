#ifndef SERVER_SYNC_WAIT_H
#define SERVER_SYNC_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time_queue.h"
#include "server/request.h"

/*
 * Waiting for the disk: clients whose WAITAOF waits until their changes are on disk (WAIT_SYNC).
 *
 * The request stays with net and is executed again, from the start, when something was synced, when
 * its time is up, when CLIENT UNBLOCK names its client, or when the append-only file was switched
 * off. When its time is up is stored meanwhile (pending->sync).
 */
struct client;
struct server;
struct sync_wait;

struct sync_waits {
	struct time_queue deadlines; /* monotonic, us */
};

void sync_waits_init(struct server *server);
void sync_waits_release(struct sync_waits *waits); /* no client waits any more */

/* What ended the last wait of the request. */
enum sync_woken {
	SYNC_NOT_WAITED, /* it did not wait yet */
	SYNC_WOKEN,      /* a sync, or a reason to check the request again */
	SYNC_TIMED_OUT,
	SYNC_UNBLOCKED, /* CLIENT UNBLOCK ... ERROR */
};
enum sync_woken sync_wait_result(const struct request *rq);

/*
 * The handler's result while its client's changes are not on disk: it waits, until until_us at most
 * (UINT64_MAX: without end). When it is called again the first until_us counts.
 */
enum command_result sync_wait(struct request *rq, uint64_t until_us);

/* CLIENT UNBLOCK: ends the wait as after a timeout, or with an error. False: the client does not
 * wait for the disk. */
bool sync_wait_end(struct client *c, bool with_error);

/* Ends the waits whose time is up. Returns the time until the next call, in us; 0: call again at
 * once. */
uint64_t sync_wait_turn(struct server *server, uint64_t now_us);

#endif

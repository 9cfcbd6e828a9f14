#ifndef SERVER_HISTORY_WAIT_H
#define SERVER_HISTORY_WAIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/bytes.h"
#include "base/time_queue.h"
#include "pubsub/hub_history.h"
#include "server/request.h"

/*
 * Waiting readers: clients whose HISTORY READ waits for a message to be kept (WAIT_HISTORY).
 *
 * The request stays with net and is executed again, from the start, when one of its channels has a
 * new message, when its time is up, when CLIENT UNBLOCK names its client, or when rules of access
 * changed. Where it reads from is stored meanwhile (pending->read), because `$` means the moment at
 * which it began. With a million readers of one channel only some are resumed in a turn.
 */
struct client;
struct history_read;
struct server;
struct waited_channel;

TAILQ_HEAD(waited_channels, waited_channel);

struct history_waits {
	struct hash_map *channels;    /* name -> struct waited_channel; NULL: no reader waits */
	struct waited_channels ready; /* channels that got a message, with their readers */
	struct time_queue deadlines;  /* of the reads; monotonic, us */
	struct hub_append_hook hook;  /* set while readers wait */
	struct server *server;
	size_t count; /* of waiting readers */
};

void history_waits_init(struct server *server);
void history_waits_release(struct history_waits *waits); /* no client waits any more */

/* What ended the last wait of the request. */
enum history_woken {
	HISTORY_NOT_WAITED, /* it did not wait yet */
	HISTORY_WOKEN,      /* a message, or a reason to check the request again */
	HISTORY_TIMED_OUT,
	HISTORY_UNBLOCKED, /* CLIENT UNBLOCK ... ERROR */
};
enum history_woken history_wait_result(const struct request *rq);

/* The seqs that were given to history_wait(), and the epoch of positions then; NULL if it did not
 * wait. Borrows. */
const uint64_t *history_wait_seqs(const struct request *rq, uint64_t *epoch);

/* The readers that wait for the channel check their requests again: its messages are not seen here
 * from now on, unless somebody asks for them. */
void history_wait_again(struct server *server, struct slice channel);
void history_wait_all_again(struct server *server); /* the readers of all channels */

/*
 * The handler's result when nothing can be read yet: it waits for a message of one of the channels
 * (count of them, 1 or more), until until_us at most (UINT64_MAX: without end). When it is called
 * again the time counts on. seqs[i] is stored for channels[i]. Copies.
 */
enum command_result history_wait(struct request *rq, const struct slice *channels,
    const uint64_t *seqs, size_t count, uint64_t until_us);

/* CLIENT UNBLOCK: ends the wait as after a timeout, or with an error. False: the client does not
 * wait for messages. */
bool history_wait_end(struct client *c, bool with_error);

/* Resumes readers. Returns the time until the next call, in us; 0: call again at once. */
uint64_t history_wait_turn(struct server *server, uint64_t now_us);

#endif

#ifndef SERVER_BLOCKED_H
#define SERVER_BLOCKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/time_queue.h"
#include "kv/keyspace.h"
#include "server/request.h"

/*
 * Blocked: clients whose request waits for a key to come to be (BLPOP and its like).
 *
 * The handler finds nothing and calls request_block, which copies the request. When such a key has
 * come to be the handler is called again, for that key alone, after the command (or the
 * transaction) that made it and before anything else: those who wait for the key in the order in
 * which they began to. What that makes anew is served in turn. A key of another type, or one that
 * is gone again, leaves them waiting; the time, CLIENT UNBLOCK, or the end of the connection ends
 * it.
 */
struct client;
struct server;
struct waited_key;
struct block;

TAILQ_HEAD(waited_keys, waited_key);

struct blocked {
	struct hash_map *keys;    /* key_id -> struct waited_key */
	struct waited_keys ready; /* to be served, the first to come to be first */
	struct waited_keys all;
	struct waited_key *look_next; /* in all, from the front again behind the last */
	size_t look_left;             /* how many may have come with a database */
	struct time_queue deadlines;  /* of blocks; us */
	struct waiter *next;          /* the next to be served of the key that is being served */
	struct block *running;        /* whose handler runs */
	/* dispatch.c: executes the request, false: it goes on waiting; ends it, with a reply: */
	bool (*execute)(struct request *rq);
	void (*end)(struct request *rq);
	struct buffer reply; /* ... and its reply; another command may be running as well */
	bool serving;
	size_t count; /* of clients */
};

void blocked_init(struct server *server);
void blocked_release(struct blocked *b); /* nobody waits any more */

/* A timeout in seconds, as Redis reads it; *until_us is monotonic, UINT64_MAX: for ever. False: it
 * is none, and answered. */
bool block_timeout_parse(struct request *rq, struct slice arg, uint64_t *until_us)
    __attribute__((warn_unused_result));

/* False where the handler is called for another key than this one, which it must not look at. */
bool block_concerns(const struct request *rq, struct slice name);

/*
 * The handler's result where there is nothing yet: its client waits. In a transaction it is done at
 * once and answers as if time were up, with null (is_one), or with a null array. Copies.
 */
struct block_terms {
	const struct slice *names; /* of keys */
	size_t count;
	enum kv_type type;
	uint64_t until_us;
	bool is_one;
};
enum command_result request_block(struct request *rq, const struct block_terms *terms);

/* A key has come to be, or another type of it. Costs nothing while nobody waits for any. */
void blocked_key_ready(
    struct server *server, const struct kv_db *db, struct slice name, enum kv_type type);

/* A database has got other keys. The first thousand keys that somebody waits for are looked at with
 * this command, the others in the next turns. */
void blocked_look_again(struct server *server);

/* Those whose keys are ready. To be called after each command that is no part of a transaction. */
void blocked_serve(struct server *server);

/* Goes on with blocked_look_again; ends the waiting of those whose time is up. In how many us it
 * wants to be called again; 0: at once, there are more. */
uint64_t blocked_turn(struct server *server, uint64_t now_us);

/* CLIENT UNBLOCK: answers as if its time were up, or with an error. False: it does not wait. */
bool blocked_end(struct client *c, bool with_error);

#endif

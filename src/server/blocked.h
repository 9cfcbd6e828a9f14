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
 * Blocked clients: clients whose request waits for a key to be created (BLPOP and similar
 * commands).
 *
 * A handler that finds no such key calls request_block, which copies the request. When a key is
 * created, or an entry is added to a stream, the handler is called again, for that key alone (its
 * cost must not depend on how many others the request names), after the command (or the
 * transaction or script) that did so and before any other command. Clients that wait for
 * the key are served in the order in which they began to wait. Keys that this creates are served
 * next. If the key is of another type or is gone again, they go on waiting, unless their terms say
 * otherwise. A timeout, CLIENT UNBLOCK, or the end of the connection ends the wait.
 */
struct client;
struct server;
struct waited_key;
struct block;

/* Why a handler is called again. Lives as long as this call. */
struct block_ready {
	struct slice name; /* of the key, which the handler serves alone */
	size_t at;         /* its first index in the terms' names */
	const void *kept;  /* copy of the terms' kept bytes */
	bool is_allowed;   /* the client's rights have not changed since they were checked */
};

TAILQ_HEAD(waited_keys, waited_key);

struct blocked {
	struct hash_map *keys;    /* key_id -> struct waited_key */
	struct waited_keys ready; /* keys to be served, in the order in which they were created */
	struct waited_keys all;   /* all keys that clients wait for */
	struct waited_key *look_next; /* position in `all`; wraps at the end */
	size_t look_left;             /* keys still to be checked after a SWAPDB */
	struct time_queue deadlines;  /* of blocks; monotonic, us */
	struct waiter *next;          /* next client of the key that is being served */
	struct block *running;        /* the block whose handler runs */
	/*
	 * Set by dispatch.c. execute calls the handler of a blocked request; false: the client goes
	 * on waiting. end sends `reply` and ends the request.
	 */
	bool (*execute)(struct request *rq);
	void (*end)(struct request *rq);
	struct buffer reply; /* reply of `running`; another command may be running as well */
	bool serving;
	bool ends_all; /* see blocked_end_all() */
	size_t count;  /* blocked clients */
	size_t keyed;  /* those of them that do not go on waiting without the key */
};

void blocked_init(struct server *server);
void blocked_release(struct blocked *b); /* no client is blocked any more */

/*
 * Reads a timeout in seconds as Redis does. *until_us is monotonic; UINT64_MAX: no timeout. Returns
 * false after replying with an error if it is invalid. A request that has waited was read before:
 * then it is not read again.
 */
bool block_timeout_parse(struct request *rq, struct slice arg, uint64_t *until_us)
    __attribute__((warn_unused_result));

/* The same for an integer in ms, as the commands of streams have it. */
bool block_timeout_parse_ms(struct request *rq, struct slice arg, uint64_t *until_us)
    __attribute__((warn_unused_result));

/*
 * The handler's result if there is no such key: its client waits. In a transaction it replies at
 * once as after a timeout: with null (is_one) or a null array. Changes that the handler has made
 * already are logged. Copies.
 */
struct block_terms {
	const struct slice *names; /* of keys */
	size_t count;
	enum kv_type type;
	uint64_t until_us;
	bool is_one;
	bool ends_without_key; /* the handler is also called when a key was removed, or replaced by
				  a value of another type */
	const void *kept;      /* bytes that the handler gets back in block_ready, or NULL */
	size_t kept_len;
};
enum command_result request_block(struct request *rq, const struct block_terms *terms);

/* A key was created, its type changed, or a stream has a new entry or has lost a group. Costs
 * nothing if no client is blocked. */
void blocked_key_ready(
    struct server *server, const struct kv_db *db, struct slice name, enum kv_type type);

/* A key was removed, or its value replaced. Costs nothing if no client waits that ends without it.
 */
void blocked_key_gone(struct server *server, const struct kv_db *db, struct slice name);

/*
 * The keys of a database were replaced or removed (SWAPDB, FLUSHDB). Checks the first thousand keys
 * that clients wait for at once, and the others in the next turns.
 */
void blocked_look_again(struct server *server);

/*
 * Serves the clients whose keys are ready. Called after each command that is not part of a
 * transaction. While a script is suspended it does nothing; the end of the script calls it.
 */
void blocked_serve(struct server *server);

/*
 * Continues blocked_look_again and ends waits that timed out. Returns the time until the next call,
 * in us; 0: call again at once.
 */
uint64_t blocked_turn(struct server *server, uint64_t now_us);

/*
 * CLIENT UNBLOCK: replies as after a timeout, or with an error. False: the client is not blocked.
 */
bool blocked_end(struct client *c, bool with_error);

/* Another process has taken over: all blocked clients get an error, in the next turns. */
void blocked_end_all(struct server *server);

#endif

#ifndef CMD_ZSET_POP_H
#define CMD_ZSET_POP_H

#include <stdbool.h>
#include <stddef.h>

#include "kv/keyspace.h"
#include "kv/zset.h"
#include "server/request.h"

/*
 * Pops of sorted sets, for ZPOPMIN, ZMPOP and the blocking commands: remove the members, reply,
 * notify ("zpopmin", and "del" with the last member) and log ZPOPMIN or ZPOPMAX with a count, so
 * that a blocking command is replayed without blocking.
 */
enum zset_end { ZSET_MIN, ZSET_MAX };

enum zset_pop_form {
	ZSET_POP_FLAT,      /* member, score, member, score: ZPOPMIN in RESP2 and without a count */
	ZSET_POP_PAIRS,     /* [member, score], ...: ZPOPMIN with a count in RESP3 */
	ZSET_POP_KEY_FLAT,  /* key, member, score: BZPOPMIN */
	ZSET_POP_KEY_PAIRS, /* key, [[member, score], ...]: ZMPOP, BZMPOP */
};

/*
 * Pops at most count members of key, whose value is a sorted set; count is not 0. The caller must
 * not use key afterwards: it may have been removed.
 */
void zset_pop(struct request *rq, struct kv_key *key, enum zset_end end, size_t count,
    enum zset_pop_form form);

/* The arguments of ZMPOP and BZMPOP. */
struct zset_mpop {
	size_t first_key; /* index of the first name */
	size_t key_count;
	enum zset_end end;
	size_t count;
};

/*
 * Reads numkeys from argument `at` and the arguments after it. Returns false after replying with
 * Redis's error.
 */
bool zset_mpop_parse(struct request *rq, size_t at, struct zset_mpop *mpop)
    __attribute__((warn_unused_result));

/*
 * Finds the first of several keys that exists; *key is NULL if there is none. Returns false after
 * replying with an error if it is of another type.
 */
bool zset_pop_find(struct request *rq, const struct slice *names, size_t count, struct kv_key **key)
    __attribute__((warn_unused_result));

#endif

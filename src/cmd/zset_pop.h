#ifndef CMD_ZSET_POP_H
#define CMD_ZSET_POP_H

#include <stdbool.h>
#include <stddef.h>

#include "kv/keyspace.h"
#include "kv/zset.h"
#include "server/request.h"

/*
 * Popping of sorted sets, as ZPOPMIN, ZMPOP and the commands that block do it: takes the members
 * out, replies, notifies ("zpopmin", and "del" with the last member) and logs it as ZPOPMIN or
 * ZPOPMAX with a count, so that those that wait are replayed without waiting.
 */
enum zset_end { ZSET_MIN, ZSET_MAX };

enum zset_pop_form {
	ZSET_POP_FLAT,      /* member, score, member, score: ZPOPMIN in RESP2 and without a count */
	ZSET_POP_PAIRS,     /* [member, score], ...: ZPOPMIN with a count in RESP3 */
	ZSET_POP_KEY_FLAT,  /* key, member, score: BZPOPMIN */
	ZSET_POP_KEY_PAIRS, /* key, [[member, score], ...]: ZMPOP, BZMPOP */
};

/* At most count members, which is not 0, of key, whose value is a sorted set. key is not to be used
 * afterwards: it may be gone. */
void zset_pop(struct request *rq, struct kv_key *key, enum zset_end end, size_t count,
    enum zset_pop_form form);

/* What ZMPOP and BZMPOP are asked for. */
struct zset_mpop {
	size_t first_key; /* argument */
	size_t key_count;
	enum zset_end end;
	size_t count;
};

/* Reads numkeys from argument `at` and what follows. False: answered in Redis's words. */
bool zset_mpop_parse(struct request *rq, size_t at, struct zset_mpop *mpop)
    __attribute__((warn_unused_result));

/* Of several keys the first that is there; *key is NULL where none is. False: that one is of
 * another type, and answered. */
bool zset_pop_find(struct request *rq, const struct slice *names, size_t count, struct kv_key **key)
    __attribute__((warn_unused_result));

#endif

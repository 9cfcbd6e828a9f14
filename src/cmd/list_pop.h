#ifndef CMD_LIST_POP_H
#define CMD_LIST_POP_H

#include <stdbool.h>
#include <stdint.h>

#include "kv/list.h"
#include "server/request_keys.h"

/*
 * Changes to lists that the blocking and the non-blocking commands share. A function logs only if
 * its comment says so.
 */

/* Reads LEFT or RIGHT. Returns false after replying with a syntax error. */
bool list_end_parse(struct request *rq, struct slice word, enum kv_list_end *end)
    __attribute__((warn_unused_result));

/* Removes the key if its list is empty. */
void list_settle(struct request *rq, struct kv_key *key);

/* Pops up to count values and replies with them. */
void list_pop_range(struct request *rq, struct kv_key *key, struct slice name, enum kv_list_end end,
    uint64_t count);

/*
 * Pops up to count values, replies [name, [value ...]], and logs LPOP or RPOP with the number
 * popped.
 */
void list_pop_named(struct request *rq, struct kv_key *key, struct slice name, enum kv_list_end end,
    uint64_t count);

/* Pops one value and replies with it. */
void list_pop(struct request *rq, struct kv_key *key, struct slice name, enum kv_list_end end);

/*
 * Moves a value from one end of a list, which is not empty, to an end of the list `to`, which is
 * created if it does not exist, and replies with the value. If `to` is of another type, nothing
 * changes: returns false after replying with an error.
 */
bool list_move(struct request *rq, struct kv_key *source, struct slice from_name, struct slice to,
    enum kv_list_end from_end, enum kv_list_end to_end);

/*
 * The arguments of LMPOP, or those of BLMPOP after its timeout: numkeys key ... LEFT|RIGHT [COUNT
 * n].
 */
struct list_mpop {
	const struct slice *names;
	size_t name_count;
	enum kv_list_end end;
	int64_t count;
};
bool list_mpop_parse(struct request *rq, size_t at, struct list_mpop *mpop)
    __attribute__((warn_unused_result));

#endif

#ifndef CMD_LIST_POP_H
#define CMD_LIST_POP_H

#include <stdbool.h>
#include <stdint.h>

#include "kv/list.h"
#include "server/request_keys.h"

/*
 * Lists, as several commands change them: those that answer at once and those that wait. All log
 * nothing but where it is said.
 */

/* LEFT or RIGHT; else answers with a syntax error. */
bool list_end_parse(struct request *rq, struct slice word, enum kv_list_end *end)
    __attribute__((warn_unused_result));

/* Removes the key if its list is empty. */
void list_settle(struct request *rq, struct kv_key *key);

/* Pops up to count values, which are the reply. */
void list_pop_range(struct request *rq, struct kv_key *key, struct slice name, enum kv_list_end end,
    uint64_t count);

/* [name, [value ...]], and logs LPOP or RPOP with how many it were. */
void list_pop_named(struct request *rq, struct kv_key *key, struct slice name, enum kv_list_end end,
    uint64_t count);

/* Pops one value, which is the reply. */
void list_pop(struct request *rq, struct kv_key *key, struct slice name, enum kv_list_end end);

/*
 * A value goes from one end of a list, which is not empty, to an end of the list `to` or of a new
 * one, and is the reply. False: `to` is something else, which is answered, and nothing was changed.
 */
bool list_move(struct request *rq, struct kv_key *source, struct slice from_name, struct slice to,
    enum kv_list_end from_end, enum kv_list_end to_end);

/* What stands behind LMPOP, or behind BLMPOP and its timeout: numkeys key ... LEFT|RIGHT [COUNT n].
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

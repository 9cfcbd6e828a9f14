#ifndef LINK_PRESENCE_REPLY_H
#define LINK_PRESENCE_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "link/presence_script.h"
#include "server/upstream_presence.h"

/* Presence replies: what the scripts of presence_script.h reply, read and checked. False: the reply
 * is not valid. All slices borrow from the value. */
struct resp_value;

bool presence_read_changed(const struct resp_value *value, enum presence_changed *changed)
    __attribute__((warn_unused_result));

/* What a node has that has ended; member is empty for an occupied channel. */
struct presence_expired {
	struct slice channel, member, info;
};

struct presence_lease {
	enum presence_leased leased;
	char node[PRESENCE_NODE_LEN + 1]; /* empty: no other node has ended */
	size_t count;
	struct presence_expired expired[PRESENCE_EXPIRED_MAX];
};
bool presence_read_lease(const struct resp_value *value, struct presence_lease *lease)
    __attribute__((warn_unused_result));

/* count: of the query. After true, free with presence_answer_release(). */
bool presence_read_answer(const struct resp_value *value, enum upstream_presence_asks asks,
    size_t count, struct upstream_presence_answer *answer) __attribute__((warn_unused_result));
void presence_answer_release(struct upstream_presence_answer *answer);

#endif

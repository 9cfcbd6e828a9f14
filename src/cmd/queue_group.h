#ifndef CMD_QUEUE_GROUP_H
#define CMD_QUEUE_GROUP_H

#include <stdbool.h>

#include "base/bytes.h"
#include "pubsub/queue_group.h"
#include "server/request.h"

/*
 * Queue groups for SUBSCRIBE, PSUBSCRIBE and their opposites, which join and leave them with queue
 * names (pubsub/queue_name.h) if the directive queue-groups says so.
 *
 * kind is that of the command: HUB_CHANNEL, HUB_PATTERN, or HUB_SHARD, which has no queue names.
 */

/* True if a subscription to this name is a membership of a queue group. */
bool queue_joins(const struct request *rq, enum hub_kind kind, struct slice name);

/* Returns false after replying with an error if the name begins like a queue name, and would join a
 * group, but is incomplete. */
bool queue_check_name(struct request *rq, enum hub_kind kind, struct slice name)
    __attribute__((warn_unused_result));

/* Joins the group of a name for which queue_joins(). Returns false after replying with an error.
 * The caller confirms. */
bool queue_join_by_name(struct request *rq, enum hub_kind kind, struct slice name)
    __attribute__((warn_unused_result));

/* Ends the membership that was joined with this name; false: there is none. It ends also if
 * queue-groups was switched off since. */
bool queue_leave_by_name(struct request *rq, enum hub_kind kind, struct slice name);

/*
 * The next membership that was joined with a queue name of this kind. NULL: there is none, or, with
 * *more set, the slice of the command is over before one is found; call it again then.
 */
const struct queue_member *queue_next_named(struct request *rq, enum hub_kind kind, bool *more)
    __attribute__((warn_unused_result));

/* Ends the membership. */
void queue_leave(struct request *rq, const struct queue_member *member);

#endif

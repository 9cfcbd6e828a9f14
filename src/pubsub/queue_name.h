#ifndef PUBSUB_QUEUE_NAME_H
#define PUBSUB_QUEUE_NAME_H

#include <stdbool.h>

#include "base/bytes.h"
#include "pubsub/wire_form.h"

/*
 * Queue names: "$queue/<group>/<topic>", with which SUBSCRIBE and PSUBSCRIBE join a queue group
 * (queue_group.h). The group ends at the first slash, so it has none; the topic is a channel or a
 * pattern, and may have any. Neither is empty. Text only: whether such a name is used as one is the
 * caller's decision.
 */
#define QUEUE_NAME_PREFIX "$queue/"

/* True if it begins as a queue name does. */
bool queue_name_is(struct slice name);

/* False if it is no complete queue name. What is set borrows from the name. */
bool queue_name_parse(struct slice name, struct slice *group, struct slice *topic)
    __attribute__((warn_unused_result));

/* The topic of a queue name; of another name, the name itself. */
struct slice queue_name_topic(struct slice name);

/* What QSUBSCRIBE takes the name for: a pattern if it has a special character of globs. */
enum hub_kind queue_topic_kind(struct slice name);

#endif

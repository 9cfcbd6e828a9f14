#ifndef PUBSUB_QUEUE_GROUP_H
#define PUBSUB_QUEUE_GROUP_H

#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/post.h"
#include "pubsub/subscriber.h"
#include "pubsub/wire_form.h"

/*
 * Queue groups: several subscribers share a subscription to a channel or pattern, and each message
 * goes to one of them.
 *
 * A group has a name and belongs to one channel or pattern, where it counts as one subscriber. Its
 * members get messages in turn; a member whose outbox has no room is passed over. If none has room,
 * the policy of the member whose turn it is decides; if that is OUTBOX_BLOCK, publishers wait until
 * a member has room. There are no acknowledgements: a message that a member has begun to receive
 * is not sent again. What else is queued for the group in the outbox of a member that is detached
 * goes to the other members, even past their limits, because it was within the limits before.
 * Without other members it is dropped and counted. A member that leaves the group and stays
 * attached gets what was queued for it before.
 */
struct queue_member;

/* How a subscriber joined: with QSUBSCRIBE, or with a queue name (queue_name.h), which its messages
 * then carry instead of the name of the channel or pattern. */
enum queue_style { QUEUE_BY_COMMAND, QUEUE_BY_NAME };

/* kind is HUB_CHANNEL or HUB_PATTERN. Results as those of hub_subscribe(); the limits of
 * subscriptions and subscribers apply to memberships and to members of a group, too. HUB_ALREADY:
 * it is a member, and from now on one of this style. */
enum hub_result hub_join_queue(struct subscriber *s, enum queue_style style, struct slice group,
    enum hub_kind kind, struct slice name) __attribute__((warn_unused_result));

/* HUB_OK or HUB_NOT_SUBSCRIBED. */
enum hub_result hub_leave_queue(struct subscriber *s, struct slice group, enum hub_kind kind,
    struct slice name) __attribute__((warn_unused_result));

/* The number of its memberships; of this kind that are QUEUE_BY_NAME. */
uint32_t hub_queues_of(const struct subscriber *s);
uint32_t hub_named_queues_of(const struct subscriber *s, enum hub_kind kind);

/* The number of members of the group, 0 if there is none. */
uint32_t hub_queue_members(
    struct hub *hub, struct slice group, enum hub_kind kind, struct slice name);

/* The membership, or NULL. */
const struct queue_member *hub_find_queue(
    struct subscriber *s, struct slice group, enum hub_kind kind, struct slice name);

/* The oldest membership, or NULL; see hub_first_subscription() and hub_rotate_subscriptions(). */
const struct queue_member *hub_first_queue(const struct subscriber *s);
void hub_rotate_queues(struct subscriber *s);

/* Valid as long as the membership. */
struct slice queue_member_group(const struct queue_member *member);
struct slice queue_member_name(const struct queue_member *member);
enum hub_kind queue_member_kind(const struct queue_member *member);
enum queue_style queue_member_style(const struct queue_member *member);

/* The queue name of its group, "$queue/<group>/<name>". */
struct slice queue_member_queue_name(const struct queue_member *member);

#endif

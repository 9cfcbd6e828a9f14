#ifndef PUBSUB_HUB_REPLAY_HOOKS_H
#define PUBSUB_HUB_REPLAY_HOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pubsub/channel_tree.h"
#include "pubsub/subscriber.h"

/* What the files hub*.c tell hub_replay.c, and ask it. */
struct hub;
struct hub_delivery;

/* A part of the life of the hub. hub_replay_shrink: see hub_shrink(). */
void hub_replay_init(struct hub *hub);
void hub_replay_release(struct hub *hub); /* no subscriber has a replay */
void hub_replay_shrink(struct hub *hub);

/* Frees the encoded portions that are kept for sharing; false: there were none. */
bool hub_replay_drop_shared(struct hub *hub);

/* The kept messages behind after_seq are replayed for a subscription that was made in this turn. */
void hub_replay_after(struct subscription *subscription, uint64_t after_seq, uint64_t now_us);

/* The subscription, which is being replayed, is removed; the outbox is low. */
void hub_replay_left(struct subscription *subscription);
void hub_replay_low(struct subscriber *s);

/* The subscriber is being detached: ends at most *budget parts of its replay, and then the
 * replay; false: there are more. */
bool hub_replay_detach(struct subscriber *s, size_t *budget) __attribute__((warn_unused_result));

/* The ring of the topic was freed, after `appended` messages in all (struct ring). */
void hub_replay_forgotten(struct hub *hub, struct topic *topic, uint32_t appended);

/*
 * A message that no ring keeps is being delivered to the subscription, which is being replayed. For
 * a channel its replay ends; for a pattern it goes on with other channels. Messages of the channel
 * that it has not queued are missed. False: the subscriber is closed.
 */
bool hub_replay_unkept(struct hub *hub, const struct hub_delivery *d,
    struct subscription *subscription) __attribute__((warn_unused_result));

/*
 * The message was kept, and its subscriber has a replay: the subscription reads it from the ring
 * later. A live one is replayed from this message on. hub_replay_fall_behind: because its outbox
 * has no room, under OUTBOX_CATCH_UP. False: no ring keeps the message. A subscriber with more than
 * CURSOR_ENTRIES_MAX entries overflows.
 */
void hub_replay_keep(
    struct hub *hub, const struct hub_delivery *d, struct subscription *subscription);
bool hub_replay_fall_behind(struct hub *hub, const struct hub_delivery *d,
    struct subscription *subscription) __attribute__((warn_unused_result));

/* The newest_seq of the topic's ring has risen from before_seq, or from 0 because the ring is new,
 * without a message that was posted. Subscriptions that are being replayed read on behind
 * after_seq, up to which `number` messages of the channel come (struct cursor_entry). */
void hub_replay_raised(
    struct hub *hub, struct topic *topic, uint64_t before_seq, uint64_t after_seq, uint32_t number);

/* The message was kept, and the subscription, which is being replayed, does not get it because its
 * client published it. */
void hub_replay_pass_over(
    struct hub *hub, const struct hub_delivery *d, struct subscription *subscription);

/* True if kept messages come to the member from rings for now. */
static inline bool
hub_is_replayed(const struct topic_member *member)
{
	return member->subscriber->outbox.has_cursor && member->subscription->reader != NULL;
}

/* As hub_is_left_to_replay(), for a subscription that is being replayed. */
bool hub_replay_awaits(
    struct hub *hub, const struct hub_delivery *d, const struct subscription *subscription);

/* True if the message, which is not published yet, would come to the member from a ring. */
static inline bool
hub_is_left_to_replay(
    struct hub *hub, const struct hub_delivery *d, const struct topic_member *member)
{
	return hub_is_replayed(member) && hub_replay_awaits(hub, d, member->subscription);
}

#endif

#ifndef PUBSUB_HUB_HISTORY_H
#define PUBSUB_HUB_HISTORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/bytes.h"
#include "pubsub/history.h"

/*
 * History of the hub's channels (HUB_CHANNEL; shard channels have none).
 *
 * A message of a channel whose options say so is appended to the channel's ring when nothing can
 * refuse it any more, before its first delivery, once for each publish. Its topic is held while it
 * has a ring. When the options of a channel change, its ring follows (hub_reclassify).
 */
struct hub;
struct topic;

/* For positions, figures and history_work(). history_ring() and history_delete() take topic->ring;
 * hub_ring() finds it by name. */
struct history *hub_history(struct hub *hub);

/* Whether messages of that channel are kept from now on. */
bool hub_keeps(struct hub *hub, struct slice channel);

/* What a channel keeps, by the options that apply to it now; NULL: nothing. Valid until the next
 * call that changes the hub. */
const struct channel_options *hub_kept_options(struct hub *hub, struct slice channel);

/* The ring of that channel, without what has expired by now; NULL if it has none. Borrows, until a
 * message is published or history changes. */
struct ring *hub_ring(struct hub *hub, struct slice channel, uint64_t now_us);

/* From now on no message is kept: another process gives the next positions. Does nothing to a hub
 * that follows (hub_follow.h). */
void hub_seal_history(struct hub *hub);

/*
 * No position that was given before can be resumed from now on, in any channel: messages were
 * missed that no ring has. Replays in progress go on: call hub_mark_gap() for subscribers, whose
 * messages of the meantime are missing. Costs nothing, however many rings there are. Does nothing
 * if the history is sealed: the other process has gaps of its own.
 */
void hub_forget_history(struct hub *hub);

/* Removes the kept messages of that channel; returns their number. */
uint64_t hub_delete_history(struct hub *hub, struct slice channel, uint64_t now_us);

/* Frees the ring of that channel, whose messages are not seen here from now on: none of its
 * positions can be resumed. When they are seen again, call history_begin_keeping(). In a hub that
 * follows, a ring that the channel gets later begins behind the newest position. */
void hub_drop_history(struct hub *hub, struct slice channel, uint64_t now_us);

/*
 * Hooks on kept messages: appended() is called for each one, after it was appended and before its
 * delivery. It must not call functions that change the hub.
 */
struct hub_append_hook {
	void (*appended)(
	    struct hub_append_hook *hook, const struct topic *topic, struct hub_position position);
	LIST_ENTRY(hub_append_hook) link;
};
void hub_add_append_hook(struct hub *hub, struct hub_append_hook *hook); /* borrows */
void hub_remove_append_hook(struct hub_append_hook *hook);

#endif

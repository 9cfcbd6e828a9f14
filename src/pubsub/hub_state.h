#ifndef PUBSUB_HUB_STATE_H
#define PUBSUB_HUB_STATE_H

#include "pubsub/hub.h"
#include "pubsub/subscription_table.h"
#include "pubsub/topic_tags.h"

/* The body of struct hub, for hub.c and hub_memory.c only. */

#define FORMS_MAX 8

TAILQ_HEAD(subscribers, subscriber);

struct hub {
	struct hub_config config;
	struct channel_tree *channels; /* channels and patterns */
	struct channel_tree *shards;
	struct subscription_table *table;
	struct topic_tags *tags;
	struct frame_log *logs[FORMS_MAX];
	struct frame_log *replies;
	struct outbox_pool pool;
	struct subscribers blocked; /* publishers wait for them, the longest first */
	uint64_t published;
	uint64_t delivered;
	size_t blocking;
	size_t memory_wanted;  /* by the last message that was asked for */
	size_t preparing;      /* large messages under way */
	size_t prepared_bytes; /* that they need, at most */
	size_t last_progress;  /* given out to a publisher of a large message */
};

/* hub.c: what a matching topic's subscribers get, and its length on the wire. */
struct hub_message hub_message_for(
    enum hub_kind kind, const struct topic *topic, struct slice channel, struct slice payload);
size_t hub_frame_len(const struct wire_form *form, const struct hub_message *message);

/*
 * hub_memory.c: is there room for a message under limits.memory_bytes? HUB_OK, HUB_FULL or
 * HUB_TOO_LARGE. Where nobody is owed anything there always is: nothing would make any. before:
 * what was asked for already and is not held yet, to which this is added; NULL: nothing.
 */
enum hub_result hub_check_memory(struct hub *hub, struct topic **topics, size_t count,
    enum hub_kind kind, struct slice channel, struct slice payload, size_t *before)
    __attribute__((warn_unused_result));

#endif

#ifndef PUBSUB_HUB_STATE_H
#define PUBSUB_HUB_STATE_H

#include "pubsub/hub.h"
#include "pubsub/subscription_table.h"
#include "pubsub/topic_tags.h"

/* The body of struct hub, for the files hub*.c only. */

TAILQ_HEAD(subscribers, subscriber);

/*
 * An awaited subscriber is closed when its time is up and all publishers were tried again since.
 * Of the rounds that it remembers: seen: a publisher waited for it; doubted: it became doubtful
 * that the first one still does; asked: its time was found to be up.
 */
enum hub_due {
	HUB_NOT_DUE,
	HUB_ASKED,     /* its time is up, and publishers are to be tried again */
	HUB_CONFIRMED, /* they were, and wait for it all the same */
};

struct hub {
	const struct hub_limits *limits;
	const struct wire_form *forms[HUB_FORMS_MAX];
	struct frame_log *logs[HUB_FORMS_MAX]; /* one for each form */
	uint8_t form_count;
	bool transforms; /* one of the forms does */
	size_t segment_bytes;
	struct channel_tree *channels; /* channels and patterns */
	struct channel_tree *shards;
	size_t unheard[2]; /* channels that are held and have no subscriber; shard channels */
	LIST_HEAD(, hub_interest) interests;
	struct subscription_table *table;
	struct topic_tags *tags;
	struct frame_log *replies;
	struct outbox_pool pool;
	struct subscribers awaited;  /* HUB_AWAITED, the longest first */
	struct subscribers reserved; /* HUB_RESERVED, likewise */
	uint64_t last_ticket;
	uint32_t round;
	uint64_t now_us; /* as last heard of */
	uint64_t published;
	uint64_t delivered;
	size_t blocking;
	size_t preparing;      /* large messages under way */
	size_t prepared_bytes; /* that they need, their drafts included */
	size_t last_drafts;    /* given out to a publisher of a large message */
};

/*
 * A message on its way: the topics that it matches, and its payload in each form, as far as that
 * was asked for. On the stack of whoever publishes.
 */
struct hub_delivery {
	struct hub_message message; /* kind and pattern as hub_address() set them */
	struct topic **topics;
	size_t count;
	struct topic *shard; /* what topics points to, for a shard channel */
	bool is_shard;
	uint32_t measured; /* bits, by form: bodies[form] is set, or ... */
	uint32_t unfit;    /* ... the form cannot carry the payload */
	struct wire_body bodies[HUB_FORMS_MAX];
};

/* hub_publish.c: addresses the message to topics[i], which it returns. */
struct topic *hub_address(struct hub_delivery *d, size_t i);

/*
 * hub_publish.c: the length of the message as it is addressed, in this form; 0: the form cannot
 * carry it.
 */
size_t hub_frame_len(struct hub *hub, struct hub_delivery *d, uint8_t form);

/* hub_publish.c: the copies of a large message that is not written yet. */
void hub_drop_drafts(struct hub *hub, struct hub_publication *p);

/*
 * hub_memory.c: is there room for a message under limits.memory_bytes? HUB_OK, HUB_FULL or
 * HUB_TOO_LARGE. Where nobody is owed anything there always is: nothing would make any. before:
 * what was asked for already and is not held yet, to which this is added; NULL: nothing. *wanted is
 * set to all of this, where it is HUB_FULL.
 */
enum hub_result hub_check_memory(struct hub *hub, struct hub_delivery *d, size_t *before,
    size_t *wanted) __attribute__((warn_unused_result));

/* What the message adds to the frame logs. */
size_t hub_memory_needed(struct hub *hub, struct hub_delivery *d);

/*
 * hub_wait.c. _must_wait: whether the publisher waits for a subscriber of these topics, which is
 * noted; only to be asked while somebody has OUTBOX_BLOCK. _reserve: room that there is stays for
 * it. _delivered: it has used what was reserved for it.
 */
bool hub_must_wait(struct hub *hub, struct hub_delivery *d, uint64_t now_us,
    struct hub_publication *p) __attribute__((warn_unused_result));
void hub_reserve(
    struct hub *hub, const struct hub_delivery *d, uint64_t now_us, struct hub_publication *p);
void hub_delivered(struct hub *hub, const struct hub_delivery *d, struct hub_publication *p);

/* The subscriber has room now; it has one subscription less; it is to be waited for no more. */
void hub_has_room(struct subscriber *s);
void hub_hears_less(struct subscriber *s);
void hub_let_go(struct subscriber *s);

#endif

#ifndef PUBSUB_HUB_STATE_H
#define PUBSUB_HUB_STATE_H

#include "pubsub/hub.h"
#include "pubsub/hub_options.h"
#include "pubsub/subscription_table.h"
#include "pubsub/topic_tags.h"

/* The body of struct hub, for the files hub*.c only. */

/* A subscriber for which publishers have waited too long is closed by the first of them that is
 * tried again and still has to wait for it, because the subscribers that they wait for may have
 * changed. */
enum hub_due {
	HUB_NOT_DUE,
	HUB_OVERDUE, /* the time is up; publishers are being tried again */
};

/* The publishers that wait for one subscriber. It is allocated only while they do, so that other
 * subscribers stay small. */
struct hub_wait {
	struct subscriber *subscriber;
	TAILQ_ENTRY(hub_wait) link;  /* in the hub's list of the subscriber's state */
	uint64_t state_since_us;     /* when this state began */
	uint64_t publisher_since_us; /* when the first publisher began to wait */
	uint64_t ticket;             /* of the first publisher */
	uint32_t first_round;        /* the last round in which the first publisher waited for it */
	uint32_t recheck_round; /* the round in which the hub began to check whether the first one
				   still does */
	uint32_t retry_round;   /* the round in which its time was up and a retry of the publishers
				   was requested */
	uint8_t due;            /* enum hub_due */
};

TAILQ_HEAD(hub_waits, hub_wait);

struct hub_options;
struct hub_queues;
struct hub_replay;
struct queue_claims_ops;

/* hub_dedup.c */
struct hub_dedup {
	size_t users;               /* subscribers with dedup */
	struct subscriber **marked; /* owned: those that have a copy of the current message */
	size_t count, cap;
};

struct hub {
	const struct hub_limits *limits;
	const struct wire_form *forms[HUB_FORMS_MAX];
	struct frame_log *logs[HUB_FORMS_MAX]; /* one for each form */
	uint8_t form_count;
	bool transforms; /* one of the forms transforms payloads */
	size_t segment_bytes;
	struct channel_tree *channels; /* channels and patterns */
	struct channel_tree *shards;
	size_t unheard[2]; /* number of channels, and of shard channels, that are held and have no
			      subscriber */
	LIST_HEAD(, hub_interest) interests;
	struct subscription_table *table;
	struct topic_tags *tags;
	struct hub_options *options; /* hub_options.c */
	uint32_t options_in_use;     /* see hub_options_in_use() */
	struct hub_history *history; /* hub_history.c */
	struct hub_replay *replay;   /* hub_replay.c */
	size_t replays;              /* subscribers with a replay */
	size_t gathers;              /* hub_gather.c: in progress */
	struct hub_queues *queues;   /* hub_queue.c; NULL: there was no group yet */
	size_t queue_groups;
	bool has_partial_patterns;             /* see hub_set_partial_patterns() */
	const struct queue_claims_ops *claims; /* hub_queue_claims.c; NULL: there are none */
	void *claims_arg;
	struct frame_log *replies;
	struct outbox_pool pool;
	struct hub_waits awaited;  /* HUB_AWAITED, the longest waited for first */
	struct hub_waits reserved; /* HUB_RESERVED, the longest reserved first */
	struct hub_dedup dedup;
	uint64_t last_ticket;
	uint64_t wait_limit_us; /* of the latest hub_expire() */
	uint32_t round;
	uint64_t now_us;      /* the latest time that a caller gave */
	uint64_t last_serial; /* of a message, see struct hub_message */
	uint64_t published;
	uint64_t delivered;
	size_t blocking;
	size_t preparing;      /* number of large messages being prepared */
	size_t prepared_bytes; /* memory that they need in all, drafts included */
};

/* A message being published: the topics that it matches, and its measured payload in each form that
 * was needed so far. */
struct hub_delivery {
	struct hub_message message; /* kind and pattern as hub_address() set them */
	struct topic **topics;
	size_t count;
	struct topic *shard; /* for a shard channel, topics points to it */
	struct topic
	    *unheard;        /* the channel itself, if it has no subscribers; it is not in topics */
	struct topic *kept;  /* if it has a position: the channel */
	uint64_t before_seq; /* ... and, if a subscriber has a replay, the newest_seq of its ring
				before, or 0 */
	const struct subscriber *except; /* does not get it, or NULL */
	uint64_t seq;                    /* that another server has given it, or 0 */
	bool is_shard;
	bool is_kept_nowhere;      /* whatever the channel's options say */
	bool may_block;            /* a subscriber may have OUTBOX_BLOCK, its own or by policy */
	bool by_channel;           /* the channel has a policy: */
	uint8_t policy;            /* ... this one, see CHANNEL_POLICY_FIRST */
	bool dedup;                /* some subscriber may match several topics and wants one copy */
	uint64_t drafts;           /* the first id of the frames that were prepared; 0: none were */
	size_t named;              /* frames with queue names so far: see hub_large.c */
	struct wire_body verbatim; /* the payload in forms that do not transform it */
	uint32_t measured; /* one bit for each form that transforms payloads: bodies[form] is set,
			      or ... */
	uint32_t unfit;    /* ... the form cannot carry the payload */
	struct wire_body bodies[HUB_FORMS_MAX];
};

/* hub_publish.c: starts a delivery: finds the topics that the channel matches, until the tree
 * changes. Borrows what post borrows. */
void hub_match(struct hub *hub, const struct hub_post *post, struct hub_delivery *d);

/* hub_publish.c: addresses the message to topics[i], which it returns. */
struct topic *hub_address(struct hub_delivery *d, size_t i);

/* hub_publish.c: the length of the message as it is addressed, in this form; 0: the form cannot
 * carry it. */
size_t hub_frame_len(struct hub *hub, struct hub_delivery *d, uint8_t form);

struct hub_history *hub_history_new(
    struct hub *hub, const struct history_limits *limits, uint64_t epoch);
void hub_history_free(struct hub_history *history);
void hub_history_follow(struct hub *hub, struct topic *topic); /* applies its options to its ring */

/* hub_history.c: keeps the message, at hub->now_us, if its channel keeps messages; d->message gets
 * its position. Call it if some line sets history-size. */
void hub_keep(struct hub *hub, struct hub_delivery *d);

/* hub_history.c: whether hub_keep() would keep the message, which is not published yet. The topic
 * of its channel, if it has one. */
bool hub_will_keep(struct hub *hub, const struct hub_delivery *d);
struct topic *hub_channel_of(const struct hub_delivery *d);

/*
 * hub_memory.c: whether limits.memory_bytes leaves room for a message: HUB_OK, HUB_FULL or
 * HUB_TOO_LARGE. If nothing is queued anywhere it never returns HUB_FULL, because waiting would not
 * make room. *before is the number of bytes that earlier calls allowed and that are not written
 * yet; the message's bytes are added to it. NULL: there were no earlier calls. At HUB_FULL *wanted
 * is set to the bytes needed in all.
 */
enum hub_result hub_check_memory(struct hub *hub, struct hub_delivery *d, size_t *before,
    size_t *wanted) __attribute__((warn_unused_result));

/* The bytes that the message adds to the frame logs. */
size_t hub_memory_needed(struct hub *hub, struct hub_delivery *d);

/*
 * hub_wait.c. hub_must_wait: whether the publisher has to wait for a subscriber of these topics; it
 * is then registered with that subscriber. Called only if d->may_block. hub_reserve:
 * reserves the room of these subscribers for the publisher. hub_delivered: the publisher has used
 * its reserved room.
 */
bool hub_must_wait(struct hub *hub, struct hub_delivery *d, uint64_t now_us,
    struct hub_publication *p) __attribute__((warn_unused_result));
void hub_reserve(
    struct hub *hub, const struct hub_delivery *d, uint64_t now_us, struct hub_publication *p);
void hub_delivered(struct hub *hub, const struct hub_delivery *d, struct hub_publication *p);

/*
 * hub_dedup.c, while hub_delivery.dedup. hub_has_copy: whether the subscriber wants no further copy
 * of the message; otherwise this is its copy. hub_end_copies: the message is delivered.
 * hub_release_dedup frees the memory of the list.
 */
bool hub_has_copy(struct hub *hub, struct subscriber *s);
void hub_end_copies(struct hub *hub);
void hub_release_dedup(struct hub *hub);

/* hub_wait.c: the outbox has room; the subscriber lost a subscription, or its policies changed;
 * publishers no longer wait for it. */
void hub_has_room(struct subscriber *s);
void hub_recheck(struct subscriber *s);
void hub_stop_awaiting(struct subscriber *s);

/* hub_wait.c: policies of channels changed: requests a round in which every publisher that waits is
 * tried again. */
void hub_recheck_waiting(struct hub *hub);

/* hub_options.c. hub_classify: sets the class of a new channel; hub_declassify: for one that is
 * about to be removed. hub_find_policy: sets by_channel, policy and may_block. */
struct hub_options *hub_options_new(void);
void hub_options_free(struct hub_options *options);
void hub_classify(struct hub *hub, struct topic *topic);
void hub_declassify(struct hub *hub, struct topic *topic);
void hub_find_policy(struct hub *hub, struct hub_delivery *d);

/* The policy that decides about the message in this subscriber's outbox. */
static inline enum outbox_policy
hub_policy_for(const struct hub_delivery *d, const struct subscriber *s)
{
	const struct outbox_limits *limits = &s->outbox.limits;

	if (d->policy == CHANNEL_POLICY_GLOBAL ||
	    (limits->channel_policies >> (d->policy - CHANNEL_POLICY_FIRST) & 1) == 0)
		return limits->policy;
	return (enum outbox_policy)(d->policy - CHANNEL_POLICY_FIRST);
}

/* Whether the message has to wait for room in this subscriber's outbox. */
static inline bool
hub_blocks(const struct hub_delivery *d, const struct subscriber *s)
{
	if (s->outbox.sealed)
		return false;
	return d->by_channel ? hub_policy_for(d, s) == OUTBOX_BLOCK : s->blocking;
}

/* hub_publish.c: the outbox refused a message because of its limits. */
void hub_overflow(struct subscriber *s);

/* hub_publish.c: encodes a kept message of the channel. pattern is NULL unless it is received
 * through one. False: the form cannot carry it. */
struct ring_message;
bool hub_encode_kept(struct hub *hub, const struct topic *channel, const struct topic *pattern,
    const struct ring_message *kept, uint8_t form, uint32_t tag, struct frame *frame)
    __attribute__((warn_unused_result));

/* hub_publish.c: the length of its frame, received through the channel; 0: the form cannot carry
 * it. */
size_t hub_kept_len(
    struct hub *hub, struct slice channel, const struct ring_message *kept, uint8_t form);

#endif

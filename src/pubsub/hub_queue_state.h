#ifndef PUBSUB_HUB_QUEUE_STATE_H
#define PUBSUB_HUB_QUEUE_STATE_H

#include "base/buffer.h"
#include "pubsub/hub_state.h"
#include "pubsub/queue_group.h"

/* Queue groups, and the encoding of messages, for the files hub*.c only. */

struct queue_member {
	struct queue_group *group;
	struct subscriber *subscriber;
	uint32_t index; /* among the members of the group */
	enum queue_style style;
	TAILQ_ENTRY(queue_member) of_subscriber;
};

/* A group: its subscriber is a member of the topic and stands for all members of the group. */
struct queue_group {
	struct subscriber subscriber; /* first; its outbox is not used */
	uint64_t id;                  /* never used again */
	struct queue_member **members;
	uint32_t count, cap;
	uint32_t next; /* whose turn it is, modulo count */
	enum hub_kind kind;
	bool had_names;                 /* some member is, or was, QUEUE_BY_NAME */
	struct slice name;              /* the topic's */
	struct slice group, queue_name; /* parts of text */
	char text[];
};

/* Allocated with the first group. */
struct hub_queues {
	struct hash_map *groups;  /* kind, length of the group's name, both names -> group */
	struct hash_map *ids;     /* id -> group */
	struct hash_map *lists;   /* subscriber -> list */
	struct hash_map *members; /* subscriber and id -> member */
	uint64_t last_id;
	struct buffer key;
};

/* The key in hub_queues.ids. */
static inline struct slice
hub_queue_id_key(const uint64_t *id)
{
	return (struct slice){(const char *)id, sizeof(*id)};
}

/* hub.c: subscriptions and memberships of queue groups; after one of them or the policy changed. */
uint32_t hub_subscription_count(const struct subscriber *s);
void hub_count_blocking(struct subscriber *s);

/* The name of the topic that the message is for. */
static inline struct slice *
hub_name_in(struct hub_message *message)
{
	return message->kind == HUB_PATTERN ? &message->pattern : &message->channel;
}

/* Gives it another name of its topic. Returns the one that it had. */
static inline struct slice
hub_rename(struct hub_message *message, struct slice name)
{
	struct slice *at = hub_name_in(message), was = *at;

	*at = name;
	return was;
}

/* A message as it is addressed, in one form. */
struct hub_plan {
	const struct wire_body *body;
	struct wire_ends ends;
	size_t len;
};

/*
 * hub_publish.c. hub_make_plan, hub_encode_message (of a message that was published before): false,
 * the form cannot carry it. hub_frame_len_as: as hub_frame_len() if the frame carries this name
 * instead of the topic's; the topic's if it is empty.
 */
bool hub_make_plan(struct hub *hub, struct hub_delivery *d, uint8_t form, struct hub_plan *plan)
    __attribute__((warn_unused_result));
size_t hub_frame_len_as(struct hub *hub, struct hub_delivery *d, uint8_t form, struct slice name);
bool hub_encode_message(struct hub *hub, const struct hub_message *message, uint8_t form,
    uint32_t tag, struct frame *frame) __attribute__((warn_unused_result));

/*
 * hub_large.c: messages whose payload takes too long to copy or to transform in one turn.
 *
 * HUB_LARGE_BYTES: shorter ones never do. HUB_DRAFTS_MAX: the most frames that are prepared for
 * one; the i-th topic's has the id p->drafts * HUB_DRAFTS_MAX + i. hub_prepare: one step; false:
 * more steps follow. hub_drop_drafts: frees what was prepared. hub_next_named_draft: the id of the
 * frame of the next queue group that has a name of its own, in the order of delivery, or 0;
 * hub_begin_named_drafts: the next is the first.
 */
#define HUB_LARGE_BYTES ((size_t)64 << 10)
#define HUB_DRAFTS_MAX 1024
bool hub_is_large(const struct hub *hub, const struct hub_delivery *d);
bool hub_prepare(struct hub *hub, struct hub_delivery *d, uint64_t now_us,
    struct hub_publication *p) __attribute__((warn_unused_result));
void hub_drop_drafts(struct hub *hub, struct hub_publication *p);
uint64_t hub_next_named_draft(struct hub_delivery *d);

static inline void
hub_begin_named_drafts(struct hub_delivery *d, uint64_t drafts)
{
	d->drafts = drafts;
	d->named = 0;
}

/* hub_wait.c: whether the message, a frame of len bytes, has to wait for s, which blocks and then
 * records it. */
bool hub_waits_for(struct hub *hub, struct subscriber *s, size_t len, struct hub_publication *p);

/* What the hub must know of the member that gets a message. */
struct hub_taken {
	uint64_t id;       /* of the group */
	struct slice name; /* that the frame carries instead of the topic's; empty: that one */
};

/*
 * hub_queue.c and hub_queue_turn.c; `queue` is the subscriber that stands for a group (is_queue).
 *
 * hub_queue_take: the member that gets the message, or NULL; also if it is kept back.
 * hub_queue_choose: the same, and it is not kept back. hub_queue_form, hub_queue_name: of the
 * member whose turn it is, the name as in struct hub_taken. hub_queue_has_taker: whether
 * hub_queue_take() would find one. hub_queue_must_wait: as
 * hub_must_wait(). hub_queue_delivered: see hub_delivered(). hub_queue_hand_over: queues the range,
 * which holds one message of a group in this form, for another member; false: there is none.
 * hub_queue_note_gap: outbox_note_gap() of each member. hub_leave_queues: ends at most *budget
 * memberships; true if none is left.
 */
struct subscriber *hub_queue_take(
    struct hub *hub, struct hub_delivery *d, struct subscriber *queue, struct hub_taken *taken);
struct subscriber *hub_queue_choose(
    struct hub *hub, struct hub_delivery *d, struct subscriber *queue, struct hub_taken *taken);
void hub_queue_note_gap(struct subscriber *queue);
bool hub_queue_has_taker(const struct hub_delivery *d, const struct subscriber *queue);
uint8_t hub_queue_form(const struct subscriber *queue);
struct slice hub_queue_name(const struct subscriber *queue);
bool hub_queue_must_wait(
    struct hub *hub, struct hub_delivery *d, struct subscriber *queue, struct hub_publication *p);
void hub_queue_delivered(struct subscriber *queue, uint64_t ticket);
bool hub_queue_hand_over(
    struct hub *hub, uint64_t id, uint8_t form, const struct frame_range *range);
bool hub_leave_queues(struct subscriber *s, size_t *budget);
void hub_queues_release(struct hub *hub); /* there is no group */

/* hub_queue_claims.c: the number of its members has changed. hub_queue_keeps_back: whether the
 * group does not get the message now; hub->claims is not NULL. */
void hub_queue_changed(struct hub *hub, const struct queue_group *g);
bool hub_queue_keeps_back(struct hub *hub, const struct hub_delivery *d, struct subscriber *queue);

/* The form in which a member of a topic gets a message. */
static inline uint8_t
hub_form_of(const struct subscriber *s)
{
	return s->is_queue ? hub_queue_form(s) : s->outbox.form;
}

/* The name that it carries instead of the topic's; empty: that one. */
static inline struct slice
hub_name_of(const struct subscriber *s)
{
	return s->is_queue ? hub_queue_name(s) : (struct slice){NULL, 0};
}

#endif

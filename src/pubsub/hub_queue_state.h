#ifndef PUBSUB_HUB_QUEUE_STATE_H
#define PUBSUB_HUB_QUEUE_STATE_H

#include "pubsub/hub_state.h"

/* Queue groups in the hub, for the files hub*.c only. */

/* hub.c: subscriptions and memberships of queue groups; after one of them or the policy changed. */
uint32_t hub_subscription_count(const struct subscriber *s);
void hub_count_blocking(struct subscriber *s);

/* hub_publish.c: encodes a message that was published before. False: the form cannot carry it. */
bool hub_encode_message(struct hub *hub, const struct hub_message *message, uint8_t form,
    uint32_t tag, struct frame *frame);

/* hub_wait.c: whether the message has to wait for s, which blocks and then records it. */
bool hub_waits_for(
    struct hub *hub, struct hub_delivery *d, struct subscriber *s, struct hub_publication *p);

/*
 * hub_queue.c; `queue` is the subscriber that stands for a group (is_queue).
 *
 * hub_queue_take: the member that gets the message, or NULL, and the id of the group.
 * hub_queue_form: the form of the member whose turn it is. hub_queue_must_wait: as hub_must_wait().
 * hub_queue_delivered: see hub_delivered(). hub_queue_hand_over: queues the range, which holds
 * one message of a group in this form, for another member; false: there is none. hub_leave_queues:
 * ends at most *budget memberships; true if none is left.
 */
struct subscriber *hub_queue_take(
    struct hub *hub, struct hub_delivery *d, struct subscriber *queue, uint64_t *id);
uint8_t hub_queue_form(const struct subscriber *queue);
bool hub_queue_must_wait(
    struct hub *hub, struct hub_delivery *d, struct subscriber *queue, struct hub_publication *p);
void hub_queue_delivered(struct subscriber *queue, uint64_t ticket);
bool hub_queue_hand_over(
    struct hub *hub, uint64_t id, uint8_t form, const struct frame_range *range);
bool hub_leave_queues(struct subscriber *s, size_t *budget);
void hub_queues_release(struct hub *hub); /* there is no group */

/* The form in which a member of a topic gets a message. */
static inline uint8_t
hub_form_of(const struct subscriber *s)
{
	return s->is_queue ? hub_queue_form(s) : s->outbox.form;
}

#endif

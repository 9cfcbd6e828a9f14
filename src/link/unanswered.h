#ifndef LINK_UNANSWERED_H
#define LINK_UNANSWERED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/bytes.h"
#include "link/slots.h"

/*
 * Unanswered: messages of a node of a cluster that no shard has answered. They are kept, because a
 * shard that does not serve the slot any more sends them back.
 *
 * Messages of a channel keep their order: a message goes to a shard only if all messages of its
 * slot that wait for answers wait for that shard, and a new one only if none of the slot was sent
 * back. Shards are known here by their numbers. If a slot leaves a shard and comes back within the
 * time of a command and its answer, messages that are on their way may overtake those that were
 * sent back: these are too late then.
 */
struct unanswered_message {
	TAILQ_ENTRY(unanswered_message) link;
	uint64_t number;   /* see server/sent_messages.h */
	uint64_t since_us; /* when it was published */
	uint16_t slot;
	uint16_t tries; /* so often it was sent */
	uint32_t channel_len;
	size_t payload_len;
	char bytes[]; /* channel, payload */
};

TAILQ_HEAD(unanswered_list, unanswered_message);

/* The messages that one shard is to answer, in order; or those that were sent back. */
struct unanswered_queue {
	struct unanswered_list messages;
	size_t count;
	size_t bytes; /* memory */
};

struct unanswered_slot {
	uint32_t sent;     /* messages that wait for answers */
	uint32_t returned; /* messages that were sent back, or never sent */
	uint16_t shard;    /* for whose answers */
	uint64_t newest;   /* the number of the last of these */
	uint64_t accepted; /* the number of the newest message that was */
};

struct unanswered {
	struct unanswered_slot slots[SLOTS];
	struct unanswered_queue returned;
};

struct unanswered *unanswered_new(void); /* returns owned (unanswered_free) */
void unanswered_free(struct unanswered *u);

void unanswered_queue_init(struct unanswered_queue *queue);

/* Whether a new message of the slot, or a returned one, may go to this shard now. A returned one
 * waits for the answers to later ones. */
bool unanswered_may_send(const struct unanswered *u, uint16_t slot, uint16_t shard);
bool unanswered_may_resend(
    const struct unanswered *u, const struct unanswered_message *message, uint16_t shard);

/* Returns owned; to be given to one of the functions below. Copies. */
struct unanswered_message *unanswered_message_new(
    uint16_t slot, struct slice channel, struct slice payload);
void unanswered_message_free(struct unanswered_message *message);
struct slice unanswered_channel(const struct unanswered_message *message);
struct slice unanswered_payload(const struct unanswered_message *message);

/* The message is being sent to the shard with this queue and number; takes message. */
void unanswered_send(struct unanswered *u, struct unanswered_queue *queue, uint16_t shard,
    struct unanswered_message *message);

/* The first one was answered, NULL if there is none: the caller takes it. */
struct unanswered_message *unanswered_take(struct unanswered *u, struct unanswered_queue *queue)
    __attribute__((warn_unused_result));

/* It was sent back, or cannot be sent now; takes message. Returned ones are in the order of their
 * numbers. */
void unanswered_return(struct unanswered *u, struct unanswered_message *message);

/* A shard has accepted the message. */
void unanswered_note_accepted(struct unanswered *u, const struct unanswered_message *message);

/* A shard has accepted a later message of the slot: a returned one would come after it. */
bool unanswered_is_too_late(const struct unanswered *u, const struct unanswered_message *message);

/* Takes a returned one out again, to be sent or freed by the caller. */
void unanswered_take_returned(struct unanswered *u, struct unanswered_message *message);

#endif

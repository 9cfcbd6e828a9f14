#include "config.h"

#include "link/unanswered.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"

struct unanswered *
unanswered_new(void)
{
	struct unanswered *u = xcalloc(1, sizeof(*u));

	unanswered_queue_init(&u->returned);
	return u;
}

void
unanswered_free(struct unanswered *u)
{
	struct unanswered_message *message;

	while ((message = TAILQ_FIRST(&u->returned.messages)) != NULL) {
		unanswered_take_returned(u, message);
		unanswered_message_free(message);
	}
	xfree(u);
}

void
unanswered_queue_init(struct unanswered_queue *queue)
{
	TAILQ_INIT(&queue->messages);
	queue->count = queue->bytes = 0;
}

bool
unanswered_may_resend(
    const struct unanswered *u, const struct unanswered_message *message, uint16_t shard)
{
	const struct unanswered_slot *slot = &u->slots[message->slot];

	return slot->sent == 0 || (slot->shard == shard && slot->newest < message->number);
}

bool
unanswered_may_send(const struct unanswered *u, uint16_t slot, uint16_t shard)
{
	return u->slots[slot].returned == 0 &&
	       (u->slots[slot].sent == 0 || u->slots[slot].shard == shard);
}

struct unanswered_message *
unanswered_message_new(uint16_t slot, struct slice channel, struct slice payload)
{
	struct unanswered_message *message = xmalloc(sizeof(*message) + channel.len + payload.len);

	*message = (struct unanswered_message){
	    .slot = slot, .channel_len = (uint32_t)channel.len, .payload_len = payload.len};
	memcpy(message->bytes, channel.ptr, channel.len);
	if (payload.len > 0)
		memcpy(message->bytes + channel.len, payload.ptr, payload.len);
	return message;
}

void
unanswered_message_free(struct unanswered_message *message)
{
	xfree(message);
}

struct slice
unanswered_channel(const struct unanswered_message *message)
{
	return (struct slice){message->bytes, message->channel_len};
}

struct slice
unanswered_payload(const struct unanswered_message *message)
{
	return (struct slice){message->bytes + message->channel_len, message->payload_len};
}

static size_t
bytes_of(const struct unanswered_message *message)
{
	return sizeof(*message) + message->channel_len + message->payload_len;
}

static void
add(struct unanswered_queue *queue, struct unanswered_message *message)
{
	TAILQ_INSERT_TAIL(&queue->messages, message, link);
	queue->count++;
	queue->bytes += bytes_of(message);
}

static void
take(struct unanswered_queue *queue, struct unanswered_message *message)
{
	TAILQ_REMOVE(&queue->messages, message, link);
	queue->count--;
	queue->bytes -= bytes_of(message);
}

void
unanswered_send(struct unanswered *u, struct unanswered_queue *queue, uint16_t shard,
    struct unanswered_message *message)
{
	struct unanswered_slot *slot = &u->slots[message->slot];

	assert(slot->sent == 0 || slot->shard == shard);
	message->tries++;
	slot->sent++;
	slot->shard = shard;
	slot->newest = message->number;
	add(queue, message);
}

struct unanswered_message *
unanswered_take(struct unanswered *u, struct unanswered_queue *queue)
{
	struct unanswered_message *message = TAILQ_FIRST(&queue->messages);

	if (message == NULL)
		return NULL;
	take(queue, message);
	u->slots[message->slot].sent--;
	return message;
}

void
unanswered_return(struct unanswered *u, struct unanswered_message *message)
{
	struct unanswered_message *before = TAILQ_LAST(&u->returned.messages, unanswered_list);

	while (before != NULL && before->number > message->number)
		before = TAILQ_PREV(before, unanswered_list, link);
	if (before == NULL)
		TAILQ_INSERT_HEAD(&u->returned.messages, message, link);
	else
		TAILQ_INSERT_AFTER(&u->returned.messages, before, message, link);
	u->returned.bytes += bytes_of(message);
	u->slots[message->slot].returned++;
}

void
unanswered_note_accepted(struct unanswered *u, const struct unanswered_message *message)
{
	struct unanswered_slot *slot = &u->slots[message->slot];

	if (message->number > slot->accepted)
		slot->accepted = message->number;
}

bool
unanswered_is_too_late(const struct unanswered *u, const struct unanswered_message *message)
{
	return u->slots[message->slot].accepted > message->number;
}

void
unanswered_take_returned(struct unanswered *u, struct unanswered_message *message)
{
	take(&u->returned, message);
	u->slots[message->slot].returned--;
}

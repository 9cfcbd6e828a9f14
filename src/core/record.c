#include "config.h"

#include "core/record.h"

#include <assert.h>
#include <string.h>

#include "pubsub/outbox_item.h"

enum record_kind {
	RECORD_BY_NAME,
	RECORD_BY_PATTERN,
	RECORD_MISSED, /* seq is the number of messages */
};

/* In memory of the same process: the machine's own order of bytes. */
struct record_head {
	uint64_t seq;
	uint32_t payload_len;
	uint16_t pattern_len;
	uint16_t channel_len;
	uint8_t kind;
};

/* Without the padding at its end. */
#define HEAD_LEN (offsetof(struct record_head, kind) + sizeof(uint8_t))

static struct wire_ends
ends(const struct hub_message *message, const struct wire_body *body)
{
	(void)body;
	return (struct wire_ends){.head = HEAD_LEN + message->pattern.len + message->channel.len};
}

static void
write_ends(
    const struct hub_message *message, const struct wire_body *body, struct wire_ends at, char *out)
{
	struct record_head head = {
	    .seq = message->position.seq,
	    .payload_len = (uint32_t)body->len,
	    .pattern_len = (uint16_t)message->pattern.len,
	    .channel_len = (uint16_t)message->channel.len,
	    .kind = message->kind == HUB_PATTERN ? RECORD_BY_PATTERN : RECORD_BY_NAME,
	};

	(void)at;
	memcpy(out, &head, HEAD_LEN);
	out += HEAD_LEN;
	if (message->pattern.len > 0)
		memcpy(out, message->pattern.ptr, message->pattern.len);
	if (message->channel.len > 0)
		memcpy(out + message->pattern.len, message->channel.ptr, message->channel.len);
}

static size_t
notice(const struct wire_form *form, uint64_t missed, char *out)
{
	struct record_head head = {.seq = missed, .kind = RECORD_MISSED};

	(void)form;
	memcpy(out, &head, HEAD_LEN);
	return HEAD_LEN;
}

const struct wire_form record_form = {
    .name = "records", .ends = ends, .write_ends = write_ends, .notice = notice};

void
record_release(struct record_reader *reader)
{
	buffer_release(&reader->copy);
	if (reader->held.len == 0)
		return;
	frame_range_unpin(&reader->held);
	frame_range_release(&reader->held);
	reader->held = (struct frame_range){0};
}

/* Keeps a longer record, which begins the first item. A frame above a quarter of a segment has a
 * segment of its own, so holding it holds nothing else. */
static const char *
keep_longer(
    struct record_reader *reader, const struct outbox_item *item, const char *from, size_t len)
{
	if (item->range.len != len) {
		buffer_append(&reader->copy, from, len);
		return reader->copy.ptr;
	}
	frame_range_share(&item->range, &reader->held);
	frame_range_pin(&reader->held);
	return frame_range_ptr(&reader->held);
}

/* Returns where the record is that was at `from`. */
static inline const char *
keep(struct record_reader *reader, const struct outbox *outbox, const char *from, size_t len)
{
	if (len > sizeof(reader->small))
		return keep_longer(reader, TAILQ_FIRST(&outbox->items), from, len);
	memcpy(reader->small, from, len);
	return reader->small;
}

bool
record_take(struct record_reader *reader, struct outbox *outbox, struct fanfare_message *message)
{
	struct record_head head;
	struct iovec piece;
	const char *at;
	size_t len;

	if (record_is_held(reader))
		record_release(reader);
	if (outbox_peek(outbox, &piece, 1) == 0)
		return false;
	assert(piece.iov_len >= HEAD_LEN);
	memcpy(&head, piece.iov_base, HEAD_LEN);
	len = HEAD_LEN + head.pattern_len + head.channel_len + head.payload_len;
	assert(len <= piece.iov_len);
	*message = (struct fanfare_message){0};
	if (head.kind == RECORD_MISSED) {
		message->kind = FANFARE_MISSED;
		message->missed = head.seq;
		outbox_consume(outbox, len);
		return true;
	}
	at = keep(reader, outbox, piece.iov_base, len) + HEAD_LEN;
	outbox_consume(outbox, len);
	if (head.kind == RECORD_BY_PATTERN)
		message->pattern = (struct fanfare_bytes){at, head.pattern_len};
	at += head.pattern_len;
	message->channel = (struct fanfare_bytes){at, head.channel_len};
	message->payload = (struct fanfare_bytes){at + head.channel_len, head.payload_len};
	message->position.seq = head.seq;
	return true;
}

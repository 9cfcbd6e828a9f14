#include "config.h"

#include "server/wire.h"

#include <string.h>

#include "pubsub/hub.h"
#include "pubsub/outbox.h"
#include "resp/message.h"

/* The hub's wire forms as messages of RESP. This code is on the path of every message. */
_Static_assert(RESP_LAGGED_MAX <= OUTBOX_NOTICE_MAX, "a notice must fit the outbox's room for it");

static const struct slice kinds[HUB_KINDS] = {
    [HUB_CHANNEL] = {"message", 7},
    [HUB_PATTERN] = {"pmessage", 8},
    [HUB_SHARD] = {"smessage", 8},
};

/* Fills parts and returns their number. */
static size_t
message_parts(const struct hub_message *message, struct slice parts[2])
{
	size_t count = 0;

	if (message->kind == HUB_PATTERN)
		parts[count++] = message->pattern;
	parts[count++] = message->channel;
	return count;
}

static struct wire_ends
message_ends(int proto, const struct hub_message *message)
{
	struct slice parts[2];
	size_t count = message_parts(message, parts);

	return (struct wire_ends){
	    .head = resp_message_head_len(
		proto, kinds[message->kind], parts, count, message->payload.len),
	    .tail = sizeof(RESP_MESSAGE_TAIL) - 1,
	};
}

static void
write_message_ends(int proto, const struct hub_message *message, struct wire_ends ends, char *out)
{
	struct slice parts[2];
	size_t count = message_parts(message, parts);

	resp_message_head_write(
	    proto, kinds[message->kind], parts, count, message->payload.len, out);
	memcpy(out + ends.head + message->payload.len, RESP_MESSAGE_TAIL,
	    sizeof(RESP_MESSAGE_TAIL) - 1);
}

static struct wire_ends
resp2_ends(const struct hub_message *message, const struct wire_body *body)
{
	(void)body;
	return message_ends(2, message);
}

static void
resp2_write_ends(const struct hub_message *message, const struct wire_body *body,
    struct wire_ends ends, char *out)
{
	(void)body;
	write_message_ends(2, message, ends, out);
}

/* A client reads a signed number: a larger count is shown as the largest. */
static size_t
write_lagged(int proto, uint64_t missed, char *out)
{
	int64_t shown = missed < INT64_MAX ? (int64_t)missed : INT64_MAX;

	if (missed == WIRE_MISSED_UNKNOWN)
		shown = RESP_LAGGED_UNKNOWN;
	return resp_lagged_write(proto, shown, out);
}

static size_t
resp2_notice(const struct wire_form *form, uint64_t missed, char *out)
{
	(void)form;
	return write_lagged(2, missed, out);
}

static struct wire_ends
resp3_ends(const struct hub_message *message, const struct wire_body *body)
{
	(void)body;
	return message_ends(3, message);
}

static void
resp3_write_ends(const struct hub_message *message, const struct wire_body *body,
    struct wire_ends ends, char *out)
{
	(void)body;
	write_message_ends(3, message, ends, out);
}

static size_t
resp3_notice(const struct wire_form *form, uint64_t missed, char *out)
{
	(void)form;
	return write_lagged(3, missed, out);
}

/*
 * With positions, the payload on the wire is the message's position, a space and its payload. The
 * prefix belongs to the head, so that the hub copies the payload as usual.
 */
#define PREFIX_MAX (POSITION_TEXT_MAX + 1)

static size_t
write_prefix(const struct hub_message *message, char out[PREFIX_MAX])
{
	size_t len = position_print(out, message->position);

	out[len] = ' ';
	return len + 1;
}

static struct wire_ends
positions_ends(int proto, const struct hub_message *message)
{
	char prefix[PREFIX_MAX];
	size_t prefix_len = write_prefix(message, prefix);
	struct slice parts[2];
	size_t count = message_parts(message, parts);

	return (struct wire_ends){
	    .head = prefix_len + resp_message_head_len(proto, kinds[message->kind], parts, count,
				     prefix_len + message->payload.len),
	    .tail = sizeof(RESP_MESSAGE_TAIL) - 1,
	};
}

static void
write_positions_ends(int proto, const struct hub_message *message, struct wire_ends ends, char *out)
{
	char prefix[PREFIX_MAX];
	size_t prefix_len = write_prefix(message, prefix);
	struct slice parts[2];
	size_t count = message_parts(message, parts);
	char *end = resp_message_head_write(
	    proto, kinds[message->kind], parts, count, prefix_len + message->payload.len, out);

	memcpy(end, prefix, prefix_len);
	memcpy(out + ends.head + message->payload.len, RESP_MESSAGE_TAIL,
	    sizeof(RESP_MESSAGE_TAIL) - 1);
}

static struct wire_ends
resp2_positions_ends(const struct hub_message *message, const struct wire_body *body)
{
	(void)body;
	return positions_ends(2, message);
}

static void
resp2_write_positions_ends(const struct hub_message *message, const struct wire_body *body,
    struct wire_ends ends, char *out)
{
	(void)body;
	write_positions_ends(2, message, ends, out);
}

static struct wire_ends
resp3_positions_ends(const struct hub_message *message, const struct wire_body *body)
{
	(void)body;
	return positions_ends(3, message);
}

static void
resp3_write_positions_ends(const struct hub_message *message, const struct wire_body *body,
    struct wire_ends ends, char *out)
{
	(void)body;
	write_positions_ends(3, message, ends, out);
}

/* Takes a bulk string from the front of *rest. False: there is none. */
static bool
take_bulk(struct slice *rest, struct slice *bulk)
{
	const char *end = memchr(rest->ptr, '\n', rest->len);
	size_t head;
	uint64_t len;

	if (end == NULL || rest->ptr[0] != '$')
		return false;
	head = (size_t)(end + 1 - rest->ptr);
	if (head < 4 || !slice_to_u64((struct slice){rest->ptr + 1, head - 3}, &len) ||
	    len > rest->len - head || rest->len - head - len < 2)
		return false;
	*bulk = (struct slice){rest->ptr + head, (size_t)len};
	*rest = (struct slice){bulk->ptr + len + 2, rest->len - head - (size_t)len - 2};
	return true;
}

/* RESP2 and RESP3 differ in the first byte only. */
static bool
read_message(const char *frame, size_t len, struct hub_message *message)
{
	struct slice rest = {frame, len}, verb;
	bool has_pattern = len > 4 && frame[1] == '4';

	*message = (struct hub_message){.kind = HUB_CHANNEL};
	if (len < 4)
		return false;
	rest = (struct slice){frame + 4, len - 4};
	if (!take_bulk(&rest, &verb) || (has_pattern && !take_bulk(&rest, &message->pattern)) ||
	    !take_bulk(&rest, &message->channel) || !take_bulk(&rest, &message->payload))
		return false;
	if (has_pattern)
		message->kind = HUB_PATTERN;
	else if (slice_eq(verb, kinds[HUB_SHARD]))
		message->kind = HUB_SHARD;
	return true;
}

/* As written by write_prefix(). */
static bool
read_positions(const char *frame, size_t len, struct hub_message *message)
{
	const char *space;

	if (!read_message(frame, len, message))
		return false;
	space = memchr(message->payload.ptr, ' ', message->payload.len);
	if (space == NULL || !position_parse((struct slice){message->payload.ptr,
						 (size_t)(space - message->payload.ptr)},
				 &message->position))
		return false;
	message->payload.len -= (size_t)(space + 1 - message->payload.ptr);
	message->payload.ptr = space + 1;
	return true;
}

const struct wire_form server_wire_forms[SERVER_WIRE_FORMS] = {
    [SERVER_FORM_RESP2] = {.name = "resp2",
	.ends = resp2_ends,
	.write_ends = resp2_write_ends,
	.read = read_message,
	.notice = resp2_notice},
    [SERVER_FORM_RESP3] = {.name = "resp3",
	.ends = resp3_ends,
	.write_ends = resp3_write_ends,
	.read = read_message,
	.notice = resp3_notice},
    [SERVER_FORM_RESP2_POSITIONS] = {.name = "resp2-positions",
	.ends = resp2_positions_ends,
	.write_ends = resp2_write_positions_ends,
	.read = read_positions,
	.notice = resp2_notice},
    [SERVER_FORM_RESP3_POSITIONS] = {.name = "resp3-positions",
	.ends = resp3_positions_ends,
	.write_ends = resp3_write_positions_ends,
	.read = read_positions,
	.notice = resp3_notice},
};

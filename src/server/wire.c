#include "config.h"

#include "resp/message.h"
#include "server/state.h"

/* The hub's wire forms, in terms of the messages of RESP. On the path of every message. */
_Static_assert(RESP_LAGGED_MAX <= OUTBOX_NOTICE_MAX, "a notice must fit the outbox's room for it");

static const struct slice kinds[HUB_KINDS] = {
    [HUB_CHANNEL] = {"message", 7},
    [HUB_PATTERN] = {"pmessage", 8},
    [HUB_SHARD] = {"smessage", 8},
};

/* Fills parts; how many there are. */
static size_t
message_parts(const struct hub_message *message, struct slice parts[2])
{
	size_t count = 0;

	if (message->kind == HUB_PATTERN)
		parts[count++] = message->pattern;
	parts[count++] = message->channel;
	return count;
}

static size_t
head_len(int proto, const struct hub_message *message)
{
	struct slice parts[2];
	size_t count = message_parts(message, parts);

	return resp_message_head_len(
	    proto, kinds[message->kind], parts, count, message->payload.len);
}

static void
head_write(int proto, const struct hub_message *message, char *out)
{
	struct slice parts[2];
	size_t count = message_parts(message, parts);

	resp_message_head_write(
	    proto, kinds[message->kind], parts, count, message->payload.len, out);
}

static size_t
resp2_head_len(const struct hub_message *message)
{
	return head_len(2, message);
}

static void
resp2_head_write(const struct hub_message *message, char *out)
{
	head_write(2, message, out);
}

static size_t
resp2_lagged(uint64_t missed, char *out)
{
	return resp_lagged_write(2, missed, out);
}

static size_t
resp3_head_len(const struct hub_message *message)
{
	return head_len(3, message);
}

static void
resp3_head_write(const struct hub_message *message, char *out)
{
	head_write(3, message, out);
}

static size_t
resp3_lagged(uint64_t missed, char *out)
{
	return resp_lagged_write(3, missed, out);
}

#define TAIL                                                                                       \
	{                                                                                          \
		RESP_MESSAGE_TAIL, sizeof(RESP_MESSAGE_TAIL) - 1                                   \
	}

const struct wire_form server_wire_forms[SERVER_WIRE_FORMS] = {
    {"resp2", resp2_head_len, resp2_head_write, TAIL, resp2_lagged},
    {"resp3", resp3_head_len, resp3_head_write, TAIL, resp3_lagged},
};

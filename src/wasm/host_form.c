#include "config.h"

#include "wasm/host_form.h"

#include <stdint.h>
#include <string.h>

#include "wasm/host_view.h"

static struct fanfare_ends
ends(void *arg, const struct fanfare_message *message, const struct fanfare_body *body)
{
	size_t names = message->channel.len + message->pattern.len;

	(void)arg;
	(void)body;
	return (struct fanfare_ends){.head = sizeof(struct host_block) + names};
}

static void
write_head(void *arg, const struct fanfare_message *message, const struct fanfare_body *body,
    char *head, char *tail)
{
	uint32_t *serial = arg;
	bool by_name = message->pattern.data == NULL;
	struct host_block block = {
	    .epoch = message->position.epoch,
	    .seq = message->position.seq,
	    .channel_len = (uint32_t)message->channel.len,
	    .pattern_len = by_name ? HOST_BY_NAME : (uint32_t)message->pattern.len,
	    .payload_len = (uint32_t)body->len,
	};

	(void)tail;
	*serial += *serial == UINT32_MAX ? 2 : 1; /* 0 is that of notices */
	block.serial = *serial;
	memcpy(head, &block, sizeof(block));
	head += sizeof(block);
	if (message->channel.len > 0)
		memcpy(head, message->channel.data, message->channel.len);
	if (!by_name && message->pattern.len > 0)
		memcpy(head + message->channel.len, message->pattern.data, message->pattern.len);
}

static size_t
notice(void *arg, uint64_t missed, char *out)
{
	struct host_block block = {.seq = missed, .pattern_len = HOST_BY_NAME};

	(void)arg;
	memcpy(out, &block, sizeof(block));
	return sizeof(block);
}

const struct fanfare_form host_form = {
    .size = sizeof(struct fanfare_form),
    .ends = ends,
    .write = write_head,
    .notice = notice,
};

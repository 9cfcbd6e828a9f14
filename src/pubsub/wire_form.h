#ifndef PUBSUB_WIRE_FORM_H
#define PUBSUB_WIRE_FORM_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Wire form: how a message looks to the subscribers that have this form. The hub encodes a message
 * once for each form in use. It knows neither the hub nor subscribers.
 */
enum hub_kind { HUB_CHANNEL, HUB_PATTERN, HUB_SHARD };
#define HUB_KINDS 3

struct hub_message {
	enum hub_kind kind;
	struct slice pattern; /* HUB_PATTERN only */
	struct slice channel;
	struct slice payload;
};

/* How a message looks on the wire: a head, its payload, a tail. One frame log each. */
struct wire_form {
	const char *name;
	size_t (*head_len)(const struct hub_message *message);
	void (*head_write)(const struct hub_message *message, char *out); /* exactly head_len */
	struct slice tail;
	size_t (*lagged)(uint64_t missed, char *out); /* at most OUTBOX_NOTICE_MAX */
};

#endif

#ifndef PUBSUB_WIRE_FORM_H
#define PUBSUB_WIRE_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Wire form: how a message looks to the subscribers that have this form.
 *
 * A frame is a head, a body and a tail. The body is the payload, as it is or transformed (escaped,
 * split into lines, compressed); it depends on the payload alone, so it is measured once for all
 * channels and patterns that a message goes to. Head and tail depend on these, too. The hub asks
 * for lengths first and then has the frame written into memory of that length, once for all
 * subscribers that have the form. A form knows neither the hub nor its subscribers.
 */
enum hub_kind { HUB_CHANNEL, HUB_PATTERN, HUB_SHARD };
#define HUB_KINDS 3

struct hub_message {
	enum hub_kind kind;
	struct slice pattern; /* HUB_PATTERN only */
	struct slice channel;
	struct slice payload;
};

/* The payload in a form. */
struct wire_body {
	size_t len;
	uint64_t note; /* the form's own: what measure() found out for the other functions */
};

/* What stands around it, in bytes. */
struct wire_ends {
	size_t head;
	size_t tail;
};

/* A longer payload is not transformed: subscribers whose form does that miss the message. */
#define WIRE_TRANSFORMED_MAX ((size_t)1 << 20)

/* On the path of every message. `out` has room for exactly what was measured. */
struct wire_form {
	const char *name;

	/*
	 * Sets *body, from the payload alone, which is at most WIRE_TRANSFORMED_MAX long. False:
	 * the form cannot carry it; the message is dropped for its subscribers, and counted.
	 */
	bool (*measure)(const struct hub_message *message, struct wire_body *body);

	/* Writes the body. Both are NULL where the payload goes as it is, at any length: then the
	 * hub copies it, a large one in steps. */
	void (*transform)(
	    const struct hub_message *message, const struct wire_body *body, char *out);

	/* The lengths of head and tail, which may depend on the body's. */
	struct wire_ends (*ends)(const struct hub_message *message, const struct wire_body *body);

	/* Writes the head at out, and the tail at out + ends.head + body->len. */
	void (*write_ends)(const struct hub_message *message, const struct wire_body *body,
	    struct wire_ends ends, char *out);

	/* Writes that `missed` messages are missing here, at most OUTBOX_NOTICE_MAX bytes; returns
	 * the length, 0 for no notice. */
	size_t (*notice)(uint64_t missed, char *out);
};

#endif

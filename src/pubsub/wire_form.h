#ifndef PUBSUB_WIRE_FORM_H
#define PUBSUB_WIRE_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/position.h"

/*
 * Wire form: the encoding of a message for the subscribers that have this form.
 *
 * A frame is a head, a body and a tail. The body is the payload, as it is or transformed (escaped,
 * split into lines, compressed); it depends on the payload alone, so it is measured once for all
 * channels and patterns that a message goes to. Head and tail depend on these, too. The hub first
 * gets the lengths and then lets the form write the frame into memory of that length, once for all
 * subscribers that have the form. A form does not know the hub or its subscribers.
 */
enum hub_kind { HUB_CHANNEL, HUB_PATTERN, HUB_SHARD };
#define HUB_KINDS 3

struct wire_form;

struct hub_message {
	enum hub_kind kind;
	struct slice pattern; /* HUB_PATTERN only */
	struct slice channel;
	struct slice payload;
	struct hub_position position; /* 0-0 if the channel keeps no history */

	/* The same whenever the hub shows this message to a form, for all forms, and of no other
	 * message: what a form finds out about a payload it can keep for the other forms. 0: the
	 * message has none. */
	uint64_t serial;

	const struct wire_form *form; /* whose functions are called with the message */
};

/* The payload in a form. */
struct wire_body {
	size_t len;
	uint64_t note; /* for the form's use: a result of measure() that its other functions need */
};

/* The lengths of head and tail, in bytes. */
struct wire_ends {
	size_t head;
	size_t tail;
};

/* A longer payload is not transformed: it is dropped for subscribers whose form transforms
 * payloads. */
#define WIRE_TRANSFORMED_MAX ((size_t)1 << 20)

/* A longer frame, or one without a byte, is dropped for the subscribers of its form. */
#define WIRE_FRAME_MAX ((size_t)INT32_MAX)

/* A number of missing messages that is not known. Added to any number it stays unknown. */
#define WIRE_MISSED_UNKNOWN UINT64_MAX

/* Called for every message. `out` has room for exactly the measured length. */
struct wire_form {
	const char *name;

	/*
	 * Sets *body, from the payload alone, which is at most WIRE_TRANSFORMED_MAX long. False:
	 * the form cannot carry it; the message is dropped for its subscribers, and counted.
	 */
	bool (*measure)(const struct hub_message *message, struct wire_body *body);

	/* Writes the body. measure and transform are both NULL if the form carries the payload
	 * unchanged, at any length: then the hub copies it, a large one in steps. */
	void (*transform)(
	    const struct hub_message *message, const struct wire_body *body, char *out);

	/* The lengths of head and tail, which may depend on the body's. */
	struct wire_ends (*ends)(const struct hub_message *message, const struct wire_body *body);

	/* Writes the head at out, and the tail at out + ends.head + body->len. */
	void (*write_ends)(const struct hub_message *message, const struct wire_body *body,
	    struct wire_ends ends, char *out);

	/* Reads a frame of this form: what it finds borrows from the frame, and position is 0-0 if
	 * the form does not carry it. False: it cannot. NULL if it never can. */
	bool (*read)(const char *frame, size_t len, struct hub_message *message);

	/* Writes that `missed` messages are missing here (WIRE_MISSED_UNKNOWN: it is not known how
	 * many), at most OUTBOX_NOTICE_MAX bytes; returns the length, 0 for no notice. */
	size_t (*notice)(const struct wire_form *form, uint64_t missed, char *out);
};

#endif

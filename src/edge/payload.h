#ifndef EDGE_PAYLOAD_H
#define EDGE_PAYLOAD_H

#include <stddef.h>

#include "base/bytes.h"

/*
 * A payload as a JSON value, for the wire forms that are JSON. A valid JSON text goes as it is, big
 * numbers and escapes included; only line breaks between its tokens become blanks, because a line
 * of text/event-stream ends with one, and clients split frames of WebSockets into lines.
 *
 * What a payload is depends on its bytes alone. It is found once for all forms: the answer for the
 * last message is kept (hub_message.serial).
 */
struct hub_message;

enum payload_kind {
	PAYLOAD_JSON,
	PAYLOAD_JSON_LINES, /* JSON with line breaks between its tokens */
	PAYLOAD_TEXT,       /* UTF-8 that is not JSON: a string */
	PAYLOAD_BINARY,     /* a string in base64 */
};

struct payload_json {
	enum payload_kind kind;
	size_t len; /* of the JSON value */
};

struct payload_json payload_look(const struct hub_message *message);

/* Writes the JSON value of payload_look(). */
void payload_write(const struct hub_message *message, enum payload_kind kind, char *out);

/* The number of bytes in front of the first CR or LF; all if there is none. */
size_t payload_line_len(struct slice s);

#endif

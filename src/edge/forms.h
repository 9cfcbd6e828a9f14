#ifndef EDGE_FORMS_H
#define EDGE_FORMS_H

#include <stdbool.h>
#include <stddef.h>

#include "pubsub/wire_form.h"

/*
 * The wire forms of browsers: messages as events of text/event-stream (HTML, 9.2) and as text
 * frames of WebSockets (RFC 6455). They are never read back: the hub reads frames of members of
 * queue groups alone, and a client with a door cannot join one.
 *
 * Channels and patterns that are not UTF-8 stand in JSON as "channel_base64" instead of "channel".
 */
enum edge_form {
	EDGE_FORM_SSE,        /* the payload, each line of it as a line of data */
	EDGE_FORM_SSE_JSON,   /* {"channel":...,"data":...,"seq":44} */
	EDGE_FORM_WS,         /* {"push":{"channel":...,"pub":{"data":...,"offset":44}}} */
	EDGE_FORM_WS_DEFLATE, /* the same, compressed (RFC 7692) if that makes it shorter */
	EDGE_FORMS
};

extern const struct wire_form edge_forms[EDGE_FORMS];

/* True if it can stand in JSON: it is UTF-8. */
bool edge_forms_allow_prefix(const char *glob_prefix);

/* Copies glob_prefix, which stands before a pattern on a WebSocket; if it is not allowed the one
 * before is kept. Payloads shorter than deflate_min bytes are not compressed. */
void edge_forms_configure(const char *glob_prefix, size_t deflate_min);

/* Frees the memory that the forms keep between messages. */
void edge_forms_release(void);

#endif

#ifndef NET_UNPARSED_H
#define NET_UNPARSED_H

#include "base/buffer.h"

/*
 * Bytes of one connection that were read and not parsed, as a batch of requests ended before them.
 * NULL stands for none, so that a connection without any takes no memory for it. For this layer
 * only.
 */
struct unparsed {
	struct buffer bytes;
	size_t at; /* those before it have been parsed */
};

/* Copies the bytes, len of them, behind those that are there. */
void unparsed_append(struct unparsed **u, const char *ptr, size_t len);

struct slice unparsed_bytes(const struct unparsed *u); /* borrowed until the next call */
size_t unparsed_room_bytes(const struct unparsed *u);

/* So many of the first were parsed. Frees *u and makes it NULL when none are left. */
void unparsed_consume(struct unparsed **u, size_t len);
void unparsed_drop(struct unparsed **u); /* all of them */

#endif

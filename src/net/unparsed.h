#ifndef NET_UNPARSED_H
#define NET_UNPARSED_H

#include "base/buffer.h"

/*
 * Bytes of one connection that were read and not parsed, because a batch of requests ended before
 * them. NULL stands for none, so that a connection without any takes no memory here. For this layer
 * only.
 */
struct unparsed {
	struct buffer bytes;
	size_t at; /* bytes before this offset have been parsed */
};

/* Appends a copy of the len bytes. */
void unparsed_append(struct unparsed **u, const char *ptr, size_t len);

struct slice unparsed_bytes(const struct unparsed *u); /* borrowed until the next call */
size_t unparsed_room_bytes(const struct unparsed *u);

/* Removes the first len bytes, which were parsed. Frees *u and sets it to NULL when none
 * are left. */
void unparsed_consume(struct unparsed **u, size_t len);
void unparsed_drop(struct unparsed **u); /* all of them */

#endif

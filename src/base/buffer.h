#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stddef.h>

#include "base/bytes.h"

/*
 * A growable run of bytes. It grows by doubling, so that appending n bytes takes time linear in n.
 * The caller limits what it appends. A zeroed struct is an empty buffer that owns nothing.
 */
struct buffer {
	char *ptr;
	size_t len;
	size_t cap;
};

void buffer_release(struct buffer *b); /* frees the bytes; the buffer is empty again */
void buffer_clear(struct buffer *b);   /* len = 0, keeps the room */
void buffer_shrink(
    struct buffer *b, size_t keep); /* frees the room above keep bytes if the buffer is empty */

/* Makes room for len more bytes and returns where they go. The caller writes there and then adds to
 * b->len. */
char *buffer_reserve(struct buffer *b, size_t len);

void buffer_append(struct buffer *b, const void *ptr, size_t len); /* copies */
void buffer_append_slice(struct buffer *b, struct slice s);        /* copies */
void buffer_append_str(struct buffer *b, const char *str);         /* copies, without the NUL */
void buffer_appendf(struct buffer *b, const char *format, ...)
    __attribute__((format(printf, 2, 3), nonnull));

/* Appends s as printable ASCII: other bytes as \xHH, and quote, backslash, \n, \r, \t escaped
 * as Redis's sdscatrepr does, but without the surrounding quotes. */
void buffer_append_escaped(struct buffer *b, struct slice s);

struct slice buffer_slice(const struct buffer *b); /* borrows, until the next append */

#endif

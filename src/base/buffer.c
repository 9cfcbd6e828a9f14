#include "config.h"

#include "base/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hex.h"

enum { FIRST_CAP = 64 };

void
buffer_release(struct buffer *b)
{
	xgrow_free(b->ptr, b->cap);
	*b = (struct buffer){0};
}

void
buffer_clear(struct buffer *b)
{
	b->len = 0;
}

void
buffer_shrink(struct buffer *b, size_t keep)
{
	if (b->len > 0 || b->cap <= keep)
		return;
	buffer_release(b);
	if (keep > 0) {
		b->ptr = xgrow(NULL, 0, keep);
		b->cap = keep;
	}
}

static void
grow(struct buffer *b, size_t len)
{
	size_t cap = b->cap > 0 ? b->cap : FIRST_CAP;

	assert(len <= SIZE_MAX / 2 - b->len);
	while (cap < b->len + len)
		cap *= 2;
	b->ptr = xgrow(b->ptr, b->cap, cap);
	b->cap = cap;
}

char *
buffer_reserve(struct buffer *b, size_t len)
{
	if (b->ptr == NULL || b->cap - b->len < len)
		grow(b, len);
	return b->ptr + b->len;
}

void
buffer_append(struct buffer *b, const void *ptr, size_t len)
{
	if (len == 0)
		return;
	memcpy(buffer_reserve(b, len), ptr, len);
	b->len += len;
}

void
buffer_append_slice(struct buffer *b, struct slice s)
{
	buffer_append(b, s.ptr, s.len);
}

void
buffer_append_str(struct buffer *b, const char *str)
{
	buffer_append(b, str, strlen(str));
}

void
buffer_appendf(struct buffer *b, const char *format, ...)
{
	va_list args, again;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	if (len < 0)
		abort();
	/* vsnprintf writes a NUL, which is not appended. */
	vsnprintf(buffer_reserve(b, (size_t)len + 1), (size_t)len + 1, format, again);
	b->len += (size_t)len;
	va_end(again);
	va_end(args);
}

/* The letter that follows the backslash, or 0 if there is no short form. */
static char
short_escape(char c)
{
	switch (c) {
	case '\\':
	case '"':
		return c;
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	case '\a':
		return 'a';
	case '\b':
		return 'b';
	default:
		return 0;
	}
}

void
buffer_append_escaped(struct buffer *b, struct slice s)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		char letter = short_escape(s.ptr[i]);
		char *out = buffer_reserve(b, 4);

		if (letter != 0) {
			out[0] = '\\';
			out[1] = letter;
			b->len += 2;
		} else if (c >= 0x20 && c < 0x7f) {
			out[0] = s.ptr[i];
			b->len += 1;
		} else {
			out[0] = '\\';
			out[1] = 'x';
			hex_write(out + 2, &c, 1);
			b->len += 4;
		}
	}
}

struct slice
buffer_slice(const struct buffer *b)
{
	return (struct slice){b->ptr, b->len};
}

#include "config.h"

#include "cli/lines.h"

#include <string.h>

#define KEEP_BYTES ((size_t)256 * 1024)

void
lines_init(struct lines *l, size_t max_bytes)
{
	*l = (struct lines){.max_bytes = max_bytes};
}

void
lines_release(struct lines *l)
{
	buffer_release(&l->bytes);
}

/*
 * Moves the remaining bytes to the front only if at least as many were consumed before them, so
 * that moving never costs more than reading.
 */
static void
forget_given(struct lines *l)
{
	size_t rest = l->bytes.len - l->start;

	if (l->start == 0 || rest > l->start)
		return;
	memmove(l->bytes.ptr, l->bytes.ptr + l->start, rest);
	l->bytes.len = rest;
	l->scanned -= l->start;
	l->start = 0;
	if (rest == 0)
		buffer_shrink(&l->bytes, KEEP_BYTES);
}

char *
lines_room(struct lines *l, size_t len)
{
	forget_given(l);
	return buffer_reserve(&l->bytes, len);
}

void
lines_fed(struct lines *l, size_t len)
{
	l->bytes.len += len;
}

void
lines_end(struct lines *l)
{
	l->ended = true;
}

enum lines_status
lines_next(struct lines *l, struct slice *line)
{
	size_t unscanned = l->bytes.len - l->scanned;
	const char *at = l->bytes.ptr + l->scanned;
	const char *end = unscanned == 0 ? NULL : memchr(at, '\n', unscanned);
	size_t len;

	l->scanned = end != NULL ? (size_t)(end - l->bytes.ptr) : l->bytes.len;
	len = l->scanned - l->start;
	if (len > l->max_bytes)
		return LINES_LONG;
	if (end == NULL && !l->ended)
		return LINES_MORE;
	if (end == NULL && len == 0)
		return LINES_END;
	*line = (struct slice){l->bytes.ptr + l->start, len};
	if (end != NULL)
		l->scanned++;
	l->start = l->scanned;
	return LINES_LINE;
}

#include "config.h"

#include "net/unparsed.h"

#include "base/alloc.h"

void
unparsed_append(struct unparsed **u, const char *ptr, size_t len)
{
	if (*u == NULL)
		*u = xcalloc(1, sizeof(**u));
	buffer_append(&(*u)->bytes, ptr, len);
}

struct slice
unparsed_bytes(const struct unparsed *u)
{
	if (u == NULL)
		return SLICE("");
	return (struct slice){u->bytes.ptr + u->at, u->bytes.len - u->at};
}

size_t
unparsed_room_bytes(const struct unparsed *u)
{
	return u != NULL ? sizeof(*u) + u->bytes.cap : 0;
}

void
unparsed_consume(struct unparsed **u, size_t len)
{
	if (*u == NULL)
		return;
	(*u)->at += len;
	if ((*u)->at >= (*u)->bytes.len)
		unparsed_drop(u);
}

void
unparsed_drop(struct unparsed **u)
{
	if (*u != NULL)
		buffer_release(&(*u)->bytes);
	xfree(*u);
	*u = NULL;
}

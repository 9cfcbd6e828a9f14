#ifndef EDGE_FORM_TEXT_H
#define EDGE_FORM_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "pubsub/position.h"
#include "pubsub/wire_form.h"

/*
 * The text around a payload. The same function measures it and writes it, so that both agree: with
 * out NULL nothing is written and len alone counts.
 */
struct form_text {
	char *out;
	size_t len;
};

static inline void
form_put(struct form_text *t, struct slice s)
{
	if (t->out != NULL && s.len > 0)
		memcpy(t->out + t->len, s.ptr, s.len);
	t->len += s.len;
}

#define FORM_PUT(t, literal) form_put(t, SLICE(literal))

static inline void
form_put_u64(struct form_text *t, uint64_t v)
{
	t->len += t->out != NULL ? bytes_from_u64(t->out + t->len, v) : bytes_u64_len(v);
}

/* A number of missing messages; null if it is not known. */
static inline void
form_put_missed(struct form_text *t, uint64_t missed)
{
	if (missed == WIRE_MISSED_UNKNOWN)
		FORM_PUT(t, "null");
	else
		form_put_u64(t, missed);
}

static inline void
form_put_position(struct form_text *t, struct hub_position position)
{
	t->len +=
	    t->out != NULL ? position_print(t->out + t->len, position) : position_len(position);
}

/* "member":"name"; a name that is not UTF-8: "member_base64":"...". `before` are the first bytes of
 * the string, already escaped; not before base64. */
void form_put_name(struct form_text *t, const char *member, struct slice before, struct slice name);

#endif

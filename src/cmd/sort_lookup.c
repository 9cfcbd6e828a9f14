#include "config.h"

#include "cmd/sort_lookup.h"

#include <string.h>

#include "base/buffer.h"
#include "kv/hash.h"
#include "kv/keyspace.h"
#include "server/request_keys.h"

/* The position of a "->" that is followed by text, or the end. */
static size_t
find_arrow(struct slice s)
{
	size_t i;

	for (i = 0; i + 2 < s.len; i++) {
		if (s.ptr[i] == '-' && s.ptr[i + 1] == '>')
			return i;
	}
	return s.len;
}

struct sort_pattern
sort_pattern_of(struct slice text)
{
	struct sort_pattern p = {.is_element = slice_is(text, "#")};
	const char *star = text.len > 0 ? memchr(text.ptr, '*', text.len) : NULL;
	size_t arrow;

	p.is_constant = star == NULL;
	if (star == NULL)
		return p;
	p.before = (struct slice){text.ptr, (size_t)(star - text.ptr)};
	p.after = (struct slice){star + 1, text.len - p.before.len - 1};
	arrow = find_arrow(p.after);
	if (arrow < p.after.len) {
		p.field = (struct slice){p.after.ptr + arrow + 2, p.after.len - arrow - 2};
		p.after.len = arrow;
	}
	return p;
}

bool
sort_lookup(struct request *rq, const struct sort_pattern *pattern, struct slice element,
    struct buffer *name, struct slice *value)
{
	const struct kv_key *key;

	*value = element;
	if (pattern->is_element)
		return true;
	if (pattern->is_constant)
		return false;
	buffer_clear(name);
	buffer_append_slice(name, pattern->before);
	buffer_append_slice(name, element);
	buffer_append_slice(name, pattern->after);
	key = key_read(rq, buffer_slice(name));
	if (key == NULL)
		return false;
	if (pattern->field.len > 0)
		return kv_type_of(key) == KV_HASH &&
		       kv_hash_get(kv_value(key), pattern->field, value);
	if (kv_type_of(key) != KV_STRING)
		return false;
	*value = kv_string(key);
	return true;
}

#include "config.h"

#include "http/target.h"

#include "base/hex.h"
#include "http/syntax.h"

struct http_target
http_split_target(struct slice target)
{
	struct http_target split;

	split.path = http_take_until(&target, '?');
	split.query = target;
	return split;
}

bool
http_next_pair(struct slice *rest, struct slice *name, struct slice *value)
{
	while (rest->len > 0) {
		struct slice pair = http_take_until(rest, '&');

		if (pair.len == 0)
			continue;
		*name = http_take_until(&pair, '=');
		*value = pair;
		return true;
	}
	return false;
}

bool
http_next_segment(struct slice *path, struct slice *segment)
{
	struct slice rest = *path;

	if (rest.len == 0 || rest.ptr[0] != '/')
		return false;
	rest.ptr++;
	rest.len--;
	*segment = http_take_until(&rest, '/');
	path->ptr = segment->ptr + segment->len;
	path->len -= segment->len + 1;
	return true;
}

/* The byte of an escape at the start of s, or -1. */
static int
escaped_byte(struct slice s)
{
	int high, low;

	if (s.len < 3)
		return -1;
	high = hex_digit(s.ptr[1]);
	low = hex_digit(s.ptr[2]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool
http_unescape(struct slice s, unsigned flags, char *out, size_t *len)
{
	size_t at = 0, done = 0;

	while (at < s.len) {
		char c = s.ptr[at];

		if (c == '%') {
			int byte = escaped_byte((struct slice){s.ptr + at, s.len - at});

			if (byte <= 0 || (byte == '/' && (flags & HTTP_ONE_SEGMENT)))
				return false;
			c = (char)byte;
			at += 2;
		} else if (c == '+' && (flags & HTTP_FORM)) {
			c = ' ';
		}
		out[done++] = c;
		at++;
	}
	*len = done;
	return true;
}

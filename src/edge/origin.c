#include "config.h"

#include "edge/origin.h"

#include <string.h>

struct parts {
	struct slice scheme, host, port; /* port: empty for the default of the scheme */
};

static bool
starts_with(struct slice s, const char *prefix)
{
	size_t len = strlen(prefix);

	return s.len >= len && slice_is_nocase((struct slice){s.ptr, len}, prefix);
}

static struct slice
rest_of(struct slice s, size_t at)
{
	return (struct slice){s.ptr + at, s.len - at};
}

/* Splits "host[:port]"; an IPv6 address is in brackets. False if it is neither. */
static bool
split_authority(struct slice text, struct parts *out)
{
	size_t end = 0, i;

	if (text.len > 0 && text.ptr[0] == '[') {
		const char *bracket = memchr(text.ptr, ']', text.len);

		if (bracket == NULL)
			return false;
		end = (size_t)(bracket - text.ptr) + 1;
	} else {
		while (end < text.len && text.ptr[end] != ':')
			end++;
	}
	out->host = (struct slice){text.ptr, end};
	out->port = (struct slice){"", 0};
	if (end == text.len)
		return end > 0;
	out->port = rest_of(text, end + 1);
	if (end == 0 || text.ptr[end] != ':' || out->port.len == 0 || out->port.len > 5)
		return false;
	for (i = 0; i < out->port.len; i++)
		if (out->port.ptr[i] < '0' || out->port.ptr[i] > '9')
			return false;
	return true;
}

static void
drop_default_port(struct parts *p)
{
	if ((slice_is_nocase(p->scheme, "http") && slice_is(p->port, "80")) ||
	    (slice_is_nocase(p->scheme, "https") && slice_is(p->port, "443")))
		p->port.len = 0;
}

/* "scheme://host[:port]". */
static bool
split_origin(struct slice text, struct parts *out)
{
	size_t i;

	for (i = 0; i + 3 <= text.len; i++)
		if (memcmp(text.ptr + i, "://", 3) == 0)
			break;
	if (i == 0 || i + 3 > text.len || !split_authority(rest_of(text, i + 3), out))
		return false;
	if (memchr(out->host.ptr, '/', out->host.len) != NULL ||
	    memchr(out->host.ptr, '@', out->host.len) != NULL)
		return false;
	out->scheme = (struct slice){text.ptr, i};
	drop_default_port(out);
	return true;
}

static bool
is_equal_nocase(struct slice a, struct slice b)
{
	size_t i;

	if (a.len != b.len)
		return false;
	for (i = 0; i < a.len; i++) {
		char x = a.ptr[i], y = b.ptr[i];

		if (x >= 'A' && x <= 'Z')
			x = (char)(x + 32);
		if (y >= 'A' && y <= 'Z')
			y = (char)(y + 32);
		if (x != y)
			return false;
	}
	return true;
}

static bool
is_same(const struct parts *a, const struct parts *b)
{
	return is_equal_nocase(a->scheme, b->scheme) && is_equal_nocase(a->host, b->host) &&
	       slice_eq(a->port, b->port);
}

static bool
is_listed(const struct edge_strings *allowed, const struct parts *origin)
{
	struct parts one;

	for (size_t i = 0; i < allowed->count; i++)
		if (split_origin(slice_of(allowed->items[i]), &one) && is_same(&one, origin))
			return true;
	return false;
}

static bool
allows_any(const struct edge_strings *allowed)
{
	for (size_t i = 0; i < allowed->count; i++)
		if (strcmp(allowed->items[i], "*") == 0)
			return true;
	return false;
}

enum edge_origin
edge_judge_origin(const struct edge_strings *allowed, struct slice origin, struct slice host)
{
	struct parts from, to;

	if (origin.len == 0)
		return EDGE_ORIGIN_NONE;
	if (split_origin(origin, &from)) {
		if (split_authority(host, &to)) {
			to.scheme = from.scheme;
			drop_default_port(&to);
			if (is_same(&from, &to))
				return EDGE_ORIGIN_SAME;
		}
		if (is_listed(allowed, &from))
			return EDGE_ORIGIN_LISTED;
	}
	return allows_any(allowed) ? EDGE_ORIGIN_ANY : EDGE_ORIGIN_DENIED;
}

bool
edge_origin_is_valid(struct slice text)
{
	struct parts parts;

	return slice_is(text, "*") || (starts_with(text, "http") && split_origin(text, &parts));
}

bool
edge_host_is_served(const struct edge_strings *hosts, struct slice host)
{
	struct parts parts;

	if (hosts->count == 0)
		return true;
	for (size_t i = 0; split_authority(host, &parts) && i < hosts->count; i++)
		if (is_equal_nocase(parts.host, slice_of(hosts->items[i])))
			return true;
	return false;
}

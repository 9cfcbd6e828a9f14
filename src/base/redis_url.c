#include "config.h"

#include "base/redis_url.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/hex.h"

/* Returns owned, or NULL with *error. %00 is refused because it would end the string. */
static char *
percent_decode(struct slice s, const char **error)
{
	char *text = xmalloc(s.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (c == '%') {
			int high = i + 2 < s.len ? hex_digit(s.ptr[i + 1]) : -1;
			int low = high >= 0 ? hex_digit(s.ptr[i + 2]) : -1;

			if (low < 0 || (high == 0 && low == 0)) {
				*error = "a % in a URL must be followed by two hexadecimal digits "
					 "other than 00";
				xfree(text);
				return NULL;
			}
			c = (char)(high * 16 + low);
			i += 2;
		}
		text[len++] = c;
	}
	text[len] = '\0';
	return text;
}

/* Removes the text up to and including c from the front of *rest. False if there is no c. */
static bool
cut_at(struct slice *rest, char c, struct slice *front)
{
	const char *at = rest->len == 0 ? NULL : memchr(rest->ptr, c, rest->len);

	if (at == NULL)
		return false;
	*front = (struct slice){rest->ptr, (size_t)(at - rest->ptr)};
	rest->len -= front->len + 1;
	rest->ptr = at + 1;
	return true;
}

/* The last '@' counts: a password may contain one that is not encoded. */
static bool
parse_user(struct redis_url *url, struct slice *rest, const char **error)
{
	size_t at = rest->len;
	struct slice user;
	struct slice password = {NULL, 0};
	bool has_password;

	while (at > 0 && rest->ptr[at - 1] != '@')
		at--;
	if (at == 0)
		return true;
	user = (struct slice){rest->ptr, at - 1};
	rest->ptr += at;
	rest->len -= at;
	password = user;
	has_password = cut_at(&password, ':', &user);
	if (user.len > 0 && (url->user = percent_decode(user, error)) == NULL)
		return false;
	if (has_password && (url->password = percent_decode(password, error)) == NULL)
		return false;
	return true;
}

/* Refused, because other programs have settings there (?db=1) that must not be ignored. */
static bool
has_no_query(struct slice s, const char **error)
{
	if (s.len == 0 || (memchr(s.ptr, '?', s.len) == NULL && memchr(s.ptr, '#', s.len) == NULL))
		return true;
	*error = "a URL must not contain ? or # (in a name write %3F and %23)";
	return false;
}

static bool
parse_host(struct redis_url *url, struct slice s, const char **error)
{
	struct slice host = s;
	struct slice port = {NULL, 0};
	bool has_port;
	uint64_t number;

	if (s.len > 0 && s.ptr[0] == '[') {
		port = (struct slice){s.ptr + 1, s.len - 1};
		if (!cut_at(&port, ']', &host) || (port.len > 0 && port.ptr[0] != ':')) {
			*error = "an IPv6 address in a URL is written [address] or [address]:port";
			return false;
		}
		has_port = port.len > 0;
		if (has_port)
			port = (struct slice){port.ptr + 1, port.len - 1};
	} else {
		port = s;
		has_port = cut_at(&port, ':', &host);
		if (has_port && memchr(port.ptr, ':', port.len) != NULL) {
			*error = "an IPv6 address in a URL is written in brackets: [address]";
			return false;
		}
	}
	if (has_port) {
		if (!slice_to_u64(port, &number) || number < 1 || number > 65535) {
			*error = "the port of a URL is a number from 1 to 65535";
			return false;
		}
		url->port = (uint16_t)number;
	}
	if (host.len > 0)
		url->host = percent_decode(host, error);
	return host.len == 0 || url->host != NULL;
}

static bool
parse_database(struct redis_url *url, struct slice s, const char **error)
{
	uint64_t number;

	if (s.len == 0)
		return true;
	if (!slice_to_u64(s, &number) || number > INT32_MAX) {
		*error = "only /database, a number, may follow the host of a URL";
		return false;
	}
	url->database = (uint32_t)number;
	return true;
}

static bool
parse_redis(struct redis_url *url, struct slice rest, const char **error)
{
	struct slice authority = rest;
	struct slice path = rest;

	if (!cut_at(&path, '/', &authority))
		path.len = 0;
	return parse_user(url, &authority, error) && has_no_query(authority, error) &&
	       parse_host(url, authority, error) && parse_database(url, path, error);
}

static bool
parse_unix(struct redis_url *url, struct slice rest, const char **error)
{
	struct slice authority;
	struct slice path = rest;

	if (!cut_at(&path, '/', &authority) || path.len == 0) {
		*error = "the URL of a Unix socket is written unix:///path";
		return false;
	}
	if (!parse_user(url, &authority, error) || !has_no_query(path, error))
		return false;
	if (authority.len > 0) {
		*error = "the URL of a Unix socket has no host: unix:///path";
		return false;
	}
	url->socket_path = percent_decode((struct slice){path.ptr - 1, path.len + 1}, error);
	return url->socket_path != NULL;
}

bool
redis_url_parse(struct redis_url *url, const char *text, const char **error)
{
	struct redis_url u = {.port = REDIS_URL_DEFAULT_PORT};
	struct slice rest = slice_of(text);
	bool ok = false;

	if (strncasecmp(text, "redis://", 8) == 0)
		ok = parse_redis(&u, (struct slice){rest.ptr + 8, rest.len - 8}, error);
	else if (strncasecmp(text, "unix://", 7) == 0)
		ok = parse_unix(&u, (struct slice){rest.ptr + 7, rest.len - 7}, error);
	else if (strncasecmp(text, "rediss://", 9) == 0)
		ok = u.is_tls = parse_redis(&u, (struct slice){rest.ptr + 9, rest.len - 9}, error);
	else
		*error = "a URL starts with redis://, rediss:// (TLS) or unix://";
	if (!ok) {
		redis_url_release(&u);
		return false;
	}
	*url = u;
	return true;
}

void
redis_url_release(struct redis_url *url)
{
	xfree(url->host);
	xfree(url->socket_path);
	xfree(url->user);
	xfree(url->password);
	*url = (struct redis_url){0};
}

void
redis_url_describe(const struct redis_url *url, struct buffer *out)
{
	const char *host = url->host != NULL ? url->host : REDIS_URL_DEFAULT_HOST;

	if (url->socket_path != NULL)
		buffer_append_str(out, url->socket_path);
	else if (strchr(host, ':') != NULL)
		buffer_appendf(out, "[%s]:%u", host, url->port);
	else
		buffer_appendf(out, "%s:%u", host, url->port);
}

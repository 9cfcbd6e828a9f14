#include "config.h"

#include "cli/target.h"

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
parse_user(struct target *t, struct slice *rest, const char **error)
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
	if (user.len > 0 && (t->user = percent_decode(user, error)) == NULL)
		return false;
	if (has_password && (t->password = percent_decode(password, error)) == NULL)
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
parse_host(struct target *t, struct slice s, const char **error)
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
		t->port = (uint16_t)number;
	}
	t->host = host.len > 0 ? percent_decode(host, error) : xstrdup(TARGET_DEFAULT_HOST);
	return t->host != NULL;
}

static bool
parse_database(struct target *t, struct slice s, const char **error)
{
	uint64_t number;

	if (s.len == 0)
		return true;
	if (!slice_to_u64(s, &number) || number > INT32_MAX) {
		*error = "only /database, a number, may follow the host of a URL";
		return false;
	}
	t->database = (uint32_t)number;
	return true;
}

static bool
parse_redis(struct target *t, struct slice rest, const char **error)
{
	struct slice authority = rest;
	struct slice path = rest;

	if (!cut_at(&path, '/', &authority))
		path.len = 0;
	return parse_user(t, &authority, error) && has_no_query(authority, error) &&
	       parse_host(t, authority, error) && parse_database(t, path, error);
}

static bool
parse_unix(struct target *t, struct slice rest, const char **error)
{
	struct slice authority;
	struct slice path = rest;

	if (!cut_at(&path, '/', &authority) || path.len == 0) {
		*error = "the URL of a Unix socket is written unix:///path";
		return false;
	}
	if (!parse_user(t, &authority, error) || !has_no_query(path, error))
		return false;
	if (authority.len > 0) {
		*error = "the URL of a Unix socket has no host: unix:///path";
		return false;
	}
	t->socket_path = percent_decode((struct slice){path.ptr - 1, path.len + 1}, error);
	return t->socket_path != NULL;
}

bool
target_parse_url(struct target *target, const char *url, const char **error)
{
	struct target t = {.port = TARGET_DEFAULT_PORT};
	struct slice rest = slice_of(url);
	bool ok = false;

	if (strncasecmp(url, "redis://", 8) == 0)
		ok = parse_redis(&t, (struct slice){rest.ptr + 8, rest.len - 8}, error);
	else if (strncasecmp(url, "unix://", 7) == 0)
		ok = parse_unix(&t, (struct slice){rest.ptr + 7, rest.len - 7}, error);
	else if (strncasecmp(url, "rediss://", 9) == 0)
		ok = t.tls.enabled =
		    parse_redis(&t, (struct slice){rest.ptr + 9, rest.len - 9}, error);
	else
		*error = "a URL starts with redis://, rediss:// (TLS) or unix://";
	if (!ok) {
		target_release(&t);
		return false;
	}
	*target = t;
	return true;
}

static void
replace(char **field, const char *text)
{
	if (text == NULL)
		return;
	xfree(*field);
	*field = xstrdup(text);
}

/* The option --socket replaces a whole URL, including its TLS. */
static const char *
choose_tls(struct target *t, const struct target_choice *choice)
{
	bool by_url = t->tls.enabled && t->socket_path == NULL;

	t->tls = choice->tls;
	t->tls.enabled = choice->tls.enabled || by_url;
	if (t->tls.enabled && t->socket_path != NULL)
		return "TLS is for TCP, not for Unix sockets";
	return tls_options_fault(&t->tls);
}

static bool
is_said(const char *text)
{
	return text != NULL && text[0] != '\0';
}

bool
target_choose(struct target *target, const struct target_choice *choice, const char **error)
{
	const char *url = choice->url != NULL ? choice->url : choice->env_url;
	struct target t = {.port = TARGET_DEFAULT_PORT};

	if (choice->socket_path != NULL && (choice->host != NULL || choice->port != 0)) {
		*error = "--socket excludes --host and --port";
		return false;
	}
	if ((choice->url != NULL || is_said(url)) && !target_parse_url(&t, url, error))
		return false;
	if (choice->host != NULL || choice->port != 0) {
		xfree(t.socket_path);
		t.socket_path = NULL;
	}
	replace(&t.host, choice->host);
	if (choice->port != 0)
		t.port = (uint16_t)choice->port;
	replace(&t.socket_path, choice->socket_path);
	replace(&t.user, choice->user);
	replace(&t.password, choice->password);
	if (t.host == NULL)
		t.host = xstrdup(TARGET_DEFAULT_HOST);
	if (t.password == NULL && is_said(choice->env_password))
		t.password = xstrdup(choice->env_password);
	*error = choose_tls(&t, choice);
	if (*error == NULL && t.user != NULL && t.password == NULL)
		*error = "a user needs a password: --password, the URL or FANFARE_PASSWORD";
	if (*error != NULL) {
		target_release(&t);
		return false;
	}
	*target = t;
	return true;
}

void
target_release(struct target *target)
{
	xfree(target->host);
	xfree(target->socket_path);
	xfree(target->user);
	xfree(target->password);
	*target = (struct target){0};
}

void
target_describe(const struct target *target, struct buffer *out)
{
	if (target->socket_path != NULL)
		buffer_append_str(out, target->socket_path);
	else if (strchr(target->host, ':') != NULL)
		buffer_appendf(out, "[%s]:%u", target->host, target->port);
	else
		buffer_appendf(out, "%s:%u", target->host, target->port);
}

#include "config.h"

#include "app/setting_upstream.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"

static bool
has_scheme(const char *text, const char *scheme)
{
	return strncasecmp(text, scheme, strlen(scheme)) == 0;
}

static const char *
fault_of(const struct redis_url *url)
{
	if (url->host == NULL)
		return "the URL has no host";
	if (strchr(url->host, ' ') != NULL)
		return "the host has a space; several URLs begin with redis:// or rediss:// each";
	if (url->database != 0)
		return "the URL names a database, but all databases share the channels";
	return NULL;
}

/* The scheme is checked first, because the error of redis_url_parse() would name unix:// as well.
 */
bool
setting_upstream_parse(struct redis_url *url, const char *text, const char **error)
{
	struct redis_url u;

	if (!has_scheme(text, "redis://") && !has_scheme(text, "rediss://")) {
		*error = "the URL does not start with redis:// or rediss://";
		return false;
	}
	if (!redis_url_parse(&u, text, error))
		return false;
	*error = fault_of(&u);
	if (*error == NULL) {
		*url = u;
		return true;
	}
	redis_url_release(&u);
	return false;
}

static char *
copy(const char *text, size_t len)
{
	char *word = xmalloc(len + 1);

	memcpy(word, text, len);
	word[len] = '\0';
	return word;
}

/* A password may have spaces. */
static bool
begins_next(const char *text)
{
	const char *word = text + strspn(text, " ");

	return word > text &&
	       (word[0] == '\0' || has_scheme(word, "redis://") || has_scheme(word, "rediss://"));
}

char *
setting_upstream_next(const char **value)
{
	const char *text = *value + strspn(*value, " ");
	size_t len = 0;

	while (text[len] != '\0' && !begins_next(text + len))
		len++;
	*value = text + len;
	return len > 0 ? copy(text, len) : NULL;
}

static bool
is_same(const char *a, const char *b)
{
	return a == NULL || (b != NULL && strcmp(a, b) == 0);
}

/* A later URL may leave out user and password. */
static const char *
find_difference(const struct redis_url *first, const struct redis_url *later)
{
	if (first->is_tls != later->is_tls)
		return "the URLs have different schemes";
	if (!is_same(later->user, first->user) || !is_same(later->password, first->password))
		return "a URL has another user or password than the first one";
	return NULL;
}

static const char *
find_fault_in_rest(const struct redis_url *first, const char *rest)
{
	const char *error = NULL;
	struct redis_url url;
	char *text;

	while (error == NULL && (text = setting_upstream_next(&rest)) != NULL) {
		if (setting_upstream_parse(&url, text, &error)) {
			error = find_difference(first, &url);
			redis_url_release(&url);
		}
		xfree(text);
	}
	return error;
}

/* Returns a constant text, or NULL: the value is valid. */
static const char *
find_fault(struct slice value)
{
	const char *error = NULL, *rest;
	struct redis_url first;
	char *text, *word;

	if (value.len == 0)
		return NULL;
	rest = text = copy(value.ptr, value.len);
	word = setting_upstream_next(&rest);
	if (setting_upstream_parse(&first, word != NULL ? word : "", &error)) {
		error = find_fault_in_rest(&first, rest);
		redis_url_release(&first);
	}
	xfree(word);
	xfree(text);
	return error;
}

bool
setting_upstream_is_valid(struct slice value)
{
	return find_fault(value) == NULL;
}

const char *
setting_upstream_fault(struct slice value)
{
	const char *fault = find_fault(value);

	assert(fault != NULL);
	return fault;
}

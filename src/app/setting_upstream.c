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
	if (u.host != NULL && u.database == 0) {
		*url = u;
		return true;
	}
	*error = u.host == NULL ? "the URL has no host"
				: "the URL names a database, but all databases share the channels";
	redis_url_release(&u);
	return false;
}

/* Returns a constant text, or NULL: the value is valid. */
static const char *
find_fault(struct slice value)
{
	const char *error = NULL;
	struct redis_url url;
	char *text;

	if (value.len == 0)
		return NULL;
	text = xmalloc(value.len + 1);
	memcpy(text, value.ptr, value.len);
	text[value.len] = '\0';
	if (setting_upstream_parse(&url, text, &error))
		redis_url_release(&url);
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

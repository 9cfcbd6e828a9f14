#include "config.h"

#include "http/headers.h"

#include "http/request.h"
#include "http/syntax.h"

/* The next field with this name at *at or behind it; *at is then behind it. */
static bool
next_header(
    const struct slice *args, size_t count, const char *name, size_t *at, struct slice *value)
{
	for (; *at + 1 < count; *at += 2) {
		if (!slice_is_nocase(args[*at], name))
			continue;
		*value = args[*at + 1];
		*at += 2;
		return true;
	}
	return false;
}

size_t
http_header(const struct slice *args, size_t count, const char *name, struct slice *value)
{
	size_t found = 0, at = HTTP_FIELDS;
	struct slice other;

	*value = SLICE("");
	if (next_header(args, count, name, &at, value))
		for (found = 1; next_header(args, count, name, &at, &other); found++)
			;
	return found;
}

/* The length of the element at the start of a list: up to a comma that is not quoted. */
static size_t
element_len(struct slice list)
{
	bool is_quoted = false;
	size_t i;

	for (i = 0; i < list.len && (is_quoted || list.ptr[i] != ','); i++) {
		if (list.ptr[i] == '"')
			is_quoted = !is_quoted;
		else if (is_quoted && list.ptr[i] == '\\' && i + 1 < list.len)
			i++;
	}
	return i;
}

bool
http_next_element(struct slice *list, struct slice *element)
{
	while (list->len > 0) {
		size_t len = element_len(*list);
		size_t done = len < list->len ? len + 1 : len;

		*element = http_trim((struct slice){list->ptr, len});
		list->ptr += done;
		list->len -= done;
		if (element->len > 0)
			return true;
	}
	return false;
}

bool
http_list_has(struct slice list, const char *token)
{
	struct slice element;

	while (http_next_element(&list, &element))
		if (slice_is_nocase(element, token))
			return true;
	return false;
}

bool
http_header_has(const struct slice *args, size_t count, const char *name, const char *token)
{
	size_t at = HTTP_FIELDS;
	struct slice value;

	while (next_header(args, count, name, &at, &value))
		if (http_list_has(value, token))
			return true;
	return false;
}

static struct slice
without_quotes(struct slice s)
{
	if (s.len < 2 || s.ptr[0] != '"' || s.ptr[s.len - 1] != '"')
		return s;
	return (struct slice){s.ptr + 1, s.len - 2};
}

size_t
http_cookie(const struct slice *args, size_t count, const char *name, struct slice *value)
{
	size_t found = 0, at = HTTP_FIELDS;
	struct slice cookies;

	*value = SLICE("");
	while (next_header(args, count, "Cookie", &at, &cookies)) {
		while (cookies.len > 0) {
			struct slice pair = http_take_until(&cookies, ';');

			if (!slice_is(http_trim(http_take_until(&pair, '=')), name))
				continue;
			if (found++ == 0)
				*value = without_quotes(http_trim(pair));
		}
	}
	return found;
}

struct slice
http_media_type(struct slice value)
{
	return http_trim(http_take_until(&value, ';'));
}

bool
http_is_persistent(const struct slice *args, size_t count)
{
	if (http_header_has(args, count, "Connection", "close"))
		return false;
	return !slice_is(args[HTTP_VERSION], "1.0") ||
	       http_header_has(args, count, "Connection", "keep-alive");
}

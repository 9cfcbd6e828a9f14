#include "config.h"

#include "http/target.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "http/headers.h"

/* Targets, queries, forms and lists: every part is inside of the input, and decoding never writes
 * more than it reads. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_inside(struct slice part, struct slice whole)
{
	assert(part.len == 0 ||
	       (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len));
}

static void
decode(struct slice s)
{
	for (unsigned flags = 0; flags <= (HTTP_FORM | HTTP_ONE_SEGMENT); flags++) {
		char *out = xmalloc(s.len);
		size_t len;

		if (http_unescape(s, flags, out, &len)) {
			assert(len <= s.len && len * 3 >= s.len);
			assert(len == 0 || memchr(out, 0, len) == NULL ||
			       memchr(s.ptr, 0, s.len) != NULL);
		}
		xfree(out);
	}
}

static void
walk(struct slice whole)
{
	struct http_target split = http_split_target(whole);
	struct slice rest = whole, name, value;
	size_t covered = 0;

	while (http_next_pair(&split.query, &name, &value)) {
		check_inside(name, whole);
		check_inside(value, whole);
		decode(name);
		decode(value);
	}
	while (http_next_segment(&split.path, &name)) {
		check_inside(name, whole);
		covered += name.len + 1;
		assert(covered <= whole.len);
	}
	while (http_next_element(&rest, &name))
		check_inside(name, whole);
	check_inside(http_media_type(whole), whole);
}

static void
find_cookie(struct slice cookies)
{
	const struct slice args[] = {
	    SLICE("GET"), SLICE("/"), SLICE("1.1"), SLICE(""), SLICE("Cookie"), cookies};
	struct slice value;

	if (http_cookie(args, sizeof(args) / sizeof(*args), "a", &value) == 0)
		assert(value.len == 0);
	check_inside(value, cookies);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *copy = xmalloc(len); /* so that a read behind its end is found */
	struct slice whole = {copy, len};

	if (len > 0)
		memcpy(copy, data, len);
	decode(whole);
	walk(whole);
	find_cookie(whole);
	xfree(copy);
	return 0;
}

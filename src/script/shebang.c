#include "config.h"

#include <stdio.h>
#include <string.h>

#include "script/state.h"

/* The first line of a script: "#!lua flags=no-writes,allow-oom". Source: Redis's manual of EVAL. */

static const struct {
	const char *name;
	uint32_t flag;
} flag_names[] = {
    {"no-writes", SCRIPT_NO_WRITES},
    {"allow-oom", SCRIPT_ALLOW_OOM},
    {"allow-stale", SCRIPT_ALLOW_STALE},
    {"no-cluster", SCRIPT_NO_CLUSTER},
    {"allow-cross-slot-keys", SCRIPT_ALLOW_CROSS_SLOT},
};

#define SHOWN_MAX 128

static const char *
fail(char *error, size_t error_len, const char *what, struct slice shown)
{
	snprintf(error, error_len, "%s%.*s", what,
	    (int)(shown.len < SHOWN_MAX ? shown.len : SHOWN_MAX), shown.ptr);
	return error;
}

/* Takes the part of *rest up to a separator, which is removed too. */
static struct slice
take(struct slice *rest, char separator)
{
	const char *end = rest->len > 0 ? memchr(rest->ptr, separator, rest->len) : NULL;
	struct slice part = {rest->ptr, end != NULL ? (size_t)(end - rest->ptr) : rest->len};
	size_t skipped = part.len + (end != NULL);

	rest->ptr += skipped;
	rest->len -= skipped;
	return part;
}

/* False: it is no flag. */
static bool
add_flag(struct slice name, uint32_t *flags)
{
	for (size_t i = 0; i < sizeof(flag_names) / sizeof(flag_names[0]); i++)
		if (slice_is(name, flag_names[i].name)) {
			*flags |= flag_names[i].flag;
			return true;
		}
	return false;
}

static const char *
read_flags(struct slice list, uint32_t *flags, char *error, size_t error_len)
{
	bool more = list.len > 0;

	while (more) {
		size_t before = list.len;
		struct slice name = take(&list, ',');

		if (!add_flag(name, flags))
			return fail(
			    error, error_len, "ERR Unexpected flag in script shebang: ", name);
		more = before > name.len;
	}
	return NULL;
}

const char *
script_read_shebang(
    struct slice body, uint32_t *flags, size_t *start, char *error, size_t error_len)
{
	static const struct slice option = {"flags=", 6};
	struct slice line = body, word;
	const char *end, *why;

	*flags = 0;
	*start = 0;
	if (body.len < 2 || memcmp(body.ptr, "#!", 2) != 0) {
		*flags = SCRIPT_HAS_NO_FLAGS;
		return NULL;
	}
	end = memchr(body.ptr, '\n', body.len);
	if (end == NULL)
		return fail(error, error_len, "ERR Invalid script shebang", (struct slice){"", 0});
	line.len = (size_t)(end - body.ptr);
	*start = line.len; /* the line end stays, so that lines are counted rightly */
	word = take(&line, ' ');
	if (!slice_is(word, "#!lua"))
		return fail(error, error_len, "ERR Unexpected engine in script shebang: ", word);
	while (line.len > 0) {
		word = take(&line, ' ');
		if (word.len == 0)
			continue;
		if (word.len < option.len || memcmp(word.ptr, option.ptr, option.len) != 0)
			return fail(error, error_len, "ERR Unknown lua shebang option: ", word);
		word.ptr += option.len;
		word.len -= option.len;
		why = read_flags(word, flags, error, error_len);
		if (why != NULL)
			return why;
	}
	return NULL;
}

#include "config.h"

#include "cmd/scan.h"

#include <string.h>

#include "base/glob.h"
#include "resp/writer.h"

/* As in Redis: buckets may be empty, so the number of steps is limited too. */
#define STEPS_PER_ELEMENT 10

#define COUNT_DEFAULT 10

/*
 * Reads a cursor as strtoul does, because Redis uses it: empty text is 0, a sign is allowed, and
 * text after a NUL is ignored. Unlike with strtoul, leading blanks are an error.
 */
static bool
read_cursor(struct slice s, uint64_t *cursor)
{
	bool negative = s.len > 0 && s.ptr[0] == '-';
	size_t i = negative || (s.len > 0 && s.ptr[0] == '+') ? 1 : 0;
	uint64_t v = 0;

	if (i == 1 && (s.len == 1 || s.ptr[1] == '\0'))
		return false;
	for (; i < s.len && s.ptr[i] != '\0'; i++) {
		unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';

		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*cursor = negative ? -v : v;
	return true;
}

bool
scan_cursor(struct request *rq, size_t at, struct scan *scan)
{
	*scan = (struct scan){.count = COUNT_DEFAULT};
	if (read_cursor(rq->argv[at], &scan->cursor))
		return true;
	request_error(rq, "ERR invalid cursor");
	return false;
}

static bool
read_count(struct request *rq, struct slice text, struct scan *scan)
{
	int64_t count;

	if (!slice_to_i64(text, &count)) {
		request_error(rq, "ERR value is not an integer or out of range");
		return false;
	}
	if (count < 1) {
		request_syntax_error(rq);
		return false;
	}
	scan->count = (uint64_t)count;
	return true;
}

bool
scan_pattern_fits(struct request *rq, struct slice pattern)
{
	if (pattern.len <= SCAN_PATTERN_MAX || memchr(pattern.ptr, '*', pattern.len) == NULL)
		return true;
	request_error(rq, "ERR a pattern with * is longer than %d bytes", SCAN_PATTERN_MAX);
	return false;
}

bool
scan_options(struct request *rq, size_t first, bool with_type, struct scan *scan)
{
	size_t i;

	for (i = first; i < rq->argc; i += 2) {
		struct slice value = i + 1 < rq->argc ? rq->argv[i + 1] : (struct slice){0};

		if (i + 1 < rq->argc && slice_is_nocase(rq->argv[i], "count")) {
			if (!read_count(rq, value, scan))
				return false;
		} else if (i + 1 < rq->argc && slice_is_nocase(rq->argv[i], "match")) {
			if (!scan_pattern_fits(rq, value))
				return false;
			scan->pattern = value;
			scan->is_filtered = !slice_is(value, "*");
		} else if (with_type && i + 1 < rq->argc && slice_is_nocase(rq->argv[i], "type")) {
			scan->type = value;
			scan->is_typed = true;
		} else {
			request_syntax_error(rq);
			return false;
		}
	}
	return true;
}

bool
scan_see(struct scan *scan, struct slice name, size_t elements)
{
	scan->seen += elements;
	return !scan->is_filtered || glob_match(scan->pattern, name, false);
}

void
scan_put(struct scan *scan, struct slice element)
{
	resp_put_bulk(&scan->found, element);
	scan->found_count++;
}

static void
put_cursor(struct request *rq, uint64_t cursor)
{
	char digits[BYTES_I64_MAX];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + cursor % 10);
		cursor /= 10;
	} while (cursor > 0);
	resp_put_array(rq->reply, 2);
	resp_put_bulk(rq->reply, (struct slice){digits + at, sizeof(digits) - at});
}

void
scan_reply_empty(struct request *rq)
{
	put_cursor(rq, 0);
	resp_put_array(rq->reply, 0);
}

void
scan_run(struct request *rq, struct scan *scan, scan_step *step, const void *target)
{
	uint64_t steps = scan->count > UINT64_MAX / STEPS_PER_ELEMENT
			     ? UINT64_MAX
			     : scan->count * STEPS_PER_ELEMENT;
	uint64_t cursor = scan->cursor;

	do {
		cursor = step(target, cursor, scan);
	} while (cursor != 0 && steps-- > 0 && scan->seen < scan->count);
	put_cursor(rq, cursor);
	resp_put_array(rq->reply, scan->found_count);
	buffer_append_slice(rq->reply, buffer_slice(&scan->found));
	buffer_release(&scan->found);
}

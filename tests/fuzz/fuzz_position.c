#include "config.h"

#include "pubsub/position.h"

#include <assert.h>
#include <string.h>

/*
 * Positions in all three syntaxes. A position that is taken is printed as it was written, and the
 * syntaxes agree about it.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct hub_position untouched = {7, 7};

static void
check_position(struct slice text)
{
	struct hub_position position = untouched, start, end;
	struct position_since since;
	char printed[POSITION_TEXT_MAX];

	if (!position_parse(text, &position)) {
		assert(position_compare(position, untouched) == 0);
		return;
	}
	assert(slice_eq(text, (struct slice){printed, position_print(printed, position)}));
	assert(position_parse_since(text, &since) && since.kind == POSITION_AT);
	assert(position_compare(since.at, position) == 0);
	assert(position_parse_bound(text, true, &start) && position_parse_bound(text, false, &end));
	assert(position_compare(start, position) == 0 && position_compare(end, position) == 0);
}

static void
check_since(struct slice text)
{
	struct position_since since = {.kind = POSITION_NEW, .at = untouched};
	struct hub_position position;

	if (!position_parse_since(text, &since))
		assert(since.kind == POSITION_NEW && position_compare(since.at, untouched) == 0);
	else if (since.kind == POSITION_LAST)
		assert(since.count > 0);
	else if (since.kind == POSITION_AT)
		assert(position_parse(text, &position));
}

/* Excluding a bound makes a range smaller by one position, or leaves none. */
static void
check_bound(struct slice text, bool is_start)
{
	struct hub_position inside = untouched, outside;
	bool ok = position_parse_bound(text, is_start, &inside);

	if (!ok) {
		assert(position_compare(inside, untouched) == 0);
	} else if (text.ptr[0] == '(') {
		text = (struct slice){text.ptr + 1, text.len - 1};
		assert(position_parse_bound(text, is_start, &outside));
		assert(is_start ? position_compare(inside, outside) > 0
				: position_compare(inside, outside) < 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice text = {(const char *)data, len};

	check_position(text);
	check_since(text);
	check_bound(text, true);
	check_bound(text, false);
	return 0;
}

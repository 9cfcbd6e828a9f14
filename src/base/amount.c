#include "config.h"

#include "base/amount.h"

#include <stddef.h>

bool
amount_parse_bool(struct slice text, bool *out)
{
	if (slice_is_nocase(text, "yes"))
		*out = true;
	else if (slice_is_nocase(text, "no"))
		*out = false;
	else
		return false;
	return true;
}

static const struct {
	const char *name;
	int64_t bytes;
} units[] = {
    /* Values are written with one of the first three: the largest that divides the value. */
    {"gb", INT64_C(1) << 30},
    {"mb", INT64_C(1) << 20},
    {"kb", INT64_C(1) << 10},
    {"g", INT64_C(1000000000)},
    {"m", INT64_C(1000000)},
    {"k", INT64_C(1000)},
    {"b", 1},
    {"", 1},
};
enum { WRITTEN_UNITS = 3 };

bool
amount_parse_bytes(struct slice text, int64_t *out)
{
	size_t i, at = 0;
	int64_t number = 0;
	struct slice unit;

	for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, text.ptr[at] - '0', &number))
			number = INT64_MAX;
	if (at == 0)
		return false;
	unit = (struct slice){text.ptr + at, text.len - at};
	for (i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (!slice_is_nocase(unit, units[i].name))
			continue;
		if (__builtin_mul_overflow(number, units[i].bytes, out))
			*out = INT64_MAX;
		return true;
	}
	return false;
}

void
amount_write_bytes(int64_t bytes, struct buffer *out)
{
	size_t i;

	for (i = 0; i < WRITTEN_UNITS; i++) {
		if (bytes != 0 && bytes % units[i].bytes == 0) {
			buffer_appendf(
			    out, "%lld%s", (long long)(bytes / units[i].bytes), units[i].name);
			return;
		}
	}
	buffer_appendf(out, "%lld", (long long)bytes);
}

#include "config.h"

#include "app/buffer_limits.h"

#include <stdint.h>
#include <string.h>

#include "base/amount.h"

static const char *const class_names[SERVER_CLASSES] = {
    [SERVER_CLASS_NORMAL] = "normal",
    [SERVER_CLASS_REPLICA] = "replica",
    [SERVER_CLASS_PUBSUB] = "pubsub",
};

static bool
parse_class(struct slice text, enum server_class *out)
{
	int i;

	for (i = 0; i < SERVER_CLASSES; i++) {
		if (slice_is_nocase(text, class_names[i])) {
			*out = (enum server_class)i;
			return true;
		}
	}
	*out = SERVER_CLASS_REPLICA;
	return slice_is_nocase(text, "slave");
}

static bool
parse_limit(const struct slice *values, struct server_buffer_limit *out)
{
	int64_t hard, soft, seconds;

	if (!amount_parse_bytes(values[0], &hard) || !amount_parse_bytes(values[1], &soft) ||
	    !slice_to_i64(values[2], &seconds) || seconds < 0 || seconds > UINT32_MAX)
		return false;
	*out = (struct server_buffer_limit){(size_t)hard, (size_t)soft, (uint32_t)seconds};
	return true;
}

enum setting_fault
buffer_limits_parse(struct server_buffer_limit *limits, const struct slice *values, size_t count)
{
	struct server_buffer_limit parsed[SERVER_CLASSES];
	enum server_class class;
	size_t i;

	if (count == 0 || count % 4 != 0)
		return SETTING_BAD_LIMIT_COUNT;
	memcpy(parsed, limits, sizeof(parsed));
	for (i = 0; i < count; i += 4) {
		if (!parse_class(values[i], &class))
			return SETTING_BAD_LIMIT_CLASS;
		if (!parse_limit(values + i + 1, &parsed[class]))
			return SETTING_BAD_LIMIT_VALUE;
	}
	memcpy(limits, parsed, sizeof(parsed));
	return SETTING_OK;
}

void
buffer_limits_show(const struct server_buffer_limit *limits, struct buffer *out)
{
	int i;

	for (i = 0; i < SERVER_CLASSES; i++)
		buffer_appendf(out, "%s%s %zu %zu %u", i > 0 ? " " : "",
		    i == SERVER_CLASS_REPLICA ? "slave" : class_names[i], limits[i].hard_bytes,
		    limits[i].soft_bytes, (unsigned int)limits[i].soft_s);
}

void
buffer_limits_write(const struct server_buffer_limit *limits, struct buffer *out)
{
	int i;

	for (i = 0; i < SERVER_CLASSES; i++) {
		buffer_appendf(out, "%s%s ", i > 0 ? " " : "", class_names[i]);
		amount_write_bytes((int64_t)limits[i].hard_bytes, out);
		buffer_append_str(out, " ");
		amount_write_bytes((int64_t)limits[i].soft_bytes, out);
		buffer_appendf(out, " %u", (unsigned int)limits[i].soft_s);
	}
}

bool
buffer_limits_equal(const struct server_buffer_limit *a, const struct server_buffer_limit *b)
{
	int i;

	for (i = 0; i < SERVER_CLASSES; i++)
		if (a[i].hard_bytes != b[i].hard_bytes || a[i].soft_bytes != b[i].soft_bytes ||
		    a[i].soft_s != b[i].soft_s)
			return false;
	return true;
}

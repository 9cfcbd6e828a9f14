#include "config.h"

#include "acl/limits.h"

#include <inttypes.h>
#include <string.h>

#include "base/pace.h"
#include "pubsub/outbox.h"

#define PREFIX "limit:"
#define BYTES_MAX (UINT64_C(1) << 40)

static const struct {
	const char *name;
	size_t offset;
	bool is_wide; /* 64 bits */
} rows[] = {
    {"connections", offsetof(struct acl_limits, connections), false},
    {"subscriptions", offsetof(struct acl_limits, subscriptions), false},
    {"publish-messages", offsetof(struct acl_limits, publish_messages), false},
    {"publish-bytes", offsetof(struct acl_limits, publish_bytes), true},
    {"outbox-bytes", offsetof(struct acl_limits, outbox_bytes), true},
};

#define ROWS (sizeof(rows) / sizeof(*rows))

bool
acl_is_limit(struct slice rule)
{
	size_t len = strlen(PREFIX);

	return rule.len >= len && slice_is_nocase((struct slice){rule.ptr, len}, PREFIX);
}

static uint64_t
load(const struct acl_limits *limits, size_t row)
{
	const char *at = (const char *)limits + rows[row].offset;
	uint32_t narrow;
	uint64_t wide;

	if (rows[row].is_wide) {
		memcpy(&wide, at, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, at, sizeof(narrow));
	return narrow;
}

static void
store(struct acl_limits *limits, size_t row, uint64_t value)
{
	char *at = (char *)limits + rows[row].offset;
	uint32_t narrow = (uint32_t)value;

	if (rows[row].is_wide)
		memcpy(at, &value, sizeof(value));
	else
		memcpy(at, &narrow, sizeof(narrow));
}

static void
note_any(struct acl_limits *limits)
{
	limits->any = limits->policies != 0;
	for (size_t i = 0; i < ROWS; i++)
		limits->any = limits->any || load(limits, i) != 0;
}

/* Names separated by commas; no name means all. */
static bool
parse_policies(struct slice value, uint32_t *policies)
{
	*policies = 0;
	while (value.len > 0) {
		const char *comma = memchr(value.ptr, ',', value.len);
		size_t len = comma != NULL ? (size_t)(comma - value.ptr) : value.len;
		enum outbox_policy policy;

		if (!outbox_policy_parse((struct slice){value.ptr, len}, &policy))
			return false;
		*policies |= UINT32_C(1) << policy;
		len += comma != NULL;
		value = (struct slice){value.ptr + len, value.len - len};
	}
	return true;
}

bool
acl_limits_apply(struct acl_limits *limits, struct slice rule)
{
	struct slice name = {rule.ptr + strlen(PREFIX), rule.len - strlen(PREFIX)}, text;
	const char *equals = memchr(name.ptr, '=', name.len);
	uint32_t policies;
	uint64_t value;

	if (equals == NULL)
		return false;
	text = (struct slice){equals + 1, name.len - (size_t)(equals + 1 - name.ptr)};
	name.len = (size_t)(equals - name.ptr);
	if (slice_is_nocase(name, "policies")) {
		if (!parse_policies(text, &policies))
			return false;
		limits->policies = policies;
		note_any(limits);
		return true;
	}
	for (size_t i = 0; i < ROWS; i++) {
		if (!slice_is_nocase(name, rows[i].name))
			continue;
		if (!slice_to_u64(text, &value) ||
		    value > (rows[i].is_wide ? BYTES_MAX : UINT32_MAX))
			return false;
		store(limits, i, value);
		note_any(limits);
		return true;
	}
	return false;
}

void
acl_limits_describe(const struct acl_limits *limits, struct buffer *out)
{
	const char *before = " " PREFIX "policies=";

	for (size_t i = 0; i < ROWS; i++)
		if (load(limits, i) != 0)
			buffer_appendf(
			    out, " " PREFIX "%s=%" PRIu64, rows[i].name, load(limits, i));
	for (uint32_t policy = 0; limits->policies >> policy != 0; policy++) {
		if ((limits->policies >> policy & 1) == 0)
			continue;
		buffer_appendf(out, "%s%s", before, outbox_policy_name((enum outbox_policy)policy));
		before = ",";
	}
}

bool
acl_limits_same_rate(const struct acl_limits *a, const struct acl_limits *b)
{
	return a->publish_messages == b->publish_messages && a->publish_bytes == b->publish_bytes;
}

bool
acl_rate_allows(const struct acl_rate *rate, const struct acl_limits *limits, uint64_t now_us)
{
	return pace_is_open(rate->messages_until_us, limits->publish_messages, now_us) &&
	       pace_is_open(rate->bytes_until_us, limits->publish_bytes, now_us);
}

void
acl_rate_count(struct acl_rate *rate, const struct acl_limits *limits, size_t len, uint64_t now_us)
{
	pace_count(&rate->messages_until_us, limits->publish_messages, 1, now_us);
	pace_count(&rate->bytes_until_us, limits->publish_bytes, len, now_us);
}

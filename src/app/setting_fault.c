#include "config.h"

#include "app/setting_fault.h"

#include <assert.h>

#include "app/setting_channels.h"
#include "app/setting_upstream.h"
#include "app/setting_users.h"
#include "app/setting_value.h"
#include "base/amount.h"
#include "server/notify.h"

/* Writes a limit of the range in the notation of a file. */
static void
write_bound(const struct setting *row, int64_t bound, struct buffer *out)
{
	if (row->type == SETTING_BYTES)
		amount_write_bytes(bound, out);
	else if (row->type == SETTING_OCTAL)
		buffer_appendf(out, "%llo", (unsigned long long)bound);
	else
		buffer_appendf(out, "%lld", (long long)bound);
}

static void
describe_percentile(const struct setting *row, enum setting_fault fault, struct buffer *out)
{
	if (fault == SETTING_BAD_PERCENTILE)
		buffer_appendf(out, "Invalid %s parameters", row->name);
	else
		buffer_appendf(out, "%s parameters should sit between [0.0,100.0]", row->name);
}

static void
describe_limits(enum setting_fault fault, struct buffer *out)
{
	if (fault == SETTING_BAD_LIMIT_COUNT)
		buffer_append_str(out, "Wrong number of arguments in buffer limit configuration.");
	else if (fault == SETTING_BAD_LIMIT_CLASS)
		buffer_append_str(
		    out, "Invalid client class specified in buffer limit configuration.");
	else
		buffer_append_str(out,
		    "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
}

void
setting_describe_fault(const struct setting *row, enum setting_fault fault, struct buffer *out)
{
	switch (fault) {
	case SETTING_OK:
		assert(fault != SETTING_OK);
		break;
	case SETTING_BAD_COUNT:
		buffer_append_str(out, "wrong number of arguments");
		break;
	case SETTING_BAD_BOOL:
		buffer_append_str(out, "argument must be 'yes' or 'no'");
		break;
	case SETTING_BAD_CHOICE:
		buffer_append_str(out, "argument(s) must be one of the following: ");
		value_write_choices(row->choices, out);
		break;
	case SETTING_BAD_NUMBER:
		buffer_append_str(out, "argument couldn't be parsed into an integer");
		break;
	case SETTING_BAD_BYTES:
		buffer_append_str(out, "argument must be a memory value");
		break;
	case SETTING_BAD_OCTAL:
		buffer_append_str(out, "argument couldn't be parsed as an octal number");
		break;
	case SETTING_BAD_RANGE:
		buffer_appendf(out,
		    row->type == SETTING_OCTAL ? "argument must be between %llo and %llo inclusive"
					       : "argument must be between %lld and %lld inclusive",
		    (long long)row->min, (long long)row->max);
		break;
	case SETTING_BAD_LENGTH:
		buffer_appendf(out, "argument must be %lld to %lld bytes long", (long long)row->min,
		    (long long)row->max);
		break;
	case SETTING_BAD_TEXT:
		buffer_append_str(out, "argument must not hold a NUL byte");
		break;
	case SETTING_BAD_NETWORK:
		buffer_append_str(
		    out, "argument must be IPv4 or IPv6 addresses, with or without /BITS");
		break;
	case SETTING_BAD_ORIGIN:
		buffer_append_str(out,
		    "argument must be * or origins as a browser sends them: scheme://host[:port] "
		    "in lower case, without a path");
		break;
	case SETTING_BAD_LIMIT_COUNT:
	case SETTING_BAD_LIMIT_CLASS:
	case SETTING_BAD_LIMIT_VALUE:
		describe_limits(fault, out);
		break;
	case SETTING_BAD_SAVE_RULES:
		buffer_append_str(out, "Invalid save parameters");
		break;
	case SETTING_BAD_PERCENTILE:
	case SETTING_BAD_PERCENTILE_RANGE:
		describe_percentile(row, fault, out);
		break;
	case SETTING_BAD_EVENTS:
		buffer_append_str(out, "Invalid event class character. Use '" NOTIFY_LETTERS "'.");
		break;
	case SETTING_BAD_USER:
	case SETTING_DUPLICATE_USER:
	case SETTING_TOO_MANY_USERS:
		buffer_append_str(out, "argument must be a user's name and rules");
		break;
	case SETTING_BAD_CHANNEL:
	case SETTING_DUPLICATE_CHANNEL:
	case SETTING_TOO_MANY_CHANNELS:
		buffer_append_str(out, "argument must be a glob and options of channels");
		break;
	case SETTING_BAD_URL:
		buffer_append_str(out, "argument must be " SETTING_UPSTREAM_SYNTAX);
		break;
	case SETTING_NOT_HERE:
		buffer_append_str(out, row->text);
		break;
	}
}

static const char *
unit_of(const struct setting *row)
{
	switch (row->type) {
	case SETTING_SECONDS:
		return " seconds";
	case SETTING_MILLISECONDS:
		return " milliseconds";
	case SETTING_MICROSECONDS:
		return " microseconds";
	case SETTING_BYTES:
		return " (bytes, with kb, mb or gb)";
	case SETTING_OCTAL:
		return " (octal)";
	default:
		return "";
	}
}

/* The allowed values: "0 to 65535", "yes or no". */
static void
write_allowed(const struct setting *row, struct buffer *out)
{
	switch (row->type) {
	case SETTING_BOOL:
		buffer_append_str(out, "yes or no");
		break;
	case SETTING_ENUM:
		buffer_append_str(out, "one of ");
		value_write_choices(row->choices, out);
		break;
	case SETTING_FLAGS:
		buffer_append_str(out, "any of ");
		value_write_choices(row->choices, out);
		break;
	case SETTING_STRING:
	case SETTING_SECRET:
		buffer_appendf(out, "%lld to %lld bytes, none of them NUL", (long long)row->min,
		    (long long)row->max);
		break;
	case SETTING_LIST:
		buffer_appendf(out, "at most %lld words, none of them empty", (long long)row->max);
		break;
	case SETTING_ORIGINS:
		buffer_appendf(out,
		    "*, or at most %lld origins as a browser sends them: scheme://host[:port] in "
		    "lower case, without a path",
		    (long long)row->max);
		break;
	case SETTING_NETWORKS:
		buffer_appendf(out, "at most %lld IPv4 or IPv6 addresses, with or without /BITS",
		    (long long)row->max);
		break;
	case SETTING_SAVE_RULES:
		buffer_append_str(out, "pairs of seconds and changes");
		break;
	case SETTING_PERCENTILES:
		buffer_appendf(out, "at most %lld numbers from 0 to 100", (long long)row->max);
		break;
	case SETTING_BUFFER_LIMITS:
		buffer_append_str(out,
		    "groups of four: normal, replica or pubsub, hard bytes, soft bytes, seconds");
		break;
	case SETTING_EVENTS:
		buffer_append_str(out, "letters of " NOTIFY_LETTERS);
		break;
	case SETTING_UPSTREAM:
		buffer_appendf(
		    out, SETTING_UPSTREAM_SYNTAX ", at most %lld bytes", (long long)row->max);
		break;
	default:
		write_bound(row, row->min, out);
		buffer_append_str(out, " to ");
		write_bound(row, row->max, out);
		buffer_append_str(out, unit_of(row));
	}
}

/* The values as they were given, shortened; a password, and a URL with one, is not shown. */
static void
write_given(const struct setting *row, const struct slice *values, size_t count, struct buffer *out)
{
	enum { MAX_BYTES = 64, MAX_WORDS = 12 };
	size_t i;

	if (setting_is_secret(row)) {
		buffer_append_str(out, "this");
		return;
	}
	buffer_append_str(out, "'");
	for (i = 0; i < count && i < MAX_WORDS; i++) {
		struct slice value = values[i];

		if (value.len > MAX_BYTES)
			value.len = MAX_BYTES;
		if (i > 0)
			buffer_append_str(out, " ");
		buffer_append_escaped(out, value);
		if (value.len < values[i].len)
			buffer_append_str(out, "...");
	}
	buffer_append_str(out, i < count ? " ...'" : "'");
}

static void
explain_channel(
    enum setting_fault fault, const struct slice *words, size_t count, struct buffer *out)
{
	struct channel_error error = {.fault = CHANNEL_TOO_MANY_LINES};

	if (fault == SETTING_BAD_CHANNEL) {
		setting_channels_explain_words(words, count, out);
		return;
	}
	if (fault == SETTING_DUPLICATE_CHANNEL)
		error = (struct channel_error){.fault = CHANNEL_REPEATED_GLOB, .word = words[0]};
	channel_error_write(&error, out);
}

static bool
has_comment(const struct slice *values, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (values[i].len > 0 && values[i].ptr[0] == '#')
			return true;
	return false;
}

void
setting_explain_fault(const struct setting *row, enum setting_fault fault,
    const struct slice *values, size_t count, struct buffer *out)
{
	if (row->type == SETTING_USERS) {
		setting_users_explain(fault, values, count, out);
		return;
	}
	if (row->type == SETTING_CHANNELS) {
		explain_channel(fault, values, count, out);
		return;
	}
	if (fault == SETTING_NOT_HERE) {
		buffer_appendf(out, "%s ", row->name);
		write_given(row, values, count, out);
		buffer_appendf(out, " is refused: %s", row->text);
		return;
	}
	if (fault == SETTING_BAD_COUNT && row->type != SETTING_LIST &&
	    row->type != SETTING_ORIGINS && row->type != SETTING_NETWORKS &&
	    row->type != SETTING_SAVE_RULES && row->type != SETTING_PERCENTILES) {
		buffer_appendf(out, "%s takes one value, not %zu", row->name, count);
	} else {
		write_given(row, values, count, out);
		buffer_appendf(out, " is no value for %s", row->name);
	}
	buffer_append_str(out, ": ");
	if (fault == SETTING_BAD_URL)
		buffer_appendf(out, "%s; ", setting_upstream_fault(values[0]));
	buffer_append_str(out, "allowed is ");
	write_allowed(row, out);
	if (has_comment(values, count))
		buffer_append_str(out, " (a comment has a line of its own)");
}

#include "config.h"

#include "pubsub/channel_options.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/amount.h"

#define KB UINT64_C(1024)
#define MB (KB * 1024)
#define GB (MB * 1024)
#define I32_MAX INT32_MAX
#define U32_MAX UINT32_MAX

static const struct channel_option table[CHANNEL_OPTIONS] = {
#define CHANNEL_OPTION(member, name, type, least, most, initial, choices, text)                    \
	{name, choices, text, offsetof(struct channel_options, member), least, most,               \
	    CHANNEL_##type},
#include "pubsub/channel_options.def"
#undef CHANNEL_OPTION
};

static const struct channel_options defaults = {
#define CHANNEL_OPTION(member, name, type, least, most, initial, choices, text) .member = (initial),
#include "pubsub/channel_options.def"
#undef CHANNEL_OPTION
};

const struct channel_option *
channel_option_at(size_t index)
{
	assert(index < CHANNEL_OPTIONS);
	return &table[index];
}

size_t
channel_option_find(struct slice name)
{
	size_t i;

	for (i = 0; i < CHANNEL_OPTIONS; i++)
		if (slice_is_nocase(name, table[i].name))
			break;
	return i;
}

const struct channel_options *
channel_options_default(void)
{
	return &defaults;
}

static uint64_t *
number_of(struct channel_options *options, const struct channel_option *row)
{
	assert(row->type != CHANNEL_USERS);
	return (uint64_t *)(void *)((char *)options + row->offset);
}

static uint64_t
number_in(const struct channel_options *options, const struct channel_option *row)
{
	assert(row->type != CHANNEL_USERS);
	return *(const uint64_t *)(const void *)((const char *)options + row->offset);
}

static char **
text_of(struct channel_options *options, const struct channel_option *row)
{
	assert(row->type == CHANNEL_USERS);
	return (char **)(void *)((char *)options + row->offset);
}

static const char *
text_in(const struct channel_options *options, const struct channel_option *row)
{
	assert(row->type == CHANNEL_USERS);
	return *(char *const *)(const void *)((const char *)options + row->offset);
}

/* Takes the next word of text, up to the separator or the end, and removes it from text. */
static struct slice
take_word(struct slice *text, char separator)
{
	const char *end = text->len > 0 ? memchr(text->ptr, separator, text->len) : NULL;
	struct slice word = {text->ptr, end != NULL ? (size_t)(end - text->ptr) : text->len};
	size_t taken = word.len + (end != NULL);

	text->ptr += taken;
	text->len -= taken;
	return word;
}

/* The index of word among the choices. False if it is none of them. */
static bool
find_choice(const char *choices, struct slice word, uint64_t *index)
{
	struct slice rest = slice_of(choices);

	for (*index = 0; rest.len > 0; ++*index) {
		struct slice choice = take_word(&rest, ' ');

		if (choice.len == word.len && strncasecmp(choice.ptr, word.ptr, word.len) == 0)
			return true;
	}
	return false;
}

static bool
parse_flags(const char *choices, struct slice text, uint64_t *flags)
{
	bool more;

	*flags = 0;
	if (slice_is_nocase(text, "none"))
		return true;
	do {
		struct slice word = take_word(&text, ',');
		uint64_t bit;

		more = word.ptr + word.len != text.ptr;
		if (!find_choice(choices, word, &bit))
			return false;
		*flags |= UINT64_C(1) << bit;
	} while (more);
	return true;
}

static bool
parse_number(const struct channel_option *row, struct slice text, uint64_t *number)
{
	int64_t bytes;
	bool yes;

	switch (row->type) {
	case CHANNEL_NUMBER:
	case CHANNEL_SECONDS:
		return slice_to_u64(text, number);
	case CHANNEL_BYTES:
		if (!amount_parse_bytes(text, &bytes))
			return false;
		*number = (uint64_t)bytes;
		return true;
	case CHANNEL_BOOL:
		if (!amount_parse_bool(text, &yes))
			return false;
		*number = yes;
		return true;
	case CHANNEL_CHOICE:
		return find_choice(row->choices, text, number);
	case CHANNEL_FLAGS:
		return parse_flags(row->choices, text, number);
	case CHANNEL_USERS:
		break;
	}
	return false;
}

/* A list of names, none of them empty, without blanks and control bytes, so that it is one
 * word of a configuration file. */
static bool
is_user_list(const struct channel_option *row, struct slice text)
{
	size_t name_len = 0;

	if (text.len < row->least || text.len > row->most)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c <= ' ' || c == 0x7f)
			return false;
		if (c == ',' && name_len == 0)
			return false;
		name_len = c == ',' ? 0 : name_len + 1;
	}
	return name_len > 0;
}

static bool
parse_users(struct channel_options *options, const struct channel_option *row, struct slice text)
{
	char *copy = NULL;

	if (!is_user_list(row, text))
		return false;
	if (!slice_is_nocase(text, "all")) {
		copy = xmalloc(text.len + 1);
		memcpy(copy, text.ptr, text.len);
		copy[text.len] = '\0';
	}
	xfree(*text_of(options, row));
	*text_of(options, row) = copy;
	return true;
}

bool
channel_option_parse(struct channel_options *options, size_t index, struct slice value)
{
	const struct channel_option *row = channel_option_at(index);
	uint64_t number;

	if (row->type == CHANNEL_USERS)
		return parse_users(options, row, value);
	if (!parse_number(row, value, &number) || number < row->least || number > row->most)
		return false;
	*number_of(options, row) = number;
	return true;
}

/* Appends the choices whose bits are set in `which`. */
static void
write_choices(const char *choices, uint64_t which, const char *separator, struct buffer *out)
{
	struct slice rest = slice_of(choices);
	bool first = true;

	for (unsigned i = 0; rest.len > 0; i++) {
		struct slice choice = take_word(&rest, ' ');

		if ((which >> i & 1) == 0)
			continue;
		if (!first)
			buffer_append_str(out, separator);
		first = false;
		buffer_append_slice(out, choice);
	}
}

void
channel_option_write(const struct channel_options *options, size_t index, struct buffer *out)
{
	const struct channel_option *row = channel_option_at(index);
	uint64_t number = row->type != CHANNEL_USERS ? number_in(options, row) : 0;
	const char *text;

	switch (row->type) {
	case CHANNEL_NUMBER:
	case CHANNEL_SECONDS:
		buffer_appendf(out, "%" PRIu64, number);
		break;
	case CHANNEL_BYTES:
		amount_write_bytes((int64_t)number, out);
		break;
	case CHANNEL_BOOL:
		buffer_append_str(out, number != 0 ? "yes" : "no");
		break;
	case CHANNEL_CHOICE:
		write_choices(row->choices, UINT64_C(1) << number, "", out);
		break;
	case CHANNEL_FLAGS:
		if (number == 0)
			buffer_append_str(out, "none");
		else
			write_choices(row->choices, number, ",", out);
		break;
	case CHANNEL_USERS:
		text = text_in(options, row);
		buffer_append_str(out, text != NULL ? text : "all");
		break;
	}
}

void
channel_option_write_allowed(size_t index, struct buffer *out)
{
	const struct channel_option *row = channel_option_at(index);

	switch (row->type) {
	case CHANNEL_NUMBER:
	case CHANNEL_SECONDS:
		buffer_appendf(out, "a number%s from %" PRIu64 " to %" PRIu64,
		    row->type == CHANNEL_SECONDS ? " of seconds" : "", row->least, row->most);
		break;
	case CHANNEL_BYTES:
		buffer_append_str(out, "a size from ");
		amount_write_bytes((int64_t)row->least, out);
		buffer_append_str(out, " to ");
		amount_write_bytes((int64_t)row->most, out);
		break;
	case CHANNEL_BOOL:
		buffer_append_str(out, "yes or no");
		break;
	case CHANNEL_CHOICE:
		buffer_append_str(out, "one of ");
		write_choices(row->choices, UINT64_MAX, ", ", out);
		break;
	case CHANNEL_FLAGS:
		buffer_append_str(out, "none, or a list separated by commas of ");
		write_choices(row->choices, UINT64_MAX, ", ", out);
		break;
	case CHANNEL_USERS:
		buffer_appendf(out,
		    "all, or names of users separated by commas, without blanks, of %" PRIu64
		    " bytes at most in all",
		    row->most);
		break;
	}
}

void
channel_option_borrow(struct channel_options *to, const struct channel_options *from, size_t index)
{
	const struct channel_option *row = channel_option_at(index);

	if (row->type == CHANNEL_USERS)
		memcpy(text_of(to, row), (const char *)from + row->offset, sizeof(char *));
	else
		*number_of(to, row) = number_in(from, row);
}

void
channel_option_copy(struct channel_options *to, const struct channel_options *from, size_t index)
{
	const struct channel_option *row = channel_option_at(index);

	if (row->type == CHANNEL_USERS) {
		const char *text = text_in(from, row);

		xfree(*text_of(to, row));
		*text_of(to, row) = text != NULL ? xstrdup(text) : NULL;
	} else {
		*number_of(to, row) = number_in(from, row);
	}
}

bool
channel_option_equal(const struct channel_options *a, const struct channel_options *b, size_t index)
{
	const struct channel_option *row = channel_option_at(index);
	const char *x, *y;

	if (row->type != CHANNEL_USERS)
		return number_in(a, row) == number_in(b, row);
	x = text_in(a, row);
	y = text_in(b, row);
	return x == y || (x != NULL && y != NULL && strcmp(x, y) == 0);
}

void
channel_options_init(struct channel_options *options)
{
	*options = defaults;
}

void
channel_options_copy(struct channel_options *to, const struct channel_options *from)
{
	channel_options_init(to);
	for (size_t i = 0; i < CHANNEL_OPTIONS; i++)
		channel_option_copy(to, from, i);
}

void
channel_options_release(struct channel_options *options)
{
	for (size_t i = 0; i < CHANNEL_OPTIONS; i++)
		if (table[i].type == CHANNEL_USERS)
			xfree(*text_of(options, &table[i]));
	channel_options_init(options);
}

bool
channel_options_equal(const struct channel_options *a, const struct channel_options *b)
{
	for (size_t i = 0; i < CHANNEL_OPTIONS; i++)
		if (!channel_option_equal(a, b, i))
			return false;
	return true;
}

uint64_t
channel_options_hash(const struct channel_options *options)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < CHANNEL_OPTIONS; i++) {
		const struct channel_option *row = &table[i];
		uint64_t value = row->type != CHANNEL_USERS ? number_in(options, row) : 0;
		const char *text = row->type == CHANNEL_USERS ? text_in(options, row) : NULL;

		for (; text != NULL && *text != '\0'; text++)
			value = (value ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
		hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	return hash;
}

bool
channel_options_allow_user(const struct channel_options *options, struct slice user)
{
	struct slice rest;

	if (options->publish_users == NULL)
		return true;
	rest = slice_of(options->publish_users);
	while (rest.len > 0)
		if (slice_eq(take_word(&rest, ','), user))
			return true;
	return false;
}

#include "config.h"

#include "app/settings.h"

#include <assert.h>
#include <string.h>

#include "app/buffer_limits.h"
#include "app/config_file.h"
#include "app/setting_channels.h"
#include "app/setting_member.h"
#include "app/setting_upstream.h"
#include "app/setting_users.h"
#include "app/setting_value.h"
#include "base/alloc.h"
#include "base/amount.h"
#include "base/float_text.h"
#include "net/address.h"
#include "server/notify.h"

#define KB(n) ((int64_t)(n) << 10)
#define MB(n) ((int64_t)(n) << 20)
#define GB(n) ((int64_t)(n) << 30)
#define I32_MAX INT32_MAX
#define U32_MAX UINT32_MAX
#define I64_MAX INT64_MAX

_Static_assert(sizeof(size_t) == sizeof(int64_t), "amounts of memory need 64 bits");

/* The part of a union foreign_value that a type uses. */
enum {
	SIZE_OF_BOOL = sizeof(int64_t),
	SIZE_OF_ENUM = sizeof(int64_t),
	SIZE_OF_NUMBER = sizeof(int64_t),
	SIZE_OF_BYTES = sizeof(int64_t),
	SIZE_OF_STRING = sizeof(char *),
	SIZE_OF_SECRET = sizeof(char *),
	SIZE_OF_LIST = sizeof(struct setting_list),
};

/* Foreign directives are counted: their values are in the order of their rows. */
enum { FIRST_FOREIGN = __COUNTER__ + 1 };

static const struct setting rows[] = {
#define GROUP(title)
#define SETTING(label, kind, member, value, low, high, names, when, text)                          \
	{.name = (label),                                                                          \
	    .initial = (value),                                                                    \
	    .choices = (names),                                                                    \
	    .offset = offsetof(struct settings, member),                                           \
	    .size = sizeof(((struct settings *)NULL)->member),                                     \
	    .min = (low),                                                                          \
	    .max = (high),                                                                         \
	    .type = SETTING_##kind,                                                                \
	    .change = SETTING_##when},
#include "app/settings.def"
#undef SETTING
#undef GROUP
#define FOREIGN(label, kind, value, low, high, names, when, status, allowed, why)                  \
	{.name = (label),                                                                          \
	    .initial = (value),                                                                    \
	    .choices = (names),                                                                    \
	    .accepted = (allowed),                                                                 \
	    .text = (why),                                                                         \
	    .offset = offsetof(struct settings, foreign) +                                         \
		      (__COUNTER__ - FIRST_FOREIGN) * sizeof(union foreign_value),                 \
	    .size = SIZE_OF_##kind,                                                                \
	    .min = (low),                                                                          \
	    .max = (high),                                                                         \
	    .type = SETTING_##kind,                                                                \
	    .change = SETTING_##when,                                                              \
	    .class = SETTING_##status},
#define IGNORED(label, kind, value, low, high, names, when)                                        \
	FOREIGN(label, kind, value, low, high, names, when, IGNORED, NULL, NULL)
#define LIMITED(label, kind, value, low, high, names, when, allowed, why)                          \
	FOREIGN(label, kind, value, low, high, names, when, LIMITED, allowed, why)
#define REFUSED(label, why) FOREIGN(label, STRING, "", 0, 0, NULL, FIXED, REFUSED, NULL, why)
#define ALIAS(label, today)
#include "app/foreign_directives.def"
#undef ALIAS
#undef REFUSED
#undef LIMITED
#undef IGNORED
#undef FOREIGN
};

enum { ROW_COUNT = sizeof(rows) / sizeof(*rows) };

static const struct {
	const char *name;
	const char *today;
} aliases[] = {
#define IGNORED(label, kind, value, low, high, names, when)
#define LIMITED(label, kind, value, low, high, names, when, allowed, why)
#define REFUSED(label, why)
#define ALIAS(label, today) {label, today},
#include "app/foreign_directives.def"
#undef ALIAS
#undef REFUSED
#undef LIMITED
#undef IGNORED
};

enum { ALIAS_COUNT = sizeof(aliases) / sizeof(*aliases) };

size_t
settings_count(void)
{
	return ROW_COUNT;
}

const struct setting *
settings_row(size_t index)
{
	assert(index < ROW_COUNT);
	return &rows[index];
}

static const struct setting *
find_row(struct slice name)
{
	static size_t last; /* a file may have ten thousand lines of the same setting */

	if (slice_is_nocase(name, rows[last].name))
		return &rows[last];
	for (size_t i = 0; i < ROW_COUNT; i++) {
		if (slice_is_nocase(name, rows[i].name)) {
			last = i;
			return &rows[i];
		}
	}
	return NULL;
}

static const char *
find_alias(struct slice name, const char **today)
{
	for (size_t i = 0; i < ALIAS_COUNT; i++) {
		if (slice_is_nocase(name, aliases[i].name)) {
			*today = aliases[i].today;
			return aliases[i].name;
		}
	}
	return NULL;
}

const struct setting *
settings_find(struct slice name)
{
	const struct setting *row = find_row(name);
	const char *today;

	if (row == NULL && find_alias(name, &today) != NULL)
		row = find_row(slice_of(today));
	return row;
}

const char *
settings_spell(struct slice name)
{
	const struct setting *row = find_row(name);
	const char *alias, *today;

	if (row != NULL)
		return row->name;
	alias = find_alias(name, &today);
	assert(alias != NULL);
	return alias;
}

size_t
settings_alias_count(void)
{
	return ALIAS_COUNT;
}

const char *
settings_alias(size_t index, const struct setting **row)
{
	assert(index < ALIAS_COUNT);
	*row = find_row(slice_of(aliases[index].today));
	return aliases[index].name;
}

static void
release_list(struct setting_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		xfree(list->items[i]);
	xfree(list->items);
	*list = (struct setting_list){NULL, 0};
}

static char *
string_of(struct slice s)
{
	char *str = xmalloc(s.len + 1);

	if (s.len > 0)
		memcpy(str, s.ptr, s.len);
	str[s.len] = '\0';
	return str;
}

/* The text that is kept for a value. */
static char *
list_item(const struct setting *row, struct slice value)
{
	char text[FLOAT_TEXT_PERCENT_MAX];
	long double percent;

	if (row->type != SETTING_PERCENTILES || !float_text_parse(value, &percent))
		return string_of(value);
	(void)float_text_put_percent(text, (double)percent);
	return xstrdup(text);
}

static enum setting_fault
set_list(struct settings *s, const struct setting *row, const struct slice *values, size_t count)
{
	struct setting_list list = {NULL, 0};
	struct address_network network;
	long double percent;
	size_t i;

	if (count > (size_t)row->max)
		return SETTING_BAD_COUNT;
	for (i = 0; i < count; i++) {
		if (values[i].len == 0)
			return SETTING_BAD_LENGTH;
		if (memchr(values[i].ptr, '\0', values[i].len) != NULL)
			return SETTING_BAD_TEXT;
		if (row->type == SETTING_NETWORKS && !address_network_parse(values[i], &network))
			return SETTING_BAD_NETWORK;
		if (row->type == SETTING_ORIGINS && !value_is_origin(values[i]))
			return SETTING_BAD_ORIGIN;
		if (row->type == SETTING_PERCENTILES && !float_text_parse(values[i], &percent))
			return SETTING_BAD_PERCENTILE;
		if (row->type == SETTING_PERCENTILES && (percent < 0 || percent > 100))
			return SETTING_BAD_PERCENTILE_RANGE;
	}
	if (row->type == SETTING_SAVE_RULES && !value_are_save_rules(values, count))
		return SETTING_BAD_SAVE_RULES;
	list.items = xcalloc(count + 1, sizeof(*list.items));
	for (i = 0; i < count; i++)
		list.items[list.count++] = list_item(row, values[i]);
	release_list(setting_member(s, row));
	memcpy(setting_member(s, row), &list, sizeof(list));
	return SETTING_OK;
}

static enum setting_fault
set_string(struct settings *s, const struct setting *row, struct slice value)
{
	if (value.len < (size_t)row->min || value.len > (size_t)row->max)
		return SETTING_BAD_LENGTH;
	if (value.len > 0 && memchr(value.ptr, '\0', value.len) != NULL)
		return SETTING_BAD_TEXT;
	if (row->type == SETTING_UPSTREAM && !setting_upstream_is_valid(value))
		return SETTING_BAD_URL;
	setting_store_string(s, row, string_of(value));
	return SETTING_OK;
}

static enum setting_fault
parse_number(const struct setting *row, struct slice value, int64_t *number)
{
	uint32_t choice = 0;
	bool truth = false;

	switch (row->type) {
	case SETTING_BOOL:
		if (!amount_parse_bool(value, &truth))
			return SETTING_BAD_BOOL;
		*number = truth;
		return SETTING_OK;
	case SETTING_ENUM:
		if (!value_parse_choice(row->choices, value, &choice))
			return SETTING_BAD_CHOICE;
		*number = choice;
		return SETTING_OK;
	case SETTING_BYTES:
		if (!amount_parse_bytes(value, number))
			return SETTING_BAD_BYTES;
		break;
	case SETTING_OCTAL:
		if (!value_parse_octal(value, number))
			return SETTING_BAD_OCTAL;
		break;
	case SETTING_EVENTS:
		if (!notify_parse(value, &choice))
			return SETTING_BAD_EVENTS;
		*number = choice;
		return SETTING_OK;
	default:
		if (!slice_to_i64(value, number))
			return SETTING_BAD_NUMBER;
	}
	return *number < row->min || *number > row->max ? SETTING_BAD_RANGE : SETTING_OK;
}

static enum setting_fault
set_flags(struct settings *s, const struct setting *row, const struct slice *values, size_t count)
{
	uint32_t flags = 0, choice = 0;

	for (size_t i = 0; i < count; i++) {
		if (!value_parse_choice(row->choices, values[i], &choice))
			return SETTING_BAD_CHOICE;
		flags |= UINT32_C(1) << choice;
	}
	setting_store_number(s, row, flags);
	return SETTING_OK;
}

static enum setting_fault
set_words(struct settings *s, const struct setting *row, const struct slice *values, size_t count)
{
	if (setting_is_list(row))
		return set_list(s, row, values, count);
	if (row->type == SETTING_FLAGS)
		return set_flags(s, row, values, count);
	return buffer_limits_parse(setting_member(s, row), values, count);
}

/* Several values may be given as one, separated by blanks: CONFIG SET does so, and a file may. */
static enum setting_fault
set_joined(struct settings *s, const struct setting *row, struct slice value)
{
	struct config_words words = {0};
	enum setting_fault fault;

	if (config_split(value, &words))
		fault = set_words(s, row, words.words, words.count);
	else
		fault = set_words(s, row, &value, 1);
	config_words_release(&words);
	return fault;
}

static enum setting_fault
add_channel(struct settings *s, const struct slice *words, size_t count)
{
	struct channel_error error;

	if (setting_channels_add(&s->channels, words, count, &error))
		return SETTING_OK;
	return error.fault == CHANNEL_REPEATED_GLOB    ? SETTING_DUPLICATE_CHANNEL
	       : error.fault == CHANNEL_TOO_MANY_LINES ? SETTING_TOO_MANY_CHANNELS
						       : SETTING_BAD_CHANNEL;
}

static enum setting_fault
set_value(struct settings *s, const struct setting *row, const struct slice *values, size_t count)
{
	enum setting_fault fault;
	int64_t number = 0;

	if (setting_is_list(row) || row->type == SETTING_BUFFER_LIMITS ||
	    row->type == SETTING_FLAGS)
		return count == 1 ? set_joined(s, row, values[0])
				  : set_words(s, row, values, count);
	if (row->type == SETTING_USERS)
		return setting_users_add(setting_member(s, row), values, count);
	if (row->type == SETTING_CHANNELS)
		return add_channel(s, values, count);
	if (count != 1)
		return SETTING_BAD_COUNT;
	if (setting_is_string(row))
		return set_string(s, row, values[0]);
	fault = parse_number(row, values[0], &number);
	if (fault == SETTING_OK)
		setting_store_number(s, row, number);
	return fault;
}

/* True if the words, separated by blanks, have this value; the word "" is the empty value. */
static bool
has_word(const char *words, struct slice value)
{
	uint32_t index;

	return value_parse_choice(words, value.len > 0 ? value : SLICE("\"\""), &index);
}

/* An accepted value of several words has commas between them. */
static bool
is_accepted(const struct setting *row, const struct slice *values, size_t count)
{
	struct buffer joined = {0};
	bool is;

	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buffer_append_str(&joined, ",");
		buffer_append_slice(&joined, values[i]);
	}
	is = count > 0 && has_word(row->accepted, buffer_slice(&joined));
	buffer_release(&joined);
	return is;
}

/* A value that is not of the type is reported as that: "abc" is not a number. */
static enum setting_fault
check_accepted(const struct setting *row, const struct slice *values, size_t count)
{
	enum setting_fault fault = SETTING_OK;
	int64_t number;

	if (row->class == SETTING_OWN || row->class == SETTING_IGNORED)
		return SETTING_OK;
	if (row->class == SETTING_LIMITED && is_accepted(row, values, count))
		return SETTING_OK;
	if (row->type == SETTING_BOOL || row->type == SETTING_NUMBER)
		fault = count == 1 ? parse_number(row, values[0], &number) : SETTING_BAD_COUNT;
	return fault != SETTING_OK ? fault : SETTING_NOT_HERE;
}

enum setting_fault
settings_set(
    struct settings *s, const struct setting *row, const struct slice *values, size_t count)
{
	enum setting_fault fault = check_accepted(row, values, count);

	return fault != SETTING_OK ? fault : set_value(s, row, values, count);
}

/* Rules add up, "" removes all. As in Redis 7, a line without a value adds nothing. */
static enum setting_fault
add_save_rules(
    struct settings *s, const struct setting *row, const struct slice *values, size_t count)
{
	struct buffer rules = {0};
	struct slice all;
	enum setting_fault fault;

	if (count == 1 && values[0].len == 0)
		return settings_set(s, row, values, count);
	if (count == 0)
		return SETTING_OK;
	settings_show(s, row, &rules);
	for (size_t i = 0; i < count; i++) {
		buffer_append_str(&rules, " ");
		buffer_append_slice(&rules, values[i]);
	}
	all = buffer_slice(&rules);
	fault = settings_set(s, row, &all, 1);
	buffer_release(&rules);
	return fault;
}

enum setting_fault
settings_add(
    struct settings *s, const struct setting *row, const struct slice *values, size_t count)
{
	enum setting_fault fault = row->type == SETTING_SAVE_RULES
				       ? add_save_rules(s, row, values, count)
				       : settings_set(s, row, values, count);

	if (fault == SETTING_OK && row->class != SETTING_OWN)
		s->names_foreign[row - &rows[ROW_COUNT - SETTINGS_FOREIGN]] = true;
	if (fault == SETTING_OK && row->type == SETTING_SAVE_RULES)
		s->names_save = true;
	if (fault == SETTING_OK && strcmp(row->name, "bind") == 0)
		s->names_bind = true;
	return fault;
}

static void
set_initial(struct settings *s, const struct setting *row)
{
	struct slice value = slice_of(row->initial);
	enum setting_fault fault = set_value(s, row, &value, 1);

	assert(fault == SETTING_OK);
}

void
settings_init(struct settings *s)
{
	size_t i;

	memset(s, 0, sizeof(*s));
	s->channels = channel_lines_new();
	for (i = 0; i < ROW_COUNT; i++)
		set_initial(s, &rows[i]);
	settings_derive(s);
}

void
settings_copy(struct settings *to, const struct settings *from)
{
	size_t i;

	memset(to, 0, sizeof(*to));
	to->channels = channel_lines_new();
	for (i = 0; i < ROW_COUNT; i++)
		settings_assign(to, from, &rows[i]);
	settings_derive(to);
}

void
settings_release(struct settings *s)
{
	size_t i;

	for (i = 0; i < ROW_COUNT; i++) {
		if (setting_is_list(&rows[i]) || rows[i].type == SETTING_USERS)
			release_list(setting_member(s, &rows[i]));
		else if (setting_is_string(&rows[i]))
			setting_store_string(s, &rows[i], NULL);
	}
	channel_lines_free(s->channels);
	s->channels = NULL;
}

static bool
lists_equal(const struct setting_list *a, const struct setting_list *b)
{
	size_t i;

	if (a->count != b->count)
		return false;
	for (i = 0; i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

bool
settings_equal(const struct settings *a, const struct settings *b, const struct setting *row)
{
	switch (row->type) {
	case SETTING_STRING:
	case SETTING_SECRET:
	case SETTING_UPSTREAM:
		return strcmp(setting_string(a, row), setting_string(b, row)) == 0;
	case SETTING_LIST:
	case SETTING_ORIGINS:
	case SETTING_NETWORKS:
	case SETTING_SAVE_RULES:
	case SETTING_PERCENTILES:
	case SETTING_USERS:
		return lists_equal(setting_list_of(a, row), setting_list_of(b, row));
	case SETTING_CHANNELS:
		return channel_lines_equal(a->channels, b->channels);
	case SETTING_BUFFER_LIMITS:
		return buffer_limits_equal(
		    setting_const_member(a, row), setting_const_member(b, row));
	default:
		return setting_number(a, row) == setting_number(b, row);
	}
}

static void
assign_list(struct setting_list *to, const struct setting_list *from)
{
	size_t i;

	release_list(to);
	to->items = xcalloc(from->count + 1, sizeof(*to->items));
	for (i = 0; i < from->count; i++)
		to->items[to->count++] = xstrdup(from->items[i]);
}

void
settings_assign(struct settings *to, const struct settings *from, const struct setting *row)
{
	switch (row->type) {
	case SETTING_STRING:
	case SETTING_SECRET:
	case SETTING_UPSTREAM:
		setting_store_string(to, row, xstrdup(setting_string(from, row)));
		break;
	case SETTING_LIST:
	case SETTING_ORIGINS:
	case SETTING_NETWORKS:
	case SETTING_SAVE_RULES:
	case SETTING_PERCENTILES:
	case SETTING_USERS:
		assign_list(setting_member(to, row), setting_list_of(from, row));
		break;
	case SETTING_CHANNELS:
		channel_lines_free(to->channels);
		to->channels = channel_lines_copy(from->channels);
		break;
	default:
		memcpy(setting_member(to, row), setting_const_member(from, row), row->size);
	}
}

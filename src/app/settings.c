#include "config.h"

#include "app/settings.h"

#include <assert.h>
#include <string.h>

#include "app/buffer_limits.h"
#include "app/config_file.h"
#include "app/setting_channels.h"
#include "app/setting_users.h"
#include "app/setting_value.h"
#include "base/alloc.h"
#include "base/amount.h"
#include "net/address.h"
#include "server/notify.h"

#define KB(n) ((int64_t)(n) << 10)
#define MB(n) ((int64_t)(n) << 20)
#define GB(n) ((int64_t)(n) << 30)
#define I32_MAX INT32_MAX
#define U32_MAX UINT32_MAX
#define I64_MAX INT64_MAX

_Static_assert(sizeof(size_t) == sizeof(int64_t), "amounts of memory need 64 bits");

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
};

enum { ROW_COUNT = sizeof(rows) / sizeof(*rows) };

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

const struct setting *
settings_find(struct slice name)
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

static void *
member_of(struct settings *s, const struct setting *row)
{
	return (char *)s + row->offset;
}

static const void *
const_member_of(const struct settings *s, const struct setting *row)
{
	return (const char *)s + row->offset;
}

/* Members for numbers have 1, 4 or 8 bytes; a row's range fits its member. */
static void
store_number(struct settings *s, const struct setting *row, int64_t number)
{
	uint32_t narrow = (uint32_t)number;
	bool truth = number != 0;

	switch (row->size) {
	case sizeof(bool):
		memcpy(member_of(s, row), &truth, sizeof(truth));
		break;
	case sizeof(narrow):
		memcpy(member_of(s, row), &narrow, sizeof(narrow));
		break;
	default:
		assert(row->size == sizeof(number));
		memcpy(member_of(s, row), &number, sizeof(number));
	}
}

static int64_t
load_number(const struct settings *s, const struct setting *row)
{
	uint32_t narrow;
	bool truth;
	int64_t number;

	switch (row->size) {
	case sizeof(bool):
		memcpy(&truth, const_member_of(s, row), sizeof(truth));
		return truth;
	case sizeof(narrow):
		memcpy(&narrow, const_member_of(s, row), sizeof(narrow));
		return row->min < 0 ? (int32_t)narrow : (int64_t)narrow;
	default:
		assert(row->size == sizeof(number));
		memcpy(&number, const_member_of(s, row), sizeof(number));
		return number;
	}
}

/* By memcpy, because some members are pointers to const although the settings own what they point
 * to. */
static char *
load_string(const struct settings *s, const struct setting *row)
{
	char *str;

	assert(row->size == sizeof(str));
	memcpy(&str, const_member_of(s, row), sizeof(str));
	return str;
}

static void
store_string(struct settings *s, const struct setting *row, char *str)
{
	xfree(load_string(s, row));
	memcpy(member_of(s, row), &str, sizeof(str));
}

/* Its member is a struct setting_list. */
static bool
is_list(const struct setting *row)
{
	return row->type == SETTING_LIST || row->type == SETTING_ORIGINS ||
	       row->type == SETTING_NETWORKS || row->type == SETTING_SAVE_RULES;
}

static const struct setting_list *
list_of(const struct settings *s, const struct setting *row)
{
	return const_member_of(s, row);
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

	memcpy(str, s.ptr, s.len);
	str[s.len] = '\0';
	return str;
}

/* Pairs of at least 1 second and at least 0 changes. */
static bool
are_save_rules(const struct slice *values, size_t count)
{
	int64_t number;

	for (size_t i = 0; i < count; i++)
		if (!slice_to_i64(values[i], &number) || number < (i % 2 == 0) ||
		    number > INT32_MAX)
			return false;
	return count % 2 == 0;
}

static enum setting_fault
set_list(struct settings *s, const struct setting *row, const struct slice *values, size_t count)
{
	struct setting_list list = {NULL, 0};
	struct address_network network;
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
	}
	if (row->type == SETTING_SAVE_RULES && !are_save_rules(values, count))
		return SETTING_BAD_SAVE_RULES;
	list.items = xcalloc(count + 1, sizeof(*list.items));
	for (i = 0; i < count; i++)
		list.items[list.count++] = string_of(values[i]);
	release_list(member_of(s, row));
	memcpy(member_of(s, row), &list, sizeof(list));
	return SETTING_OK;
}

static enum setting_fault
set_string(struct settings *s, const struct setting *row, struct slice value)
{
	if (value.len < (size_t)row->min || value.len > (size_t)row->max)
		return SETTING_BAD_LENGTH;
	if (value.len > 0 && memchr(value.ptr, '\0', value.len) != NULL)
		return SETTING_BAD_TEXT;
	store_string(s, row, string_of(value));
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
	store_number(s, row, flags);
	return SETTING_OK;
}

static enum setting_fault
set_words(struct settings *s, const struct setting *row, const struct slice *values, size_t count)
{
	if (is_list(row))
		return set_list(s, row, values, count);
	if (row->type == SETTING_FLAGS)
		return set_flags(s, row, values, count);
	return buffer_limits_parse(member_of(s, row), values, count);
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

enum setting_fault
settings_set(
    struct settings *s, const struct setting *row, const struct slice *values, size_t count)
{
	enum setting_fault fault;
	int64_t number = 0;

	if (is_list(row) || row->type == SETTING_BUFFER_LIMITS || row->type == SETTING_FLAGS)
		return count == 1 ? set_joined(s, row, values[0])
				  : set_words(s, row, values, count);
	if (row->type == SETTING_USERS)
		return setting_users_add(member_of(s, row), values, count);
	if (row->type == SETTING_CHANNELS)
		return add_channel(s, values, count);
	if (count != 1)
		return SETTING_BAD_COUNT;
	if (row->type == SETTING_STRING || row->type == SETTING_SECRET)
		return set_string(s, row, values[0]);
	fault = parse_number(row, values[0], &number);
	if (fault == SETTING_OK)
		store_number(s, row, number);
	return fault;
}

static void
set_initial(struct settings *s, const struct setting *row)
{
	struct slice value = slice_of(row->initial);
	enum setting_fault fault = settings_set(s, row, &value, 1);

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
		if (is_list(&rows[i]) || rows[i].type == SETTING_USERS)
			release_list(member_of(s, &rows[i]));
		else if (rows[i].type == SETTING_STRING || rows[i].type == SETTING_SECRET)
			store_string(s, &rows[i], NULL);
	}
	channel_lines_free(s->channels);
	s->channels = NULL;
}

static void
show_list(const struct setting_list *list, bool quoted, struct buffer *out)
{
	size_t i;

	if (quoted && list->count == 0)
		buffer_append_str(out, "\"\"");
	for (i = 0; i < list->count; i++) {
		if (i > 0)
			buffer_append_str(out, " ");
		if (quoted)
			value_write_word(slice_of(list->items[i]), out);
		else
			buffer_append_str(out, list->items[i]);
	}
}

void
settings_show(const struct settings *s, const struct setting *row, struct buffer *out)
{
	switch (row->type) {
	case SETTING_BOOL:
		buffer_append_str(out, load_number(s, row) ? "yes" : "no");
		break;
	case SETTING_ENUM:
		buffer_append_slice(out, value_choice(row->choices, (uint32_t)load_number(s, row)));
		break;
	case SETTING_OCTAL:
		buffer_appendf(out, "%llo", (unsigned long long)load_number(s, row));
		break;
	case SETTING_STRING:
	case SETTING_SECRET:
		buffer_append_str(out, load_string(s, row));
		break;
	case SETTING_USERS:
		setting_users_write(list_of(s, row), false, out);
		break;
	case SETTING_CHANNELS:
		setting_channels_write(s->channels, out);
		break;
	case SETTING_LIST:
	case SETTING_ORIGINS:
	case SETTING_NETWORKS:
	case SETTING_SAVE_RULES:
		show_list(list_of(s, row), false, out);
		break;
	case SETTING_FLAGS:
		value_write_flags(row->choices, (uint32_t)load_number(s, row), out);
		break;
	case SETTING_BUFFER_LIMITS:
		buffer_limits_show(const_member_of(s, row), out);
		break;
	case SETTING_EVENTS:
		notify_show((uint32_t)load_number(s, row), out);
		break;
	default:
		buffer_appendf(out, "%lld", (long long)load_number(s, row));
	}
}

/* If no event is selected, writes "", because an empty word needs quotes. */
static void
write_events(uint32_t events, struct buffer *out)
{
	struct buffer letters = {0};

	notify_show(events, &letters);
	value_write_word(buffer_slice(&letters), out);
	buffer_release(&letters);
}

void
settings_write(const struct settings *s, const struct setting *row, struct buffer *out)
{
	if (row->type == SETTING_USERS) {
		setting_users_write(list_of(s, row), true, out);
		return;
	}
	if (row->type == SETTING_CHANNELS) {
		setting_channels_write(s->channels, out);
		return;
	}
	buffer_appendf(out, "%s ", row->name);
	switch (row->type) {
	case SETTING_BYTES:
		amount_write_bytes(load_number(s, row), out);
		break;
	case SETTING_STRING:
	case SETTING_SECRET:
		value_write_word(slice_of(load_string(s, row)), out);
		break;
	case SETTING_LIST:
	case SETTING_ORIGINS:
	case SETTING_NETWORKS:
	case SETTING_SAVE_RULES:
		show_list(list_of(s, row), true, out);
		break;
	case SETTING_FLAGS:
		if (load_number(s, row) == 0)
			buffer_append_str(out, "\"\"");
		else
			settings_show(s, row, out);
		break;
	case SETTING_BUFFER_LIMITS:
		buffer_limits_write(const_member_of(s, row), out);
		break;
	case SETTING_EVENTS:
		write_events((uint32_t)load_number(s, row), out);
		break;
	default:
		settings_show(s, row, out);
	}
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
		return strcmp(load_string(a, row), load_string(b, row)) == 0;
	case SETTING_LIST:
	case SETTING_ORIGINS:
	case SETTING_NETWORKS:
	case SETTING_SAVE_RULES:
	case SETTING_USERS:
		return lists_equal(list_of(a, row), list_of(b, row));
	case SETTING_CHANNELS:
		return channel_lines_equal(a->channels, b->channels);
	case SETTING_BUFFER_LIMITS:
		return buffer_limits_equal(const_member_of(a, row), const_member_of(b, row));
	default:
		return load_number(a, row) == load_number(b, row);
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
		store_string(to, row, xstrdup(load_string(from, row)));
		break;
	case SETTING_LIST:
	case SETTING_ORIGINS:
	case SETTING_NETWORKS:
	case SETTING_SAVE_RULES:
	case SETTING_USERS:
		assign_list(member_of(to, row), list_of(from, row));
		break;
	case SETTING_CHANNELS:
		channel_lines_free(to->channels);
		to->channels = channel_lines_copy(from->channels);
		break;
	default:
		memcpy(member_of(to, row), const_member_of(from, row), row->size);
	}
}

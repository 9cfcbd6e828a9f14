#include "config.h"

#include "pubsub/channel_lines.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash_map.h"

/* An error text repeats at most this many bytes of a word. */
#define SHOWN_MAX 128

TAILQ_HEAD(line_list, channel_line);

struct channel_lines {
	struct line_list list;
	struct hash_map *by_glob;
	struct channel_line **slots; /* slot_count of them; NULL: free */
	uint32_t slot_count;
	uint32_t slot_room;
	uint32_t free_slot; /* no slot below is free */
	size_t count;
	size_t bytes; /* of globs and texts, and of the lines themselves */
	uint64_t last_order;
	uint32_t uses[CHANNEL_OPTIONS]; /* number of lines that set the option */
};

void
channel_error_write(const struct channel_error *error, struct buffer *out)
{
	struct slice word = error->word;

	if (word.len > SHOWN_MAX)
		word.len = SHOWN_MAX;
	switch (error->fault) {
	case CHANNEL_OK:
		return;
	case CHANNEL_BAD_GLOB:
		buffer_appendf(
		    out, "invalid channel glob: must have 1 to %d bytes", CHANNEL_GLOB_MAX);
		return;
	case CHANNEL_NO_OPTION:
		buffer_append_str(out, "a channel line needs an option and its value");
		return;
	case CHANNEL_TOO_MANY_LINES:
		buffer_appendf(out, "max number of channel lines reached (%d)", CHANNEL_LINES_MAX);
		return;
	case CHANNEL_SIZE_WITHOUT_TTL:
		buffer_append_str(out, "history-size of channel line '");
		buffer_append_escaped(out, word);
		buffer_append_str(out, "' needs a history-ttl above 0, in this line or in an "
				       "earlier one that matches the same channels");
		return;
	case CHANNEL_UNKNOWN_OPTION:
		buffer_append_str(out, "unknown channel option '");
		break;
	case CHANNEL_MISSING_VALUE:
		buffer_append_str(out, "missing value of channel option '");
		break;
	case CHANNEL_REPEATED_OPTION:
		buffer_append_str(out, "repeated channel option '");
		break;
	case CHANNEL_NOT_SET:
		buffer_append_str(out, "this channel line does not set option '");
		break;
	case CHANNEL_REPEATED_GLOB:
		buffer_append_str(out, "more than one channel line with glob '");
		break;
	case CHANNEL_UNKNOWN_GLOB:
		buffer_append_str(out, "no channel line with glob '");
		break;
	case CHANNEL_BAD_VALUE:
		buffer_append_str(out, "invalid value '");
		break;
	}
	buffer_append_escaped(out, word);
	buffer_append_str(out, "'");
	if (error->fault != CHANNEL_BAD_VALUE)
		return;
	buffer_appendf(
	    out, " of channel option '%s': must be ", channel_option_at(error->option)->name);
	channel_option_write_allowed(error->option, out);
}

static bool
fail(struct channel_error *error, enum channel_fault fault, struct slice word)
{
	*error = (struct channel_error){.fault = fault, .word = word};
	return false;
}

struct channel_lines *
channel_lines_new(void)
{
	struct channel_lines *lines = xcalloc(1, sizeof(*lines));

	TAILQ_INIT(&lines->list);
	lines->by_glob = hash_map_new();
	return lines;
}

/* Estimate of a line's memory, with its entry in the map. */
static size_t
line_bytes(const struct channel_line *line)
{
	const char *users = line->values.publish_users;

	return sizeof(*line) + 2 * line->glob.len + 64 + (users != NULL ? strlen(users) + 1 : 0);
}

/* Adds the line's options to the counts, or subtracts them. */
static void
count_line(struct channel_lines *lines, const struct channel_line *line, bool add)
{
	lines->bytes += add ? line_bytes(line) : -line_bytes(line);
	for (size_t i = 0; i < CHANNEL_OPTIONS; i++)
		if ((line->set >> i & 1) != 0)
			lines->uses[i] += add ? 1U : (uint32_t)-1;
}

static void
line_free(struct channel_line *line)
{
	channel_options_release(&line->values);
	xfree(line);
}

void
channel_lines_free(struct channel_lines *lines)
{
	struct channel_line *line;

	if (lines == NULL)
		return;
	while ((line = TAILQ_FIRST(&lines->list)) != NULL) {
		TAILQ_REMOVE(&lines->list, line, link);
		line_free(line);
	}
	hash_map_free(lines->by_glob);
	xfree(lines->slots);
	xfree(lines);
}

static struct channel_line *
find(const struct channel_lines *lines, struct slice glob)
{
	return hash_map_get(lines->by_glob, glob);
}

static uint32_t
take_slot(struct channel_lines *lines, struct channel_line *line)
{
	uint32_t slot = lines->free_slot;

	while (slot < lines->slot_count && lines->slots[slot] != NULL)
		slot++;
	if (slot == lines->slot_room) {
		lines->slot_room = lines->slot_room == 0 ? 8 : lines->slot_room * 2;
		lines->slots = xrealloc(lines->slots, lines->slot_room * sizeof(*lines->slots));
	}
	if (slot == lines->slot_count)
		lines->slot_count++;
	lines->slots[slot] = line;
	lines->free_slot = slot + 1;
	return slot;
}

static struct channel_line *
append(struct channel_lines *lines, struct slice glob)
{
	struct channel_line *line = xcalloc(1, sizeof(*line) + glob.len);
	char *text = (char *)(line + 1);

	memcpy(text, glob.ptr, glob.len);
	line->glob = (struct slice){text, glob.len};
	line->order = ++lines->last_order;
	line->slot = take_slot(lines, line);
	channel_options_init(&line->values);
	TAILQ_INSERT_TAIL(&lines->list, line, link);
	(void)hash_map_set(lines->by_glob, line->glob, line);
	lines->count++;
	count_line(lines, line, true);
	return line;
}

static void
remove_line(struct channel_lines *lines, struct channel_line *line)
{
	count_line(lines, line, false);
	(void)hash_map_remove(lines->by_glob, line->glob);
	TAILQ_REMOVE(&lines->list, line, link);
	lines->slots[line->slot] = NULL;
	if (line->slot < lines->free_slot)
		lines->free_slot = line->slot;
	lines->count--;
	line_free(line);
}

struct channel_lines *
channel_lines_copy(const struct channel_lines *lines)
{
	struct channel_lines *copy = channel_lines_new();
	const struct channel_line *line;

	TAILQ_FOREACH (line, &lines->list, link) {
		struct channel_line *to = append(copy, line->glob);

		count_line(copy, to, false);
		to->set = line->set;
		channel_options_release(&to->values);
		channel_options_copy(&to->values, &line->values);
		count_line(copy, to, true);
	}
	return copy;
}

size_t
channel_lines_count(const struct channel_lines *lines)
{
	return lines->count;
}

size_t
channel_lines_bytes(const struct channel_lines *lines)
{
	return lines->bytes + lines->slot_room * sizeof(*lines->slots);
}

const struct channel_line *
channel_lines_first(const struct channel_lines *lines)
{
	return TAILQ_FIRST(&lines->list);
}

const struct channel_line *
channel_lines_next(const struct channel_line *line)
{
	return TAILQ_NEXT(line, link);
}

const struct channel_line *
channel_lines_find(const struct channel_lines *lines, struct slice glob)
{
	return find(lines, glob);
}

const struct channel_line *
channel_lines_at(const struct channel_lines *lines, uint32_t slot)
{
	assert(slot < lines->slot_count && lines->slots[slot] != NULL);
	return lines->slots[slot];
}

/* Reads the pairs into values and the set of options that they name. */
static bool
read_pairs(const struct slice *words, size_t count, struct channel_options *values, uint32_t *set,
    struct channel_error *error)
{
	*set = 0;
	if (count == 0)
		return fail(error, CHANNEL_NO_OPTION, SLICE(""));
	for (size_t i = 0; i < count; i += 2) {
		size_t option = channel_option_find(words[i]);

		if (option == CHANNEL_OPTIONS)
			return fail(error, CHANNEL_UNKNOWN_OPTION, words[i]);
		if (i + 1 == count)
			return fail(error, CHANNEL_MISSING_VALUE, words[i]);
		if ((*set >> option & 1) != 0)
			return fail(error, CHANNEL_REPEATED_OPTION, words[i]);
		if (!channel_option_parse(values, option, words[i + 1])) {
			(void)fail(error, CHANNEL_BAD_VALUE, words[i + 1]);
			error->option = option;
			return false;
		}
		*set |= UINT32_C(1) << option;
	}
	return true;
}

/* Whether the values, with the other options of the line (NULL: none), make a line. */
static bool
is_complete(const struct channel_line *line, const struct channel_options *values, uint32_t set)
{
	uint32_t both = CHANNEL_BIT(history_size) | CHANNEL_BIT(history_ttl);
	uint64_t size = values->history_size, ttl = values->history_ttl;

	if (line != NULL) {
		size = (set & CHANNEL_BIT(history_size)) != 0 ? size : line->values.history_size;
		ttl = (set & CHANNEL_BIT(history_ttl)) != 0 ? ttl : line->values.history_ttl;
		set |= line->set;
	}
	return (set & both) != both || size == 0 || ttl > 0;
}

static bool
change(struct channel_lines *lines, struct slice glob, const struct slice *words, size_t count,
    const struct channel_line **changed, struct channel_error *error)
{
	struct channel_line *line = find(lines, glob);
	struct channel_options values;
	uint32_t set;
	bool ok;

	channel_options_init(&values);
	ok = read_pairs(words, count, &values, &set, error);
	if (ok && !is_complete(line, &values, set))
		ok = fail(error, CHANNEL_SIZE_WITHOUT_TTL, glob);
	if (ok && line == NULL && lines->count == CHANNEL_LINES_MAX)
		ok = fail(error, CHANNEL_TOO_MANY_LINES, glob);
	if (ok) {
		if (line == NULL)
			line = append(lines, glob);
		count_line(lines, line, false);
		for (size_t i = 0; i < CHANNEL_OPTIONS; i++)
			if ((set >> i & 1) != 0)
				channel_option_copy(&line->values, &values, i);
		line->set |= set;
		count_line(lines, line, true);
		if (changed != NULL)
			*changed = line;
	}
	channel_options_release(&values);
	return ok;
}

bool
channel_lines_set(struct channel_lines *lines, struct slice glob, const struct slice *words,
    size_t count, const struct channel_line **line, struct channel_error *error)
{
	*error = (struct channel_error){.fault = CHANNEL_OK};
	if (glob.len == 0 || glob.len > CHANNEL_GLOB_MAX)
		return fail(error, CHANNEL_BAD_GLOB, glob);
	return change(lines, glob, words, count, line, error);
}

bool
channel_lines_add(struct channel_lines *lines, struct slice glob, const struct slice *words,
    size_t count, const struct channel_line **line, struct channel_error *error)
{
	if (find(lines, glob) != NULL)
		return fail(error, CHANNEL_REPEATED_GLOB, glob);
	return channel_lines_set(lines, glob, words, count, line, error);
}

/* The set of the named options, all of them if count is 0. */
static bool
read_names(const struct channel_line *line, const struct slice *names, size_t count, uint32_t *set,
    struct channel_error *error)
{
	*set = count == 0 ? line->set : 0;
	for (size_t i = 0; i < count; i++) {
		size_t option = channel_option_find(names[i]);

		if (option == CHANNEL_OPTIONS)
			return fail(error, CHANNEL_UNKNOWN_OPTION, names[i]);
		if ((*set >> option & 1) != 0)
			return fail(error, CHANNEL_REPEATED_OPTION, names[i]);
		if ((line->set >> option & 1) == 0)
			return fail(error, CHANNEL_NOT_SET, names[i]);
		*set |= UINT32_C(1) << option;
	}
	return true;
}

bool
channel_lines_unset(struct channel_lines *lines, struct slice glob, const struct slice *names,
    size_t count, struct channel_error *error)
{
	struct channel_line *line = find(lines, glob);
	uint32_t set;

	*error = (struct channel_error){.fault = CHANNEL_OK};
	if (line == NULL)
		return fail(error, CHANNEL_UNKNOWN_GLOB, glob);
	if (!read_names(line, names, count, &set, error))
		return false;
	if (set == line->set) {
		remove_line(lines, line);
		return true;
	}
	count_line(lines, line, false);
	for (size_t i = 0; i < CHANNEL_OPTIONS; i++)
		if ((set >> i & 1) != 0)
			channel_option_copy(&line->values, channel_options_default(), i);
	line->set &= ~set;
	count_line(lines, line, true);
	return true;
}

uint32_t
channel_lines_options(const struct channel_lines *lines)
{
	uint32_t set = 0;

	for (size_t i = 0; i < CHANNEL_OPTIONS; i++)
		if (lines->uses[i] > 0)
			set |= UINT32_C(1) << i;
	return set;
}

bool
channel_lines_equal(const struct channel_lines *a, const struct channel_lines *b)
{
	const struct channel_line *x = channel_lines_first(a), *y = channel_lines_first(b);

	for (; x != NULL && y != NULL; x = channel_lines_next(x), y = channel_lines_next(y))
		if (!slice_eq(x->glob, y->glob) || x->set != y->set ||
		    !channel_options_equal(&x->values, &y->values))
			return false;
	return x == NULL && y == NULL;
}

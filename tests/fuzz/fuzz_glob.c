#include "config.h"

#include "base/glob.h"

#include <assert.h>
#include <string.h>

#include "base/testing_glob.h"
#include "pubsub/channel_tree.h"

/*
 * glob_match() and the channel tree must say what a plain recursive matcher says. The input is
 * lines: P and a pattern, C and a channel, - and a line number (a byte) of one to take out again,
 * and M and a name that is published. The matcher takes exponential time, hence the limits.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { TOPICS_MAX = 32, NAMES_MAX = 32, STARS_MAX = 4, NAME_MAX_BYTES = 24 };

struct run {
	struct channel_tree *tree;
	struct topic *topics[TOPICS_MAX];
	size_t count;
	size_t names;
	uint32_t questions;
};

static size_t
count_stars(struct slice s)
{
	size_t stars = 0;

	for (size_t i = 0; i < s.len; i++)
		stars += s.ptr[i] == '*';
	return stars;
}

static void
add(struct run *run, bool is_pattern, struct slice name)
{
	struct topic *known = channel_tree_find(run->tree, is_pattern, name);

	if (known == NULL && run->count == TOPICS_MAX)
		return;
	struct topic *topic = channel_tree_add(run->tree, is_pattern, name);

	assert(known == NULL || topic == known);
	assert(slice_eq(topic_name(topic), name) && topic->is_pattern == is_pattern);
	assert(channel_tree_find(run->tree, is_pattern, name) == topic);
	if (known == NULL)
		run->topics[run->count++] = topic;
}

static void
take_out(struct run *run, size_t i)
{
	channel_tree_remove(run->tree, run->topics[i]);
	run->topics[i] = run->topics[--run->count];
}

static bool
expected(const struct topic *topic, struct slice name)
{
	if (!topic->is_pattern)
		return slice_eq(topic_name(topic), name);
	bool matches = testing_glob(topic_name(topic), name, false);

	assert(glob_match(topic_name(topic), name, false) == matches);
	assert(glob_match(topic_name(topic), name, true) ==
	       testing_glob(topic_name(topic), name, true));
	return matches;
}

static void
publish(struct run *run, struct slice name)
{
	size_t count, total = 0;
	struct topic **matched = channel_tree_match(run->tree, name, &count);

	run->questions++;
	for (size_t i = 0; i < count; i++) {
		assert((i == 0 || matched[i]->is_pattern) && matched[i]->tag != run->questions);
		matched[i]->tag = run->questions;
	}
	for (size_t i = 0; i < run->count; i++) {
		bool matches = expected(run->topics[i], name);

		assert(matches == (run->topics[i]->tag == run->questions));
		total += matches;
	}
	assert(total == count);
}

static void
check_order(struct run *run)
{
	struct slice after = {NULL, 0};
	struct topic *topic;
	size_t channels = 0;

	while ((topic = channel_tree_next(run->tree, after)) != NULL) {
		assert(after.ptr == NULL || slice_compare(topic_name(topic), after) > 0);
		after = topic_name(topic);
		channels++;
	}
	assert(channels == channel_tree_channels(run->tree));
	assert(channels + channel_tree_patterns(run->tree) == run->count);
}

static void
do_line(struct run *run, struct slice line)
{
	struct slice rest = {line.ptr + 1, line.len - 1};

	if (line.ptr[0] == 'C')
		add(run, false, rest);
	else if (line.ptr[0] == 'P' && count_stars(rest) <= STARS_MAX)
		add(run, true, rest);
	else if (line.ptr[0] == '-' && rest.len > 0 && run->count > 0)
		take_out(run, (unsigned char)rest.ptr[0] % run->count);
	else if (line.ptr[0] == 'M' && rest.len <= NAME_MAX_BYTES && run->names++ < NAMES_MAX)
		publish(run, rest);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct run run = {.tree = channel_tree_new()};
	size_t empty_bytes = channel_tree_bytes(run.tree);
	const char *at = (const char *)data, *end = at + len;

	while (at < end) {
		const char *eol = memchr(at, '\n', (size_t)(end - at));
		size_t line_len = (size_t)((eol != NULL ? eol : end) - at);

		if (line_len > 0 && line_len <= UINT16_MAX)
			do_line(&run, (struct slice){at, line_len});
		at += line_len + 1;
	}
	check_order(&run);
	while (run.count > 0)
		take_out(&run, run.count / 2);
	assert(channel_tree_bytes(run.tree) == empty_bytes);
	channel_tree_free(run.tree);
	return 0;
}

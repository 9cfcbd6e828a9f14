#include "config.h"

#include "pubsub/channel_cover.h"

#include "base/glob.h"

/*
 * One glob matches all names of another if it matches these two samples of the other: the shortest
 * name, and one with unlikely bytes in place of each *. That is not exact for classes of bytes,
 * where a sample stands for all bytes of the class; the check finds mistakes and guards nothing.
 */
static const char *const stars[] = {"", "\x01\x02\x01\x03"};

#define STARS (sizeof(stars) / sizeof(*stars))

/* The comparison of two globs takes time in proportion to the product of their lengths. Longer ones
 * count as not covered. */
#define COMPARED_MAX 256

struct sample {
	char bytes[COMPARED_MAX * 4];
	size_t len;
};

static char
member_of(const uint64_t set[4])
{
	for (unsigned c = 'a'; c < 'a' + 256U; c++)
		if ((set[c % 256 / 64] >> (c % 64) & 1) != 0)
			return (char)c;
	return '\x01';
}

/* glob.len is at most COMPARED_MAX. */
static void
make_sample(struct slice glob, const char *star, struct sample *sample)
{
	struct glob_token token;
	size_t len;

	for (sample->len = 0; glob.len > 0; glob.ptr += len, glob.len -= len) {
		len = glob_next(glob, &token);
		switch (token.kind) {
		case GLOB_LITERAL:
			sample->bytes[sample->len++] = (char)token.literal;
			break;
		case GLOB_ANY:
			sample->bytes[sample->len++] = '\x01';
			break;
		case GLOB_CLASS:
			sample->bytes[sample->len++] = member_of(token.set);
			break;
		case GLOB_STAR:
			for (const char *at = star; *at != '\0'; at++)
				sample->bytes[sample->len++] = *at;
			break;
		}
	}
}

struct samples {
	struct sample of[STARS];
};

/* False: the glob is too long. */
static bool
make_samples(struct slice glob, struct samples *samples)
{
	if (glob.len > COMPARED_MAX)
		return false;
	for (size_t i = 0; i < STARS; i++)
		make_sample(glob, stars[i], &samples->of[i]);
	return true;
}

/* Whether the line gives a history-ttl to the channels that the samples are of. */
static bool
covers(const struct channel_line *line, const struct samples *samples)
{
	if (line->values.history_ttl == 0 || line->glob.len > COMPARED_MAX)
		return false;
	for (size_t i = 0; i < STARS; i++)
		if (!glob_match(line->glob,
			(struct slice){samples->of[i].bytes, samples->of[i].len}, false))
			return false;
	return true;
}

/* Whether a line before `end` (NULL: any line) other than `without` covers the samples. */
static bool
are_covered_before(const struct channel_lines *lines, const struct channel_line *end,
    const struct channel_line *without, const struct samples *samples)
{
	const struct channel_line *line = channel_lines_first(lines);

	if ((channel_lines_options(lines) & CHANNEL_BIT(history_ttl)) == 0)
		return false;
	for (; line != NULL && line != end; line = channel_lines_next(line))
		if (line != without && covers(line, samples))
			return true;
	return false;
}

static bool
fail(struct channel_error *error, struct slice glob)
{
	*error = (struct channel_error){.fault = CHANNEL_SIZE_WITHOUT_TTL, .word = glob};
	return false;
}

/* Whether the lines behind `line` are covered without its history-ttl. */
static bool
others_do_without(
    const struct channel_lines *lines, const struct channel_line *line, struct channel_error *error)
{
	const struct channel_line *other = line;
	struct samples samples;

	while ((other = channel_lines_next(other)) != NULL) {
		if (other->values.history_size == 0 || other->values.history_ttl > 0)
			continue;
		if (make_samples(other->glob, &samples) && covers(line, &samples) &&
		    !are_covered_before(lines, other, line, &samples))
			return fail(error, other->glob);
	}
	return true;
}

/* Whether the lines are covered if this line, or a new one (NULL), gets these values. */
static bool
check(const struct channel_lines *lines, const struct channel_line *line, struct slice glob,
    const struct channel_options *values, struct channel_error *error)
{
	struct samples samples;

	if (values->history_size > 0 && values->history_ttl == 0 &&
	    (!make_samples(glob, &samples) || !are_covered_before(lines, line, line, &samples)))
		return fail(error, glob);
	if (line == NULL || line->values.history_ttl == 0 || values->history_ttl > 0)
		return true;
	return others_do_without(lines, line, error);
}

/* The size and the ttl of the line, or the defaults. */
static void
values_of(const struct channel_line *line, struct channel_options *values)
{
	channel_options_init(values);
	if (line == NULL)
		return;
	values->history_size = line->values.history_size;
	values->history_ttl = line->values.history_ttl;
}

bool
channel_line_is_covered(const struct channel_lines *lines, struct slice glob,
    const struct slice *words, size_t count, struct channel_error *error)
{
	const struct channel_line *line = channel_lines_find(lines, glob);
	struct channel_options values;

	values_of(line, &values);
	for (size_t i = 0; i + 1 < count; i += 2) {
		size_t option = channel_option_find(words[i]);

		if ((option == CHANNEL_HAS_history_size || option == CHANNEL_HAS_history_ttl) &&
		    !channel_option_parse(&values, option, words[i + 1]))
			return true;
	}
	return check(lines, line, glob, &values, error);
}

bool
channel_line_stays_covered(const struct channel_lines *lines, struct slice glob,
    const struct slice *names, size_t count, struct channel_error *error)
{
	const struct channel_line *line = channel_lines_find(lines, glob);
	struct channel_options values;

	if (line == NULL)
		return true;
	values_of(count > 0 ? line : NULL, &values);
	for (size_t i = 0; i < count; i++) {
		size_t option = channel_option_find(names[i]);

		if (option == CHANNEL_HAS_history_size || option == CHANNEL_HAS_history_ttl)
			channel_option_copy(&values, channel_options_default(), option);
	}
	return check(lines, line, glob, &values, error);
}

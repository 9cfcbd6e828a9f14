#include "config.h"

#include "app/config_rewrite_channels.h"

#include "app/setting_channels.h"

struct reading {
	struct channel_lines *lines;
	bool has_reset; /* there was a line `channel ""` */
};

static bool
is_reset(const struct slice *values, size_t count)
{
	return count == 1 && values[0].len == 0;
}

static bool
read_channel(
    void *arg, struct slice name, const struct slice *values, size_t count, struct buffer *error)
{
	struct reading *reading = arg;
	struct channel_error fault;

	if (!slice_is_nocase(name, "channel"))
		return true;
	reading->has_reset = reading->has_reset || is_reset(values, count);
	if (setting_channels_add(&reading->lines, values, count, &fault))
		return true;
	setting_channels_explain(&fault, count, error);
	return false;
}

/* True if `now` has the globs of `old` that are left in the same order, and new ones behind. */
static bool
keeps_order(const struct channel_lines *old, const struct channel_lines *now)
{
	const struct channel_line *line = channel_lines_first(old);
	const struct channel_line *next = channel_lines_first(now), *found;

	for (; line != NULL; line = channel_lines_next(line)) {
		found = channel_lines_find(now, line->glob);
		if (found == NULL)
			continue;
		if (found != next)
			return false;
		next = channel_lines_next(next);
	}
	return true;
}

bool
channel_rewrite_init(struct channel_rewrite *r, const struct channel_lines *lines,
    const struct channel_lines *included, struct slice old, const char *path,
    enum config_include include, struct buffer *error)
{
	struct reading reading = {.lines = channel_lines_new()};
	bool ok = config_read_bytes(old, path, include, read_channel, &reading, error);

	*r = (struct channel_rewrite){.lines = lines,
	    .old = reading.lines,
	    .how = CHANNEL_LINES_AT_END,
	    .left = channel_lines_count(reading.lines),
	    .next = channel_lines_first(lines)};
	if (channel_lines_equal(reading.lines, lines))
		r->how = CHANNEL_LINES_KEPT;
	else if (channel_lines_count(included) == 0 && !reading.has_reset &&
		 keeps_order(reading.lines, lines))
		r->how = CHANNEL_LINES_IN_PLACE;
	return ok;
}

void
channel_rewrite_release(struct channel_rewrite *r)
{
	channel_lines_free(r->old);
	*r = (struct channel_rewrite){0};
}

static bool
is_same(const struct channel_line *a, const struct channel_line *b)
{
	return a->set == b->set && channel_options_equal(&a->values, &b->values);
}

static void
write_next(struct channel_rewrite *r, struct buffer *out)
{
	setting_channel_write(r->next, out);
	buffer_append_str(out, "\n");
	r->next = channel_lines_next(r->next);
}

static void
write_in_place(struct channel_rewrite *r, struct slice line, struct slice glob, struct buffer *out)
{
	const struct channel_line *old = channel_lines_find(r->old, glob);

	if (r->next != NULL && slice_eq(r->next->glob, glob)) {
		if (old != NULL && is_same(old, r->next)) {
			buffer_append_slice(out, line);
			buffer_append_str(out, "\n");
			r->next = channel_lines_next(r->next);
		} else {
			write_next(r, out);
		}
	}
	if (--r->left == 0)
		while (r->next != NULL)
			write_next(r, out);
}

void
channel_rewrite_line(struct channel_rewrite *r, struct slice line, const struct config_words *words,
    struct buffer *out)
{
	switch (r->how) {
	case CHANNEL_LINES_KEPT:
		buffer_append_slice(out, line);
		buffer_append_str(out, "\n");
		break;
	case CHANNEL_LINES_IN_PLACE:
		write_in_place(r, line, words->words[1], out);
		break;
	case CHANNEL_LINES_AT_END:
		break;
	}
}

void
channel_rewrite_all(
    const struct channel_rewrite *r, const struct channel_lines *read, struct buffer *out)
{
	if (channel_lines_count(read) > 0)
		buffer_append_str(out, "channel \"\"\n");
	setting_channels_write(r->lines, out);
}

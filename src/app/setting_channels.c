#include "config.h"

#include "app/setting_channels.h"

#include "app/setting_value.h"
#include "pubsub/channel_cover.h"
#include "pubsub/channel_in_effect.h"

bool
setting_channels_add(struct channel_lines **lines, const struct slice *words, size_t count,
    struct channel_error *error)
{
	if (count == 1 && words[0].len == 0) {
		channel_lines_free(*lines);
		*lines = channel_lines_new();
		return true;
	}
	if (count == 0) {
		*error = (struct channel_error){.fault = CHANNEL_BAD_GLOB};
		return false;
	}
	return channel_words_in_effect(words + 1, count - 1, 2, error) &&
	       channel_line_is_covered(*lines, words[0], words + 1, count - 1, error) &&
	       channel_lines_add(*lines, words[0], words + 1, count - 1, NULL, error);
}

void
setting_channels_remove(struct channel_lines *lines, struct slice glob)
{
	struct channel_error error;

	/* False: there was no line. */
	(void)!channel_lines_unset(lines, glob, NULL, 0, &error);
}

void
setting_channels_explain(const struct channel_error *error, size_t count, struct buffer *out)
{
	if (count == 0)
		buffer_append_str(out, "a line is 'channel GLOB option value ...'");
	else
		channel_error_explain(error, out);
}

void
setting_channels_explain_words(const struct slice *words, size_t count, struct buffer *out)
{
	struct channel_lines *lines = channel_lines_new();
	struct channel_error error = {.fault = CHANNEL_OK};

	if (!setting_channels_add(&lines, words, count, &error))
		setting_channels_explain(&error, count, out);
	channel_lines_free(lines);
}

void
setting_channel_write(const struct channel_line *line, struct buffer *out)
{
	struct buffer value = {0};

	buffer_append_str(out, "channel ");
	value_write_word(line->glob, out);
	for (size_t i = 0; i < CHANNEL_OPTIONS; i++) {
		if ((line->set >> i & 1) == 0)
			continue;
		buffer_clear(&value);
		channel_option_write(&line->values, i, &value);
		buffer_appendf(out, " %s ", channel_option_at(i)->name);
		value_write_word(buffer_slice(&value), out);
	}
	buffer_release(&value);
}

void
setting_channels_write(const struct channel_lines *lines, struct buffer *out)
{
	const struct channel_line *line = channel_lines_first(lines);

	for (; line != NULL; line = channel_lines_next(line)) {
		setting_channel_write(line, out);
		if (channel_lines_next(line) != NULL)
			buffer_append_str(out, "\n");
	}
}

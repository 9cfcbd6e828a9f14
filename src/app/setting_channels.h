#ifndef APP_SETTING_CHANNELS_H
#define APP_SETTING_CHANNELS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "pubsub/channel_lines.h"

/*
 * The directive `channel`: a glob and options, one line for each glob. The value is the list of all
 * lines, in order.
 */

/* Adds a line; one empty word removes all lines. False: error says why; nothing was changed. */
bool setting_channels_add(struct channel_lines **lines, const struct slice *words, size_t count,
    struct channel_error *error) __attribute__((warn_unused_result));

/* Removes the line of this glob, if there is one. */
void setting_channels_remove(struct channel_lines *lines, struct slice glob);

/* Appends the error of setting_channels_add(), which got `count` words. */
void setting_channels_explain(const struct channel_error *error, size_t count, struct buffer *out);

/* The same, without the error: what is wrong with the words, whatever the other lines are. */
void setting_channels_explain_words(const struct slice *words, size_t count, struct buffer *out);

/* Appends "channel GLOB option value ...", as in a configuration file, without the newline. */
void setting_channel_write(const struct channel_line *line, struct buffer *out);

/* The same for all lines, with newlines between them. */
void setting_channels_write(const struct channel_lines *lines, struct buffer *out);

#endif

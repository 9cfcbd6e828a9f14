#ifndef APP_CONFIG_REWRITE_CHANNELS_H
#define APP_CONFIG_REWRITE_CHANNELS_H

#include <stdbool.h>
#include <stddef.h>

#include "app/config_file.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "pubsub/channel_lines.h"

/*
 * The lines of the directive `channel` in a configuration file that is rewritten. Their order
 * counts, and that of the lines in included files as well.
 */
enum channel_rewriting {
	CHANNEL_LINES_KEPT,     /* the file and its includes give the lines in force */
	CHANNEL_LINES_IN_PLACE, /* the lines in force are those of the file, some of them changed or
				   removed, followed by new ones: each keeps its place */
	CHANNEL_LINES_AT_END,   /* all are written at the end of the file */
};

struct channel_rewrite {
	const struct channel_lines *lines; /* borrowed; in force */
	struct channel_lines *old;         /* owned; what the old file and its includes give */
	enum channel_rewriting how;
	size_t left;                     /* IN_PLACE: lines of the old file still to come */
	const struct channel_line *next; /* IN_PLACE: of lines, the next one to be written */
};

/*
 * old is the text of the file; included, the lines that its includes alone give. False: error says
 * what is wrong with the file. To be released in both cases.
 */
bool channel_rewrite_init(struct channel_rewrite *r, const struct channel_lines *lines,
    const struct channel_lines *included, struct slice old, const char *path,
    enum config_include include, struct buffer *error) __attribute__((warn_unused_result));
void channel_rewrite_release(struct channel_rewrite *r);

/* Appends what replaces the next `channel` line of the old file: itself, another one, nothing.
 * words are those of the line. */
void channel_rewrite_line(struct channel_rewrite *r, struct slice line,
    const struct config_words *words, struct buffer *out);

/* Appends all lines in force, to a file that gives the lines `read` so far. */
void channel_rewrite_all(
    const struct channel_rewrite *r, const struct channel_lines *read, struct buffer *out);

#endif

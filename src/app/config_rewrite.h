#ifndef APP_CONFIG_REWRITE_H
#define APP_CONFIG_REWRITE_H

#include <stdbool.h>

#include "app/config_file.h"
#include "app/settings.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "pubsub/channel_lines.h"

/*
 * CONFIG REWRITE: changes a configuration file so that it gives the current settings, and changes
 * nothing else in it.
 *
 * Comments, order and lines with the current value stay byte for byte; a line with another value is
 * replaced in its place; other values that the file and its includes do not give are appended.
 * Invariant: reading the result gives the settings. The lines of channels are an argument of their
 * own, because the current settings do not hold them.
 */

/* The new text of a file whose text is old; path is for includes and errors. Appends to out. False:
 * error says why. */
bool config_rewrite_text(struct slice old, const char *path, enum config_include include,
    const struct settings *s, const struct channel_lines *channels, struct buffer *out,
    struct buffer *error) __attribute__((warn_unused_result));

/* The same for a file: writes a temporary file beside it, syncs it and renames it. False: error
 * says why, and the file is unchanged. */
bool config_rewrite(const char *path, const struct settings *s,
    const struct channel_lines *channels, struct buffer *error) __attribute__((warn_unused_result));

/* Replaces the text of the file at path: writes a temporary file beside it, syncs it and renames
 * it. False with errno; the file is unchanged. */
bool config_replace_file(const char *path, struct slice text) __attribute__((warn_unused_result));

#endif

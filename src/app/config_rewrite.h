#ifndef APP_CONFIG_REWRITE_H
#define APP_CONFIG_REWRITE_H

#include <stdbool.h>

#include "app/config_file.h"
#include "app/settings.h"
#include "base/buffer.h"
#include "base/bytes.h"

/*
 * CONFIG REWRITE: brings a configuration file in line with the settings, and changes no more of it
 * than that.
 *
 * Comments, order and lines that say what holds stay byte for byte; a line that says otherwise is
 * replaced in its place; what the file and its includes do not say comes at the end. Invariant:
 * reading the result gives the settings.
 */

/* The new text of a file whose text is old; path is for includes and errors. Appends to out. False:
 * error says why. */
bool config_rewrite_text(struct slice old, const char *path, enum config_include include,
    const struct settings *s, struct buffer *out, struct buffer *error)
    __attribute__((warn_unused_result));

/* The same for a file: written beside it, flushed to the disk, renamed. False: error says why, and
 * the file is as it was. */
bool config_rewrite(const char *path, const struct settings *s, struct buffer *error)
    __attribute__((warn_unused_result));

/* path gets this text: written beside it, flushed to the disk, renamed. False with errno, and the
 * file is as it was. */
bool config_replace_file(const char *path, struct slice text) __attribute__((warn_unused_result));

#endif

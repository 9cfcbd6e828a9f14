#ifndef APP_TESTING_SETTINGS_H
#define APP_TESTING_SETTINGS_H

#include "base/buffer.h"

/* For tests: directives by their names, and what is written of them, as text. */
struct setting;
struct settings;

/* The directive, which must exist. */
const struct setting *testing_setting(const char *name);

/* The bytes of the buffer, with a NUL behind them, until it changes. */
const char *testing_text(struct buffer *buffer);

/* The value as CONFIG GET shows it, or the line of a file, in out. */
const char *testing_shown(const struct settings *s, const char *name, struct buffer *out);
const char *testing_written(const struct settings *s, const char *name, struct buffer *out);

#endif

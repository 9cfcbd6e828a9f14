#ifndef APP_FOREIGN_NOTES_H
#define APP_FOREIGN_NOTES_H

#include <stdbool.h>

#include "base/buffer.h"

struct settings;

/*
 * What a user who brings a configuration of Redis must know about it: which directives are without
 * effect, and whether Redis would have kept keys that fanfared does not.
 *
 * s are the settings that config_source_load() gave, not a copy.
 */

/* Appends the line about directives without effect; false if there are none. */
bool foreign_notes_ignored(const struct settings *s, struct buffer *out);

/* Appends the line about the snapshots that Redis makes by default; false if it has nothing to say.
 */
bool foreign_notes_loss(const struct settings *s, struct buffer *out);

/* Appends, for --check-config, where Redis differs if a configuration says nothing of save or bind.
 * It need not be recognised as one of Redis: these lines are the only ones that some have. */
void foreign_notes_defaults(const struct settings *s, struct buffer *out);

/* The first two at the start, and all for --check-config. has_file: a file is checked, and not only
 * the command line. */
void foreign_notes_log(const struct settings *s);
void foreign_notes_print(const struct settings *s, bool has_file);

#endif

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

/* Both, at the start and for --check-config. */
void foreign_notes_log(const struct settings *s);
void foreign_notes_print(const struct settings *s);

#endif

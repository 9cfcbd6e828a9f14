#ifndef CMD_TESTING_COMMANDS_H
#define CMD_TESTING_COMMANDS_H

#include <stdbool.h>

#include "base/buffer.h"

/* For tests of the journal and of dumps: commands as text, "SELECT 0;SET a 1;". */

/* Appends commands in RESP to the struct buffer that arg points to; returns true. */
bool testing_note_commands(void *arg, struct slice commands);

/* Sets text to the commands that the journal has collected since the last call, and returns it with
 * a NUL behind it. */
const char *testing_collected(struct buffer *text);

#endif

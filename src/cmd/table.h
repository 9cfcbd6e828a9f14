#ifndef CMD_TABLE_H
#define CMD_TABLE_H

#include "server/command.h"

/* The table of all commands, made from commands.def. A server is created with it. */

/*
 * The first call creates the table; it must come from the main thread. The table lives until the
 * process ends.
 */
const struct command_table *cmd_table(void);

#endif

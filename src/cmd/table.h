#ifndef CMD_TABLE_H
#define CMD_TABLE_H

#include "server/command.h"

/*
 * The table of all commands, from commands.def: what a server of this program is made with.
 */

/* Made by the first call, which the main thread makes, and kept until the process ends. */
const struct command_table *cmd_table(void);

#endif

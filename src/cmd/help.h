#ifndef CMD_HELP_H
#define CMD_HELP_H

#include "server/request.h"

/*
 * The reply to X HELP, made from the command table: for each subcommand of rq's container, its name
 * and syntax, and its summary on the next line.
 */
enum command_result request_help_from_table(struct request *rq);

#endif

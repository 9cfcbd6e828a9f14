#ifndef SERVER_COMMAND_LOOKUP_H
#define SERVER_COMMAND_LOOKUP_H

#include <stdbool.h>

/* Command look-up: finds the command of a request by its name. */
struct request;

/* Sets rq->command. Returns false after replying with an error if the command is unknown. */
bool request_find_command(struct request *rq) __attribute__((warn_unused_result));

#endif

#ifndef SERVER_HANDLERS_H
#define SERVER_HANDLERS_H

#include "server/command.h"

/*
 * Prototypes of all handlers, from the table. A handler stands in the file of its family
 * (cmd_pubsub.c, cmd_client.c, ...), is called with a request whose arity fits its row, by a client
 * that may call it, and knows nothing about how it came to be called.
 */
#define COMMAND(container, name, handler, ...) command_handler handler;
#include "server/commands.def"
#undef COMMAND

#endif

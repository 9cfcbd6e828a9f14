#ifndef CMD_HANDLERS_H
#define CMD_HANDLERS_H

#include <stdbool.h>

#include "base/bytes.h"
#include "server/command.h"

/*
 * Prototypes of all handlers, from the table. A handler is defined in the file of its family
 * (pubsub.c, client.c, ...). It is called only with a request whose arity fits its row, for a
 * client that may run the command.
 */
#define COMMAND(container, name, handler, ...) command_handler handler;
#include "cmd/commands.def"
#undef COMMAND

struct buffer;

/* command_key_specs.c: the key specifications of a row, as COMMAND INFO shows them. */
void command_put_key_specs(struct buffer *out, int proto, const struct command *row);

/*
 * client.c: sets a client's name, lib_name or lib_version; an empty value removes it. False, and
 * nothing changes, if value contains other bytes than '!' to '~' or is longer than
 * CLIENT_ATTRIBUTE_MAX.
 */
#define CLIENT_ATTRIBUTE_MAX 1024
/* client_tracking.c: switches tracking off, for RESET. False: the slice is used up before the end.
 */
bool client_tracking_end(struct request *rq) __attribute__((warn_unused_result));
bool client_attribute_set(char **attribute, struct slice value) __attribute__((warn_unused_result));

#endif

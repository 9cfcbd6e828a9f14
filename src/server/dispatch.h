#ifndef SERVER_DISPATCH_H
#define SERVER_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "server/io.h"

/* Dispatch: checks a request and calls its handler. */
struct client;
struct request;
struct server;

/* Gives blocked.h the functions that execute and end a blocked command. */
void dispatch_init(struct server *server);

/* Borrows args for the call. The request begins at clock_recent_us(): the caller has read the
 * clock, or the client's request before this one did so when it ended. */
enum request_verdict server_request(struct client *client, const struct slice *args, size_t count)
    __attribute__((warn_unused_result));

/* One command of a transaction, for EXEC, or of a script; its reply stays in rq->reply. */
void request_execute_queued(struct request *rq);

#endif

#ifndef SERVER_DISPATCH_H
#define SERVER_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "server/io.h"

/* Dispatch: from a request to its handler, with all checks in between. */
struct client;
struct request;
struct server;

/* Commands that other modules execute again go through dispatch: blocked ones (blocked.h). */
void dispatch_init(struct server *server);

/* args is borrowed for the call. */
enum request_verdict server_request(struct client *client, const struct slice *args, size_t count)
    __attribute__((warn_unused_result));

/* One command of a transaction, for EXEC; its reply stays in rq->reply. */
void request_execute_queued(struct request *rq);

#endif

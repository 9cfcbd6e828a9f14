#ifndef SERVER_DUMP_H
#define SERVER_DUMP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/* Dump: the keyspace as commands, for a new append-only file. */
struct server;

/* The commands that make the keyspace as it is, in pieces of some size to sink, which borrows them.
 * False: sink said so. */
bool server_dump(const struct server *server, bool (*sink)(void *arg, struct slice commands),
    void *arg) __attribute__((warn_unused_result));

size_t server_key_count(const struct server *server);

#endif

#ifndef APP_FIRST_IMPORT_H
#define APP_FIRST_IMPORT_H

#include <stdbool.h>

#include "base/buffer.h"

/*
 * fanfared --import: at the first start the keys come from files of Redis (import/source.h). Their
 * commands are executed as those of the append-only file are. What is not here is logged by name.
 */
struct first_import;
struct persistence;
struct server;
struct settings;

/* Opens the files, as the user that starts the daemon. NULL: error says why. Returns owned. */
struct first_import *first_import_open(
    const char *path, const struct settings *settings, struct buffer *error);
void first_import_close(struct first_import *import); /* NULL is allowed */

/* In place of persistence_start(). False: error says why. */
bool first_import_start(struct first_import *import, struct server *server,
    struct persistence *persistence, struct buffer *error) __attribute__((warn_unused_result));

#endif

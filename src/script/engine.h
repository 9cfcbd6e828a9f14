#ifndef SCRIPT_ENGINE_H
#define SCRIPT_ENGINE_H

#include "server/scripts.h"

/*
 * The script engine: EVAL and its kin, as in Redis 7.2, with Lua 5.1.
 *
 * A script runs as a whole: no other command is executed in between. What it changes goes to the
 * append-only file as one transaction, as commands; the script itself never does. Its commands are
 * executed as those of a transaction, with the rights of the client.
 *
 * The memory of the Lua state and of the cached scripts is bounded by script-maxmemory. A script
 * that exceeds it ends with an error, and the state is thrown away.
 */
struct server;

/* The engine of a server; it is freed with it. */
void script_engine_attach(struct server *server);

#endif

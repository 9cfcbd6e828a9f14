#ifndef APP_FILE_LIMIT_H
#define APP_FILE_LIMIT_H

#include <stdint.h>

/* Descriptors for everything but clients: listeners, the log, the event loops, a file being read.
 */
uint32_t file_limit_reserve(unsigned io_threads);

/*
 * Raises this process's limit of open files to what maxclients clients need; never lowers it.
 * Returns the number of clients that the limit allows now, at most maxclients; 0 if not even one.
 */
uint32_t file_limit_raise(uint32_t maxclients, unsigned io_threads);

#endif

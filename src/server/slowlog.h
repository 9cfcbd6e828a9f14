#ifndef SERVER_SLOWLOG_H
#define SERVER_SLOWLOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Slow log: the last commands that took longer than the limit. Arguments are cut as in Redis (32
 * arguments, 128 bytes each), so the size of an entry is bounded.
 */
struct slowlog;

#define SLOWLOG_ARGS_MAX 32
#define SLOWLOG_ARG_BYTES_MAX 128

struct slowlog_entry {
	uint64_t id;
	uint64_t time_s; /* since the epoch */
	uint64_t duration_us;
	size_t argc;
	char **argv; /* owned by the log, with lengths */
	size_t *argv_len;
	char *address;
	char *name;
};

struct slowlog *slowlog_new(void);
void slowlog_free(struct slowlog *log);

/*
 * Copies. Keeps at most max_len entries (a max_len smaller than before is reached over several
 * calls). Only the first SLOWLOG_ARGS_MAX of argv are read.
 */
void slowlog_add(struct slowlog *log, size_t max_len, uint64_t time_s, uint64_t duration_us,
    const struct slice *argv, size_t argc, const char *address, const char *name);
void slowlog_reset(struct slowlog *log);
size_t slowlog_len(const struct slowlog *log);

/* The nth newest, 0 first; NULL past the end. Borrowed until the next add or reset. */
const struct slowlog_entry *slowlog_get(const struct slowlog *log, size_t n);

#endif

#ifndef IMPORT_OVERDUE_H
#define IMPORT_OVERDUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "import/source.h"

/*
 * Expiry times in append-only files that have passed.
 *
 * A server removes such a key at once. But a later command of the file may give it a longer life,
 * as with every session that is renewed: the key would be lost. So the time is replaced by one of
 * the next day, and the key is remembered. When all commands were carried out, the remembered keys
 * that still expire at that very time have expired and are to be removed by the caller. If it
 * cannot, they go a day later. A key is forgotten when a command removes it, so that memory does
 * not grow with the file.
 */
struct hash_map;

struct overdue {
	int64_t now_ms, later_ms;
	uint64_t database;
	struct hash_map *keys; /* owned; a database in 8 bytes, and a name */
	struct buffer scratch;
	char later[BYTES_I64_MAX];
	struct slice *argv; /* owned; of the command with another time */
	size_t room;
};

void overdue_init(struct overdue *overdue, int64_t now_ms);
void overdue_release(struct overdue *overdue);

/* To be called with each command before it is carried out: may change its argv, until the next
 * call. */
void overdue_follow(struct overdue *overdue, struct import_command *command);

/* Visits and forgets some of the remembered keys. False: there were none left. */
bool overdue_take(struct overdue *overdue, size_t most,
    void (*visit)(void *arg, uint64_t database, struct slice key), void *arg);

#endif

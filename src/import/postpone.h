#ifndef IMPORT_POSTPONE_H
#define IMPORT_POSTPONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "import/source.h"

/*
 * Expiry times in append-only files that may pass before the end of the import.
 *
 * A server removes such a key when its time has passed. But a later command of the file may give it
 * a longer life, as with every session that is renewed: the key would be lost. So the time is
 * replaced by one 1111 years later, from which the real one follows. A key that is renamed, copied
 * or moved keeps it, so that no key need be remembered, and memory does not grow with the file.
 * When all commands were carried out, the caller gives each key of the server that has such a time
 * the real one.
 *
 * Times that are further away than POSTPONE_WITHIN_MS stay as they are: the import must not last
 * longer.
 */
#define POSTPONE_WITHIN_MS INT64_C(86400000)
#define POSTPONE_BY_MS (INT64_C(1111) * 31557600000)

/* Initially zero except for now_ms, the time at which the import begins. */
struct postpone {
	int64_t now_ms;
	uint64_t count; /* of times that were replaced */
	char digits[BYTES_I64_MAX];
	struct slice *argv; /* owned; of the command with another time */
	size_t room;
};

void postpone_release(struct postpone *postpone);

/*
 * To be called with each command before it is carried out: may change its argv, until the next
 * call. The conditions of PEXPIREAT (NX, XX, GT, LT) are removed, because they would compare with
 * replaced times; Redis writes only commands whose condition was true.
 */
void postpone_follow(struct postpone *postpone, struct import_command *command);

/* True if a key's expiry time is a replaced one; *real_ms is the one that it stands for, or the
 * beginning of the import if that had passed already. */
bool postpone_is_replaced(const struct postpone *postpone, int64_t time_ms, int64_t *real_ms);

#endif

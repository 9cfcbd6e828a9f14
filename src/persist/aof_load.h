#ifndef PERSIST_AOF_LOAD_H
#define PERSIST_AOF_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * Loads an append-only file or a snapshot into an empty keyspace.
 *
 * aof_read() is common to the start of the daemon and `fanfare aof check`: it carries out the
 * commands of a file and reports its state. A file is also bad if a command in it is unknown,
 * changes no keys, is malformed, or fails: the loaded keys would then differ from the acknowledged
 * ones.
 */
struct aof_file;
struct persist_keyspace;

enum aof_finding_kind {
	AOF_FILE_GOOD,
	AOF_FILE_TRUNCATED, /* it ends early: the bytes before `keep` are valid, and were carried
			       out */
	AOF_FILE_BAD, /* damaged, and much may follow behind `keep`; or an incomplete snapshot */
};

struct aof_finding {
	enum aof_finding_kind kind;
	size_t keep; /* number of valid bytes */
	uint64_t commands, batches;
	struct buffer text; /* what is wrong, or how much is valid (aof_finding_release) */
};

/*
 * path is for the log, which shows the progress of a long load. A snapshot ends with a mark.
 */
void aof_read(const struct persist_keyspace *keyspace, const struct aof_file *file,
    const char *path, bool is_snapshot, struct aof_finding *finding);
void aof_finding_release(struct aof_finding *finding);

enum aof_load_result {
	AOF_LOADED,
	AOF_LOAD_NONE,   /* there is no such file */
	AOF_LOAD_FAILED, /* error says why */
};

/*
 * may_truncate: a missing or torn tail is truncated, with a warning; otherwise it is an error. A
 * snapshot must not be truncated. *size is the resulting size of the file; unless it is a snapshot,
 * all of it is synced, as the headers of further batches will say.
 */
enum aof_load_result aof_load(const struct persist_keyspace *keyspace, const char *path,
    bool is_snapshot, bool may_truncate, uint64_t *size, struct buffer *error);

/* The end mark of a snapshot: an annotation with the time, as Redis writes it. */
#define AOF_END_MARK "#TS:"

#endif

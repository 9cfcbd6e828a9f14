#ifndef PERSIST_AOF_LOAD_H
#define PERSIST_AOF_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * Loading what is on disk, an append-only file or a snapshot, into an empty keyspace.
 *
 * aof_read() is what the start of the daemon and `fanfare aof check` have in common: it carries out
 * the commands of a file, and finds what is to be said of it. A file is bad as well if a command in
 * it is unknown, no change of keys, not well-formed, or cannot be carried out: then the keys would
 * not be those that were acknowledged.
 */
struct aof_file;
struct persist_keyspace;

enum aof_finding_kind {
	AOF_FILE_GOOD,
	AOF_FILE_TRUNCATED, /* it ends early: what is before `keep` is good, and was carried out */
	AOF_FILE_BAD, /* damaged, much may be behind `keep`; or a snapshot that is not whole */
};

struct aof_finding {
	enum aof_finding_kind kind;
	size_t keep; /* as many bytes are good */
	uint64_t commands, batches;
	struct buffer text; /* what is wrong, or how much is good; aof_finding_release */
};

/*
 * path is for the log, which says how it goes on where it takes long. A snapshot says itself where
 * it ends.
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
 * may_truncate: a tail that is missing or torn is cut off, with a warning, else it is an error. A
 * snapshot must not be cut. *size is what the file has then; unless it is a snapshot, all of it is
 * synced, as headers that are appended will say.
 */
enum aof_load_result aof_load(const struct persist_keyspace *keyspace, const char *path,
    bool is_snapshot, bool may_truncate, uint64_t *size, struct buffer *error);

/* What ends a snapshot: an annotation with the time, as Redis knows it. */
#define AOF_END_MARK "#TS:"

#endif

#ifndef PERSIST_BATCHES_H
#define PERSIST_BATCHES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "base/buffer.h"
#include "persist/aof.h"

/*
 * The batches of the append-only file that are not synced yet, in the order of their numbers. They
 * stay in memory until a later sync succeeds, because the system may drop data that it could not
 * sync.
 */
enum batch_state {
	BATCH_QUEUED,  /* to be written, for the first time or again */
	BATCH_WRITTEN, /* written since the last failed sync */
};

struct batch {
	TAILQ_ENTRY(batch) next;
	uint64_t number;
	uint64_t offset; /* offset of its header in the file */
	enum batch_state state;
	struct buffer commands;
};

TAILQ_HEAD(batches, batch);

/* Takes the contents of commands. Returns owned (batch_free). */
struct batch *batch_new(uint64_t number, uint64_t offset, struct buffer *commands);
void batch_free(struct batch *batch);
uint64_t batch_end(const struct batch *batch); /* the offset of its end */

#define GATHERED_MAX 256
#define GATHERED_BYTES ((size_t)8 << 20) /* of one write, unless a single batch is larger */

/* Batches with their headers, as pieces for one write. */
struct gathered {
	char headers[GATHERED_MAX][AOF_HEADER_LEN];
	struct iovec pieces[2 * GATHERED_MAX];
	size_t piece_count;
	uint64_t bytes;
	struct batch *behind; /* the first batch not included; NULL: none is left */
};

/* Each header says that the file is synced up to that header. */
#define GATHER_SYNCED UINT64_MAX

/* Gathers batches for one write, starting with `from`, as many as fit. The write goes to this
 * offset in a file that is synced up to `synced` (see aof.h). Borrows them. */
void batches_gather(
    struct batch *from, uint64_t offset, uint64_t synced, struct gathered *gathered);

#endif

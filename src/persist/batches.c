#include "config.h"

#include "persist/batches.h"

#include "base/alloc.h"

struct batch *
batch_new(uint64_t number, uint64_t offset, struct buffer *commands)
{
	struct batch *batch = xcalloc(1, sizeof(*batch));

	batch->number = number;
	batch->offset = offset;
	batch->commands = *commands;
	*commands = (struct buffer){0};
	return batch;
}

void
batch_free(struct batch *batch)
{
	buffer_release(&batch->commands);
	xfree(batch);
}

uint64_t
batch_end(const struct batch *batch)
{
	return batch->offset + AOF_HEADER_LEN + batch->commands.len;
}

void
batches_gather(struct batch *from, uint64_t offset, uint64_t synced, struct gathered *gathered)
{
	struct batch *batch;
	size_t count = 0;

	gathered->piece_count = 0;
	gathered->bytes = 0;
	for (batch = from; batch != NULL && count < GATHERED_MAX;
	     batch = TAILQ_NEXT(batch, next), count++) {
		struct iovec *pieces = &gathered->pieces[2 * count];
		char *header = gathered->headers[count];

		if (count > 0 && gathered->bytes + batch->commands.len > GATHERED_BYTES)
			break;
		aof_header_write_unsynced(header, offset + gathered->bytes,
		    synced == GATHER_SYNCED ? offset + gathered->bytes : synced,
		    buffer_slice(&batch->commands));
		pieces[0] = (struct iovec){header, AOF_HEADER_LEN};
		pieces[1] = (struct iovec){batch->commands.ptr, batch->commands.len};
		gathered->piece_count += 2;
		gathered->bytes += AOF_HEADER_LEN + batch->commands.len;
	}
	gathered->behind = batch;
}

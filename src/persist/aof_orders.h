#ifndef PERSIST_AOF_ORDERS_H
#define PERSIST_AOF_ORDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "base/buffer.h"
#include "base/mailbox.h"
#include "persist/aof.h"

/* What the loop orders of the thread of aof_writer.c, and how batches go to a file. */
enum order_kind {
	ORDER_BATCH,
	ORDER_OPEN,
	ORDER_MARK,
	ORDER_ADOPT,
	ORDER_RENAME,
	ORDER_STOP,
	ORDER_WAKE,
	ORDER_END,
};

struct order {
	struct mail mail; /* first */
	TAILQ_ENTRY(order) next;
	enum order_kind kind;
	int fd;          /* OPEN, ADOPT */
	uint64_t number; /* BATCH; OPEN: the file's offset */
	struct buffer batch;
	char *temp_path, *path; /* ADOPT, RENAME */
};

TAILQ_HEAD(aof_orders, order);

struct order *order_new(enum order_kind kind); /* returns owned */
void order_free(struct order *order);          /* not what fd says */
void orders_free(struct aof_orders *orders);
bool orders_are_batches(const struct aof_orders *orders); /* nothing else is among them */
uint64_t orders_bytes(const struct aof_orders *orders);   /* of batches */

#define AOF_GATHERED_MAX 256
#define AOF_GATHERED_BYTES ((size_t)8 << 20) /* unless one batch alone is larger */

/* Batches with their headers, as pieces to be written. */
struct aof_gathered {
	char headers[AOF_GATHERED_MAX][AOF_HEADER_LEN];
	struct iovec pieces[2 * AOF_GATHERED_MAX];
	size_t piece_count, batch_count;
	uint64_t bytes;
};

/* The batches at the head of orders, which stands and is not changed meanwhile, for this place in
 * the file. */
void aof_gather(const struct aof_orders *orders, uint64_t offset, struct aof_gathered *gathered);

/* All of it, at offset; changes pieces. False with errno: a part may be written. */
bool aof_write(int fd, struct iovec *pieces, size_t count, uint64_t offset)
    __attribute__((warn_unused_result));

#endif

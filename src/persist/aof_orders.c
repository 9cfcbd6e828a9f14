#include "config.h"

#include "persist/aof_orders.h"

#include <errno.h>

#include "base/alloc.h"

struct order *
order_new(enum order_kind kind)
{
	struct order *order = xcalloc(1, sizeof(*order));

	order->kind = kind;
	order->fd = -1;
	return order;
}

void
order_free(struct order *order)
{
	buffer_release(&order->batch);
	xfree(order->temp_path);
	xfree(order->path);
	xfree(order);
}

void
orders_free(struct aof_orders *orders)
{
	struct order *order;

	while ((order = TAILQ_FIRST(orders)) != NULL) {
		TAILQ_REMOVE(orders, order, next);
		order_free(order);
	}
}

uint64_t
orders_bytes(const struct aof_orders *orders)
{
	const struct order *order;
	uint64_t bytes = 0;

	TAILQ_FOREACH (order, orders, next)
		bytes += order->batch.len;
	return bytes;
}

bool
orders_are_batches(const struct aof_orders *orders)
{
	const struct order *order;

	TAILQ_FOREACH (order, orders, next)
		if (order->kind != ORDER_BATCH)
			return false;
	return true;
}

void
aof_gather(const struct aof_orders *orders, uint64_t offset, struct aof_gathered *gathered)
{
	const struct order *order;

	gathered->piece_count = gathered->batch_count = 0;
	gathered->bytes = 0;
	TAILQ_FOREACH (order, orders, next) {
		struct iovec *pieces;
		char *header;

		if (order->kind != ORDER_BATCH || gathered->batch_count == AOF_GATHERED_MAX ||
		    (gathered->batch_count > 0 &&
			gathered->bytes + order->batch.len > AOF_GATHERED_BYTES))
			break;
		pieces = &gathered->pieces[gathered->piece_count];
		header = gathered->headers[gathered->batch_count];
		aof_header_write(header, offset + gathered->bytes, buffer_slice(&order->batch));
		pieces[0] = (struct iovec){header, AOF_HEADER_LEN};
		pieces[1] = (struct iovec){order->batch.ptr, order->batch.len};
		gathered->piece_count += 2;
		gathered->batch_count++;
		gathered->bytes += AOF_HEADER_LEN + order->batch.len;
	}
}

bool
aof_write(int fd, struct iovec *pieces, size_t count, uint64_t offset)
{
	while (count > 0) {
		ssize_t n = pwritev(fd, pieces, (int)count, (off_t)offset);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return false;
		if (n == 0) {
			errno = ENOSPC;
			return false;
		}
		offset += (uint64_t)n;
		while (count > 0 && (size_t)n >= pieces->iov_len) {
			n -= (ssize_t)pieces->iov_len;
			pieces++;
			count--;
		}
		if (count > 0) {
			pieces->iov_base = (char *)pieces->iov_base + n;
			pieces->iov_len -= (size_t)n;
		}
	}
	return true;
}

#include "config.h"

#include "persist/aof_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "persist/aof_orders.h"

void
aof_copy_begin(struct aof_copy *copy, struct order *order, uint64_t from)
{
	off_t end = lseek(order->fd, 0, SEEK_END);

	*copy = (struct aof_copy){.fd = order->fd,
	    .temp_path = order->temp_path,
	    .path = order->path,
	    .from = from,
	    .to = end > 0 ? (uint64_t)end : 0};
	order->temp_path = order->path = NULL;
}

void
aof_copy_release(struct aof_copy *copy)
{
	buffer_release(&copy->batch);
	xfree(copy->temp_path);
	xfree(copy->path);
	*copy = (struct aof_copy){.fd = -1};
}

static bool
read_all(int fd, char *out, size_t len, uint64_t offset)
{
	while (len > 0) {
		ssize_t n = pread(fd, out, len, (off_t)offset);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? EIO : errno;
			return false;
		}
		out += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return true;
}

/* A batch that is not what was written is not passed on with a new checksum. */
static bool
copy_batch(struct aof_copy *copy, int old, uint64_t end)
{
	char header[AOF_HEADER_LEN];
	struct iovec pieces[2];
	uint64_t len, checksum;

	if (!read_all(old, header, sizeof(header), copy->from))
		return false;
	errno = EIO;
	if (!aof_header_read(header, copy->from, &len, &checksum) ||
	    len > end - copy->from - AOF_HEADER_LEN)
		return false;
	buffer_clear(&copy->batch);
	if (!read_all(old, buffer_reserve(&copy->batch, (size_t)len), (size_t)len,
		copy->from + AOF_HEADER_LEN))
		return false;
	copy->batch.len = (size_t)len;
	errno = EIO;
	if (aof_checksum(buffer_slice(&copy->batch), copy->from) != checksum)
		return false;
	aof_header_write(header, copy->to, buffer_slice(&copy->batch));
	pieces[0] = (struct iovec){header, sizeof(header)};
	pieces[1] = (struct iovec){copy->batch.ptr, copy->batch.len};
	if (!aof_write(copy->fd, pieces, 2, copy->to))
		return false;
	copy->from += AOF_HEADER_LEN + len;
	copy->to += AOF_HEADER_LEN + len;
	return true;
}

bool
aof_copy(struct aof_copy *copy, int old, uint64_t until, uint64_t end)
{
	while (copy->from < end && copy->from < until)
		if (!copy_batch(copy, old, end))
			return false;
	/* Little by little, so that the last sync is a short one. */
	return fdatasync(copy->fd) == 0;
}

bool
sync_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == NULL   ? xstrdup(".")
		       : slash == path ? xstrdup("/")
				       : xmemdup(path, (size_t)(slash - path) + 1);
	int fd, error;
	bool ok;

	if (slash != NULL && slash != path)
		folder[slash - path] = '\0';
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	xfree(folder);
	if (fd == -1)
		return false;
	ok = fsync(fd) == 0;
	error = errno;
	close(fd);
	errno = error;
	return ok;
}

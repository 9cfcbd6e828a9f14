#include "config.h"

#include "persist/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

static int
system_open(void *arg, const char *path, int flags)
{
	(void)arg;
	return open(path, flags | O_CLOEXEC, 0600);
}

static ssize_t
system_write(void *arg, int fd, const struct iovec *pieces, int count, uint64_t offset)
{
	(void)arg;
	return pwritev(fd, pieces, count, (off_t)offset);
}

static ssize_t
system_read(void *arg, int fd, void *out, size_t len, uint64_t offset)
{
	(void)arg;
	return pread(fd, out, len, (off_t)offset);
}

static int
system_sync(void *arg, int fd)
{
	(void)arg;
	return fdatasync(fd);
}

static int
system_truncate(void *arg, int fd, uint64_t len)
{
	(void)arg;
	return ftruncate(fd, (off_t)len);
}

static int
system_rename(void *arg, const char *from, const char *to)
{
	(void)arg;
	return rename(from, to);
}

static int
system_unlink(void *arg, const char *path)
{
	(void)arg;
	return unlink(path);
}

static pid_t
system_fork(void *arg)
{
	(void)arg;
	return fork();
}

const struct disk disk_system = {.open = system_open,
    .write = system_write,
    .read = system_read,
    .sync = system_sync,
    .truncate = system_truncate,
    .rename = system_rename,
    .unlink = system_unlink,
    .fork = system_fork,
    .clock_us = clock_mono_us};

bool
disk_write_all(const struct disk *disk, int fd, struct iovec *pieces, size_t count, uint64_t offset)
{
	while (count > 0) {
		ssize_t n = disk->write(disk->arg, fd, pieces, (int)count, offset);

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

bool
disk_read_all(const struct disk *disk, int fd, void *out, size_t len, uint64_t offset)
{
	char *at = out;

	while (len > 0) {
		ssize_t n = disk->read(disk->arg, fd, at, len, offset);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? EIO : errno;
			return false;
		}
		at += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return true;
}

bool
disk_sync_folder_of(const struct disk *disk, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == NULL   ? xstrdup(".")
		       : slash == path ? xstrdup("/")
				       : xmemdup(path, (size_t)(slash - path) + 1);
	int fd, error;
	bool ok;

	if (slash != NULL && slash != path)
		folder[slash - path] = '\0';
	fd = disk->open(disk->arg, folder, O_RDONLY | O_DIRECTORY);
	xfree(folder);
	if (fd == -1)
		return false;
	ok = disk->sync(disk->arg, fd) == 0;
	error = errno;
	close(fd);
	errno = error;
	return ok;
}

bool
disk_replace(const struct disk *disk, const char *from, const char *to)
{
	return disk->rename(disk->arg, from, to) == 0 && disk_sync_folder_of(disk, to);
}

#include "config.h"

#include "persist/aof_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "persist/aof_copy.h"
#include "persist/aof_orders.h"

static bool
map(struct aof_file *file, size_t len)
{
	void *bytes;

	if (len == 0)
		return true;
	bytes = mmap(NULL, len, PROT_READ, MAP_SHARED, file->fd, 0);
	if (bytes == MAP_FAILED)
		return false;
	(void)madvise(bytes, len, MADV_SEQUENTIAL);
	file->bytes = (struct slice){bytes, len};
	return true;
}

bool
aof_file_open(struct aof_file *file, const char *path, bool for_writing)
{
	struct stat st;
	int error;

	file->bytes = (struct slice){"", 0};
	file->fd = open(path, (for_writing ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (file->fd == -1)
		return false;
	if (fstat(file->fd, &st) == 0) {
		if (!S_ISREG(st.st_mode))
			errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		else if (map(file, (size_t)st.st_size))
			return true;
	}
	error = errno;
	close(file->fd);
	errno = error;
	return false;
}

void
aof_file_close(struct aof_file *file)
{
	if (file->bytes.len > 0)
		munmap((void *)(uintptr_t)file->bytes.ptr, file->bytes.len);
	close(file->fd);
}

static bool
write_all(int fd, struct slice bytes)
{
	struct iovec piece = {(void *)(uintptr_t)bytes.ptr, bytes.len};

	return aof_write(fd, &piece, 1, 0);
}

/* False with errno; nothing is left of it then. */
static bool
save(const char *path, struct slice bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int error = 0;

	if (fd == -1)
		return false;
	if (!write_all(fd, bytes) || fsync(fd) != 0)
		error = errno;
	if (close(fd) != 0 && error == 0)
		error = errno;
	if (error == 0 && !sync_folder_of(path))
		error = errno;
	if (error != 0)
		(void)unlink(path);
	errno = error;
	return error == 0;
}

bool
aof_file_cut(struct aof_file *file, const char *path, size_t keep, struct buffer *text)
{
	struct slice rest = {file->bytes.ptr + keep, file->bytes.len - keep};
	struct buffer beside = {0};
	bool ok = true;

	if (rest.len > 0) {
		buffer_appendf(&beside, "%s.cut-%zu", path, keep);
		buffer_append(&beside, "", 1);
		ok = save(beside.ptr, rest) && ftruncate(file->fd, (off_t)keep) == 0 &&
		     fsync(file->fd) == 0;
	}
	if (ok)
		buffer_appendf(text, "cut to %zu bytes; the other %zu are kept in %s", keep,
		    rest.len, beside.ptr != NULL ? beside.ptr : "no file");
	else
		buffer_appendf(text, "%zu bytes could not be cut off and kept in %s: %s", rest.len,
		    beside.ptr, strerror(errno));
	buffer_release(&beside);
	return ok;
}

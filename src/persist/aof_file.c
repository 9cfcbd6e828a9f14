#include "config.h"

#include "persist/aof_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "persist/disk.h"

/* The most files of bytes that were cut off at the same offset. */
#define CUTS_MAX 99

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

	return disk_write_all(&disk_system, fd, &piece, 1, 0);
}

/* Creates "PATH.cut-KEEP", or the first of "PATH.cut-KEEP.1" and so on that does not exist; name is
 * its name. -1 with errno. */
static int
create_beside(const char *path, size_t keep, struct buffer *name)
{
	int fd = -1;

	for (int i = 0; i <= CUTS_MAX && (i == 0 || errno == EEXIST) && fd == -1; i++) {
		buffer_clear(name);
		buffer_appendf(name, "%s.cut-%zu", path, keep);
		if (i > 0)
			buffer_appendf(name, ".%d", i);
		buffer_append(name, "", 1);
		fd = open(name->ptr, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	}
	return fd;
}

/* Writes and syncs the bytes to a new file beside path. False with errno; the new file is then
 * removed. */
static bool
save(const char *path, size_t keep, struct slice bytes, struct buffer *name)
{
	int fd = create_beside(path, keep, name);
	int error = 0;

	if (fd == -1)
		return false;
	if (!write_all(fd, bytes) || fsync(fd) != 0)
		error = errno;
	if (close(fd) != 0 && error == 0)
		error = errno;
	if (error == 0 && !disk_sync_folder_of(&disk_system, name->ptr))
		error = errno;
	if (error != 0)
		(void)unlink(name->ptr);
	errno = error;
	return error == 0;
}

bool
aof_file_truncate(struct aof_file *file, const char *path, size_t keep, struct buffer *text)
{
	struct slice rest = {file->bytes.ptr + keep, file->bytes.len - keep};
	struct buffer beside = {0};
	bool is_saved = save(path, keep, rest, &beside);
	/* A full disk is the usual cause of a torn tail. It must not prevent the daemon from
	 * starting, too. */
	bool is_full = !is_saved && (errno == ENOSPC || errno == EDQUOT);
	bool ok =
	    (is_saved || is_full) && ftruncate(file->fd, (off_t)keep) == 0 && fsync(file->fd) == 0;

	if (ok && is_full)
		buffer_appendf(text,
		    "truncated to %zu bytes; the other %zu are lost, because the disk has no room "
		    "to save them",
		    keep, rest.len);
	else if (ok)
		buffer_appendf(text, "truncated to %zu bytes; the other %zu are saved in %s", keep,
		    rest.len, beside.ptr);
	else
		buffer_appendf(text, "cannot truncate %zu bytes and save them in %s: %s", rest.len,
		    beside.ptr, strerror(errno));
	buffer_release(&beside);
	return ok;
}

#include "config.h"

#include "persist/aof_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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

bool
aof_file_mend(struct aof_file *file, const struct aof_scan *scan, struct slice commands)
{
	char header[AOF_HEADER_LEN];
	bool has_rest = scan->has_header && commands.len > 0 && scan->keep > scan->batch_at;

	if (has_rest)
		aof_header_write(header, scan->batch_at, commands);
	if (ftruncate(file->fd, (off_t)scan->keep) != 0)
		return false;
	if (has_rest &&
	    pwrite(file->fd, header, sizeof(header), (off_t)scan->batch_at) != sizeof(header))
		return false;
	return fsync(file->fd) == 0;
}

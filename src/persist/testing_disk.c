#include "config.h"

#include "persist/testing_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

/* Not an assertion of Check: Check writes each to a file of its own, whose descriptor belongs to
 * another file in a child. */
#define require(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

/* 0: the call goes on. Otherwise, with errno, it is to fail: 1 is the first one that does, 2 the
 * next, and so on. */
static uint32_t
failure(struct testing_disk *d, enum testing_call kind)
{
	uint32_t call;

	if ((d->kinds & kind) == 0)
		return 0;
	call = atomic_fetch_add(&d->calls, 1) + 1;
	if (d->fail_from == 0 || call < d->fail_from || call - d->fail_from >= d->fail_count)
		return 0;
	errno = d->error;
	return call - d->fail_from + 1;
}

static bool
fails(struct testing_disk *d, enum testing_call kind)
{
	return failure(d, kind) != 0;
}

static struct testing_file *
file_of_inode(struct testing_disk *d, uint64_t inode)
{
	/* Records are taken in order and never returned, so the first unused one ends the search;
	 * another process may take it at the same time. */
	for (size_t i = 0; i < TESTING_FILES; i++) {
		uint64_t found = 0;

		if (atomic_compare_exchange_strong(&d->files[i].inode, &found, inode) ||
		    found == inode)
			return &d->files[i];
	}
	require(!"there are enough records");
	return NULL;
}

static struct testing_file *
file_of(struct testing_disk *d, int fd, struct stat *st)
{
	require(fstat(fd, st) == 0);
	return file_of_inode(d, (uint64_t)st->st_ino);
}

static int
disk_open(void *arg, const char *path, int flags)
{
	struct testing_disk *d = arg;
	bool was_there = access(path, F_OK) == 0;
	struct testing_file *file;
	struct stat st;
	int fd;

	if (fails(d, TESTING_OPEN))
		return -1;
	fd = disk_system.open(NULL, path, flags);
	/* The descriptor may have belonged to another file. */
	if (fd != -1 && !was_there) {
		file = file_of(d, fd, &st);
		file->len = 0;
		memset(file->bytes, 0, sizeof(file->bytes));
		memset(file->is_dirty, false, sizeof(file->is_dirty));
	}
	return fd;
}

static ssize_t
disk_write(void *arg, int fd, const struct iovec *pieces, int count, uint64_t offset)
{
	struct testing_disk *d = arg;
	struct testing_file *file;
	struct iovec half = pieces[0];
	uint32_t number = failure(d, TESTING_WRITE);
	struct stat st;
	ssize_t n;

	if (number > 0) {
		if (!d->fails_short || number > 1 || half.iov_len < 2)
			return -1;
		half.iov_len /= 2;
		pieces = &half;
		count = 1;
	}
	n = disk_system.write(NULL, fd, pieces, count, offset);
	if (n > 0) {
		file = file_of(d, fd, &st);
		require(offset + (uint64_t)n <= TESTING_FILE_MAX);
		memset(file->is_dirty + offset, true, (size_t)n);
	}
	return n;
}

static ssize_t
disk_read(void *arg, int fd, void *out, size_t len, uint64_t offset)
{
	return fails(arg, TESTING_READ) ? -1 : disk_system.read(NULL, fd, out, len, offset);
}

static void
list_names(struct testing_names *names)
{
	DIR *folder = opendir(".");
	struct dirent *entry;
	size_t len;

	require(folder != NULL);
	names->count = 0;
	while ((entry = readdir(folder)) != NULL) {
		struct testing_name *name = &names->names[names->count];

		if (entry->d_type != DT_REG)
			continue;
		require(names->count < TESTING_FILES);
		len = strlen(entry->d_name);
		require(len < sizeof(name->name));
		memcpy(name->name, entry->d_name, len + 1);
		name->inode = (uint64_t)entry->d_ino;
		names->count++;
	}
	closedir(folder);
}

static void
keep_bytes(struct testing_file *file, int fd, size_t len)
{
	static char now[TESTING_FILE_MAX];

	require(pread(fd, now, sizeof(now), 0) == (ssize_t)len);
	for (size_t i = 0; i < len; i++)
		if (file->is_dirty[i])
			file->bytes[i] = now[i];
	file->len = len;
}

static int
disk_sync(void *arg, int fd)
{
	struct testing_disk *d = arg;
	bool is_failing = fails(d, TESTING_SYNC);
	struct testing_file *file;
	int error = errno;
	struct stat st;

	require(fstat(fd, &st) == 0);
	if (S_ISDIR(st.st_mode)) {
		if (!is_failing)
			list_names(&d->names);
	} else {
		file = file_of(d, fd, &st);
		if (!is_failing)
			keep_bytes(file, fd, (size_t)st.st_size);
		memset(file->is_dirty, false, sizeof(file->is_dirty));
	}
	errno = error;
	return is_failing ? -1 : 0;
}

static int
disk_truncate(void *arg, int fd, uint64_t len)
{
	struct testing_disk *d = arg;
	struct stat st;

	if (fails(d, TESTING_TRUNCATE))
		return -1;
	memset(file_of(d, fd, &st)->is_dirty + len, false, TESTING_FILE_MAX - len);
	return disk_system.truncate(NULL, fd, len);
}

static int
disk_rename(void *arg, const char *from, const char *to)
{
	return fails(arg, TESTING_RENAME) ? -1 : disk_system.rename(NULL, from, to);
}

static int
disk_unlink(void *arg, const char *path)
{
	return fails(arg, TESTING_UNLINK) ? -1 : disk_system.unlink(NULL, path);
}

static pid_t
disk_fork(void *arg)
{
	const struct testing_disk *d = arg;
	pid_t pid;

	if (fails(arg, TESTING_FORK))
		return -1;
	pid = disk_system.fork(NULL);
	/* The signal is blocked until the child unblocks it. */
	if (pid == 0 && d->child_signal != 0)
		raise(d->child_signal);
	return pid;
}

struct testing_disk *
testing_disk_new(void)
{
	struct testing_disk *d =
	    mmap(NULL, sizeof(*d), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	require(d != MAP_FAILED);
	d->kinds = TESTING_ALL;
	d->disk = (struct disk){.open = disk_open,
	    .write = disk_write,
	    .read = disk_read,
	    .sync = disk_sync,
	    .truncate = disk_truncate,
	    .rename = disk_rename,
	    .unlink = disk_unlink,
	    .fork = disk_fork,
	    .clock_us = clock_mono_us,
	    .arg = d};
	return d;
}

void
testing_disk_free(struct testing_disk *d)
{
	munmap(d, sizeof(*d));
}

void
testing_disk_fail(struct testing_disk *d, uint32_t kinds, uint32_t skip, uint32_t count, int error)
{
	d->calls = 0;
	d->kinds = kinds;
	d->fail_from = skip + 1;
	d->fail_count = count;
	d->error = error;
	d->fails_short = false;
}

void
testing_disk_heal(struct testing_disk *d)
{
	testing_disk_fail(d, 0, 0, 0, 0);
}

void
testing_disk_die(struct testing_disk *d)
{
	testing_disk_fail(d, TESTING_ALL, 0, UINT32_MAX, EIO);
}

void
testing_disk_empty_folder(void)
{
	DIR *folder = opendir(".");
	struct dirent *entry;

	require(folder != NULL);
	while ((entry = readdir(folder)) != NULL)
		if (entry->d_type == DT_REG)
			require(unlink(entry->d_name) == 0);
	closedir(folder);
}

struct testing_image {
	size_t count;
	struct {
		char name[TESTING_NAME_MAX];
		size_t len;
		char bytes[TESTING_FILE_MAX];
	} files[];
};

/* Copies the bytes of this file that survive the loss. */
static size_t
take_bytes(
    struct testing_disk *d, const struct testing_name *name, enum testing_loss loss, char *bytes)
{
	const struct testing_file *file = file_of_inode(d, name->inode);
	size_t len = loss == TESTING_KILLED ? 0 : file->len;
	ssize_t n = 0;
	int fd;

	memcpy(bytes, file->bytes, len);
	if (loss != TESTING_KILLED && loss != TESTING_TORN)
		return len;
	fd = open(name->name, O_RDONLY | O_CLOEXEC);
	require(fd != -1);
	n = pread(fd, bytes + len, TESTING_FILE_MAX - len, (off_t)len);
	require(n >= 0);
	close(fd);
	return len + (size_t)(loss == TESTING_TORN ? n / 2 : n);
}

struct testing_image *
testing_disk_image(struct testing_disk *d, enum testing_loss loss)
{
	struct testing_names names = d->names;
	struct testing_image *image;

	if (loss != TESTING_OLD_NAMES)
		list_names(&names);
	image = xcalloc(1, sizeof(*image) + names.count * sizeof(image->files[0]));
	image->count = names.count;
	for (size_t i = 0; i < names.count; i++) {
		snprintf(
		    image->files[i].name, sizeof(image->files[i].name), "%s", names.names[i].name);
		image->files[i].len = take_bytes(d, &names.names[i], loss, image->files[i].bytes);
	}
	return image;
}

void
testing_image_put(const struct testing_image *image)
{
	testing_disk_empty_folder();
	for (size_t i = 0; i < image->count; i++) {
		int fd = open(image->files[i].name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		require(fd != -1);
		require(write(fd, image->files[i].bytes, image->files[i].len) ==
			(ssize_t)image->files[i].len);
		close(fd);
	}
}

struct slice
testing_image_file(const struct testing_image *image, const char *name)
{
	for (size_t i = 0; i < image->count; i++)
		if (strcmp(image->files[i].name, name) == 0)
			return (struct slice){image->files[i].bytes, image->files[i].len};
	return (struct slice){NULL, 0};
}

void
testing_image_free(struct testing_image *image)
{
	xfree(image);
}

#ifndef PERSIST_DISK_H
#define PERSIST_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/*
 * The calls that the persistence layer makes to the file system and for its child process. All of
 * them go through this table, so that a test can make any of them fail. Each behaves as the system
 * call of its name: -1 with errno on failure.
 */
struct disk {
	int (*open)(void *arg, const char *path, int flags); /* a new file gets mode 0600 */
	ssize_t (*write)(void *arg, int fd, const struct iovec *pieces, int count,
	    uint64_t offset);                                                       /* pwritev */
	ssize_t (*read)(void *arg, int fd, void *out, size_t len, uint64_t offset); /* pread */
	int (*sync)(void *arg, int fd); /* fdatasync: the data and the length */
	int (*truncate)(void *arg, int fd, uint64_t len);
	int (*rename)(void *arg, const char *from, const char *to);
	int (*unlink)(void *arg, const char *path);
	pid_t (*fork)(void *arg);
	uint64_t (*clock_us)(void); /* monotonic, for the time of retries */
	void *arg;
};

extern const struct disk disk_system;

/* Writes all pieces at offset; modifies pieces. False with errno: a part may have been written. */
bool disk_write_all(const struct disk *disk, int fd, struct iovec *pieces, size_t count,
    uint64_t offset) __attribute__((warn_unused_result));

/* Reads exactly len bytes. False with errno; EIO: the file is shorter. */
bool disk_read_all(const struct disk *disk, int fd, void *out, size_t len, uint64_t offset)
    __attribute__((warn_unused_result));

/* Syncs the folder of path, so that files created in it or renamed to it survive a crash. False
 * with errno. */
bool disk_sync_folder_of(const struct disk *disk, const char *path)
    __attribute__((warn_unused_result));

/* Renames, then syncs the folder. False with errno. */
bool disk_replace(const struct disk *disk, const char *from, const char *to)
    __attribute__((warn_unused_result));

#endif

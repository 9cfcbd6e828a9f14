/*
 * A disk that fails on demand, for LD_PRELOAD; tests/lib/disk.py is its other half.
 *
 * FANFARE_DISK names a file that both map: a table of rules (which call of which process fails,
 * waits or writes only a part) and a record of what was written, synced, created, renamed and
 * removed. From the record disk.py computes what a loss of power may leave behind.
 *
 * FANFARE_DISK_FOLDER names the folder whose files it is about; others, and logs, are left alone.
 * Nothing is synced in truth: the record says what would have been. A file that loses its name is
 * kept under a second one in the folder FANFARE_DISK_KEPT, so that the loss can be undone.
 *
 * The process that loads the library is the parent; what it forks is a child, until it executes.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RULES 16
#define RECORDS 400000
#define NAME 72
#define VECTORS 1024

/* The same numbers stand in disk.py. */
enum call { CALL_WRITE, CALL_SYNC, CALL_RENAME, CALL_TRUNCATE, CALL_OPEN, CALL_UNLINK, CALL_FORK };
enum who { WHO_PARENT = 1, WHO_CHILD = 2 };
enum event {
	EVENT_WRITE = 1,  /* inode, offset, length */
	EVENT_SYNC_BEGIN, /* inode, offset: the size of the file */
	EVENT_SYNC_END,   /* token: the record of its begin; length: 0, or the error */
	EVENT_TRUNCATE,   /* inode, length */
	EVENT_CREATE,     /* inode, name */
	EVENT_RENAME, /* inode, name, other: the new name, offset: number of the kept file, or -1 */
	EVENT_UNLINK, /* inode, name, offset: number of the kept file */
	EVENT_UNDONE, /* token: the record of a rename or an unlink that failed */
	EVENT_FOLDER_SYNC_BEGIN,
	EVENT_FOLDER_SYNC_END
};

struct rule {
	_Atomic uint32_t on;
	uint32_t call;
	uint32_t who;
	int32_t error; /* 0: does not fail */
	uint32_t delay_us;
	uint32_t chance;  /* of 65536 */
	uint32_t shorten; /* 1: each second time a write writes half of it in place of failing */
	_Atomic uint32_t hold;  /* calls wait as long as it is 1 */
	_Atomic uint32_t skip;  /* matching calls to let pass first */
	_Atomic uint32_t left;  /* times to act; UINT32_MAX: for ever */
	_Atomic uint32_t acted; /* times it did */
	_Atomic uint32_t held;  /* calls that wait now */
	char suffix[32];        /* of the file's name; empty: any */
};

struct record {
	_Atomic uint32_t event; /* written last; 0: the process ended in the middle */
	uint32_t pid;
	uint64_t inode;
	int64_t offset;
	int64_t length;
	int64_t token;
	char name[NAME];
	char other[NAME];
};

struct control {
	_Atomic uint64_t random;
	_Atomic int64_t room;  /* bytes that can be written before the disk is full; -1: no end */
	_Atomic uint64_t used; /* records */
	_Atomic uint64_t kept;
	struct rule rules[RULES];
	struct record records[RECORDS];
};

static struct control *control;
static pid_t parent;
static char folder[PATH_MAX];
static char kept_folder[PATH_MAX];

static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static int (*real_fsync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_renameat)(int, const char *, int, const char *);
static int (*real_unlinkat)(int, const char *, int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static pid_t (*real_fork)(void);

#define FIND(name) real_##name = (__typeof__(real_##name))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void
init(void)
{
	const char *path = getenv("FANFARE_DISK");
	const char *about = getenv("FANFARE_DISK_FOLDER");
	const char *keep = getenv("FANFARE_DISK_KEPT");
	FIND(open);
	FIND(openat);
	FIND(fsync);
	FIND(ftruncate);
	FIND(renameat);
	FIND(unlinkat);
	FIND(write);
	FIND(writev);
	FIND(pwritev);
	FIND(fork);
	parent = getpid();
	if (path == NULL || about == NULL || keep == NULL)
		return;
	snprintf(folder, sizeof folder, "%s", about);
	snprintf(kept_folder, sizeof kept_folder, "%s", keep);
	int fd = real_open(path, O_RDWR | O_CLOEXEC);
	if (fd == -1)
		return;
	void *map = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED)
		control = map;
}

/* Names */

static const char *
name_in_folder(const char *path)
{
	size_t len = strlen(folder);
	if (control == NULL || strncmp(path, folder, len) != 0)
		return NULL;
	if (path[len] == '\0')
		return path + len; /* the folder itself: an empty name */
	if (path[len] != '/' || strchr(path + len + 1, '/') != NULL)
		return NULL;
	const char *name = path + len + 1;
	const char *dot = strrchr(name, '.');
	if (dot != NULL && (strcmp(dot, ".log") == 0 || strcmp(dot, ".lock") == 0))
		return NULL;
	return strlen(name) < NAME ? name : NULL;
}

/* The name of an open file in the folder, or NULL. The buffer has PATH_MAX bytes. */
static const char *
name_of_fd(int fd, char *buffer)
{
	char link[64];
	if (control == NULL || fd <= STDERR_FILENO)
		return NULL;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t len = readlink(link, buffer, PATH_MAX - 1);
	if (len <= 0)
		return NULL;
	buffer[len] = '\0';
	char *deleted = strstr(buffer, " (deleted)");
	if (deleted != NULL)
		*deleted = '\0';
	return name_in_folder(buffer);
}

static const char *
name_at(int fd, const char *path, char *buffer)
{
	char base[PATH_MAX];
	if (control == NULL)
		return NULL;
	if (path[0] == '/') {
		snprintf(buffer, PATH_MAX, "%s", path);
	} else {
		char link[64] = "/proc/self/cwd";
		if (fd != AT_FDCWD)
			snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		ssize_t len = readlink(link, base, sizeof base - 1);
		if (len <= 0)
			return NULL;
		base[len] = '\0';
		if (strcmp(path, ".") == 0)
			snprintf(buffer, PATH_MAX, "%s", base);
		else if (len + strlen(path) + 2 < PATH_MAX)
			sprintf(buffer, "%s/%s", base,
			    path[0] == '.' && path[1] == '/' ? path + 2 : path);
		else
			return NULL;
	}
	return name_in_folder(buffer);
}

/* Rules */

static uint32_t
random_below(uint32_t limit)
{
	uint64_t x = atomic_fetch_add(&control->random, UINT64_C(0x9E3779B97F4A7C15));
	x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
	return (uint32_t)((x ^ (x >> 31)) % limit);
}

static void
sleep_us(uint32_t us)
{
	struct timespec time = {us / 1000000, (long)(us % 1000000) * 1000};
	nanosleep(&time, NULL);
}

static bool
take(_Atomic uint32_t *count)
{
	uint32_t value = atomic_load(count);
	while (value != 0 && value != UINT32_MAX)
		if (atomic_compare_exchange_weak(count, &value, value - 1))
			return true;
	return value != 0;
}

static bool
matches(const struct rule *rule, enum call call, const char *name)
{
	enum who who = getpid() == parent ? WHO_PARENT : WHO_CHILD;
	size_t len = strlen(rule->suffix), name_len = strlen(name);
	return atomic_load(&rule->on) != 0 && rule->call == (uint32_t)call &&
	       (rule->who & who) != 0 && name_len >= len &&
	       strcmp(name + name_len - len, rule->suffix) == 0;
}

static bool
stays(const struct rule *rule)
{
	return atomic_load(&rule->on) != 0 && atomic_load(&rule->hold) != 0;
}

/* The error that this call has to end with, or 0. `half` is set where a write is to write a part.
 */
static int
judge(enum call call, const char *name, bool *half)
{
	int error = 0;
	for (int i = 0; control != NULL && i < RULES; i++) {
		struct rule *rule = &control->rules[i];
		if (!matches(rule, call, name) ||
		    (rule->chance < 65536 && random_below(65536) >= rule->chance))
			continue;
		if (atomic_load(&rule->skip) != 0 && take(&rule->skip))
			continue;
		if (!take(&rule->left))
			continue;
		if (stays(rule)) {
			atomic_fetch_add(&rule->held, 1);
			while (stays(rule))
				sleep_us(1000);
			atomic_fetch_sub(&rule->held, 1);
		}
		if (rule->delay_us != 0)
			sleep_us(rule->delay_us);
		uint32_t times = atomic_fetch_add(&rule->acted, 1);
		if (half != NULL && rule->shorten != 0 && times % 2 == 0)
			*half = true;
		else if (error == 0)
			error = rule->error;
	}
	return error;
}

/* The record */

static int64_t
note(enum event event, uint64_t inode, int64_t offset, int64_t length, int64_t token,
    const char *name, const char *other)
{
	uint64_t number = atomic_fetch_add(&control->used, 1);
	if (number >= RECORDS)
		return -1;
	struct record *record = &control->records[number];
	record->pid = (uint32_t)getpid();
	record->inode = inode;
	record->offset = offset;
	record->length = length;
	record->token = token;
	snprintf(record->name, NAME, "%s", name);
	snprintf(record->other, NAME, "%s", other);
	atomic_store(&record->event, event);
	return (int64_t)number;
}

static int64_t
size_of(int fd)
{
	struct stat status;
	return fstat(fd, &status) == 0 ? status.st_size : 0;
}

static uint64_t
inode_of(int fd)
{
	struct stat status;
	return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

/* A second name for a file that is about to lose its name; its number, or -1 if there is no such
 * file. */
static int64_t
keep(int at, const char *path)
{
	char name[PATH_MAX + 32];
	int64_t number = (int64_t)atomic_fetch_add(&control->kept, 1);
	snprintf(name, sizeof name, "%s/%lld", kept_folder, (long long)number);
	return linkat(at, path, AT_FDCWD, name, 0) == 0 ? number : -1;
}

/* Writing */

static size_t
total_of(const struct iovec *vector, int count)
{
	size_t total = 0;
	for (int i = 0; i < count; i++)
		total += vector[i].iov_len;
	return total;
}

static ssize_t
write_some(int fd, const struct iovec *vector, int count, off_t offset, size_t limit)
{
	struct iovec part[VECTORS];
	int used = 0;
	for (; used < count && used < VECTORS && limit > 0; used++) {
		part[used] = vector[used];
		if (part[used].iov_len > limit)
			part[used].iov_len = limit;
		limit -= part[used].iov_len;
	}
	return offset < 0 ? real_writev(fd, part, used) : real_pwritev(fd, part, used, offset);
}

/* How much of `wanted` the disk has room for. */
static size_t
take_room(size_t wanted)
{
	int64_t room = atomic_load(&control->room);
	while (room >= 0) {
		int64_t some = (int64_t)wanted < room ? (int64_t)wanted : room;
		if (atomic_compare_exchange_weak(&control->room, &room, room - some))
			return (size_t)some;
	}
	return wanted;
}

static ssize_t
write_file(int fd, const char *name, const struct iovec *vector, int count, off_t offset)
{
	bool half = false;
	size_t total = total_of(vector, count);
	int error = judge(CALL_WRITE, name, &half);
	size_t limit = half ? (total + 1) / 2 : total;
	limit = error == 0 ? take_room(limit) : 0;
	if (limit == 0 && total > 0) {
		errno = error != 0 ? error : ENOSPC;
		return -1;
	}
	ssize_t done = write_some(fd, vector, count, offset, limit);
	if (done > 0) {
		off_t at = offset >= 0 ? offset : lseek(fd, 0, SEEK_CUR) - done;
		note(EVENT_WRITE, inode_of(fd), at, done, -1, name, "");
	}
	return done;
}

ssize_t
write(int fd, const void *data, size_t len)
{
	char buffer[PATH_MAX];
	const char *name = name_of_fd(fd, buffer);
	struct iovec vector = {(void *)(uintptr_t)data, len};
	return name == NULL ? real_write(fd, data, len) : write_file(fd, name, &vector, 1, -1);
}

ssize_t
writev(int fd, const struct iovec *vector, int count)
{
	char buffer[PATH_MAX];
	const char *name = name_of_fd(fd, buffer);
	return name == NULL ? real_writev(fd, vector, count)
			    : write_file(fd, name, vector, count, -1);
}

ssize_t
pwritev(int fd, const struct iovec *vector, int count, off_t offset)
{
	char buffer[PATH_MAX];
	const char *name = name_of_fd(fd, buffer);
	return name == NULL ? real_pwritev(fd, vector, count, offset)
			    : write_file(fd, name, vector, count, offset);
}

ssize_t
pwritev64(int fd, const struct iovec *vector, int count, off_t offset)
{
	return pwritev(fd, vector, count, offset);
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t offset)
{
	struct iovec vector = {(void *)(uintptr_t)data, len};
	return pwritev(fd, &vector, 1, offset);
}

ssize_t
pwrite64(int fd, const void *data, size_t len, off_t offset)
{
	return pwrite(fd, data, len, offset);
}

/* Syncing and cutting */

static int
sync_file(int fd)
{
	char buffer[PATH_MAX];
	const char *name = name_of_fd(fd, buffer);
	if (name == NULL)
		return real_fsync(fd);
	bool whole_folder = *name == '\0';
	int64_t begin =
	    note(whole_folder ? EVENT_FOLDER_SYNC_BEGIN
			      : EVENT_SYNC_BEGIN, /* inode, offset: the size of the file */
		inode_of(fd), size_of(fd), 0, -1, name, "");
	int error = judge(CALL_SYNC, name, NULL);
	note(whole_folder ? EVENT_FOLDER_SYNC_END : EVENT_SYNC_END, inode_of(fd), 0, error, begin,
	    name, "");
	errno = error;
	return error == 0 ? 0 : -1;
}

int
fsync(int fd)
{
	return sync_file(fd);
}

int
fdatasync(int fd)
{
	return sync_file(fd);
}

int
ftruncate(int fd, off_t len)
{
	char buffer[PATH_MAX];
	const char *name = name_of_fd(fd, buffer);
	int error = name == NULL ? 0 : judge(CALL_TRUNCATE, name, NULL);
	if (error != 0) {
		errno = error;
		return -1;
	}
	int status = real_ftruncate(fd, len);
	if (name != NULL && status == 0)
		note(EVENT_TRUNCATE, inode_of(fd), 0, len, -1, name, "");
	return status;
}

int
ftruncate64(int fd, off_t len)
{
	return ftruncate(fd, len);
}

/* Names of files */

static int
open_file(int at, const char *path, int flags, mode_t mode)
{
	char buffer[PATH_MAX];
	const char *name = name_at(at, path, buffer);
	bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT) != 0;
	if (name == NULL || (!writes && *name != '\0'))
		return real_openat(at, path, flags, mode);
	int error = judge(CALL_OPEN, name, NULL);
	if (error != 0) {
		errno = error;
		return -1;
	}
	bool is_new = (flags & O_CREAT) != 0 && faccessat(at, path, F_OK, 0) != 0;
	int fd = real_openat(at, path, flags, mode);
	if (fd != -1 && is_new)
		note(EVENT_CREATE, inode_of(fd), 0, 0, -1, name, "");
	else if (fd != -1 && (flags & O_TRUNC) != 0)
		note(EVENT_TRUNCATE, inode_of(fd), 0, 0, -1, name, "");
	return fd;
}

static mode_t
mode_of(int flags, va_list arguments)
{
	return (flags & (O_CREAT)) != 0 ? va_arg(arguments, mode_t) : 0;
}

#define OPEN_WITH(at)                                                                              \
	va_list arguments;                                                                         \
	va_start(arguments, flags);                                                                \
	mode_t mode = mode_of(flags, arguments);                                                   \
	va_end(arguments);                                                                         \
	return open_file(at, path, flags, mode)

int
open(const char *path, int flags, ...)
{
	OPEN_WITH(AT_FDCWD);
}

int
open64(const char *path, int flags, ...)
{
	OPEN_WITH(AT_FDCWD);
}

int
openat(int at, const char *path, int flags, ...)
{
	OPEN_WITH(at);
}

int
openat64(int at, const char *path, int flags, ...)
{
	OPEN_WITH(at);
}

static uint64_t
inode_at(int at, const char *path)
{
	struct stat status;
	return fstatat(at, path, &status, 0) == 0 ? status.st_ino : 0;
}

int
renameat(int at, const char *path, int new_at, const char *new_path)
{
	char buffer[PATH_MAX], new_buffer[PATH_MAX];
	const char *name = name_at(at, path, buffer);
	const char *new_name = name_at(new_at, new_path, new_buffer);
	if (name == NULL || new_name == NULL)
		return real_renameat(at, path, new_at, new_path);
	int error = judge(CALL_RENAME, new_name, NULL);
	if (error != 0) {
		errno = error;
		return -1;
	}
	int64_t kept = keep(new_at, new_path);
	int64_t begin = note(EVENT_RENAME, inode_at(at, path), kept, 0, -1, name, new_name);
	int status = real_renameat(at, path, new_at, new_path);
	if (status != 0)
		note(EVENT_UNDONE, 0, 0, 0, begin, "", "");
	return status;
}

int
rename(const char *path, const char *new_path)
{
	return renameat(AT_FDCWD, path, AT_FDCWD, new_path);
}

int
unlinkat(int at, const char *path, int flags)
{
	char buffer[PATH_MAX];
	const char *name = name_at(at, path, buffer);
	if (name == NULL || (flags & AT_REMOVEDIR) != 0)
		return real_unlinkat(at, path, flags);
	int error = judge(CALL_UNLINK, name, NULL);
	if (error != 0) {
		errno = error;
		return -1;
	}
	int64_t kept = keep(at, path);
	int64_t begin = note(EVENT_UNLINK, inode_at(at, path), kept, 0, -1, name, "");
	int status = real_unlinkat(at, path, flags);
	if (status != 0)
		note(EVENT_UNDONE, 0, 0, 0, begin, "", "");
	return status;
}

int
unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

pid_t
fork(void)
{
	int error = control == NULL ? 0 : judge(CALL_FORK, "", NULL);
	if (error != 0) {
		errno = error;
		return -1;
	}
	return real_fork();
}

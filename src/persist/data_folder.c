#include "config.h"

#include "persist/data_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

/* Within a second. */
#define LOCK_TRIES 50

static const char lock_file[] = DATA_FOLDER_LOCK;

/* The process that holds the lock, for the message: the lock file names it. */
static long
owner_of(int fd)
{
	char text[32] = {0};

	return pread(fd, text, sizeof(text) - 1, 0) > 0 ? strtol(text, NULL, 10) : 0;
}

static void
describe(int fd, int error_number, struct buffer *error)
{
	char folder[4096];
	const char *where = getcwd(folder, sizeof(folder)) != NULL ? folder : ".";

	if (error_number == EAGAIN)
		buffer_appendf(
		    error, "dir %s: in use by another fanfared (process %ld)", where, owner_of(fd));
	else
		buffer_appendf(error, "dir %s: %s: %s", where, lock_file, strerror(error_number));
}

static void
remove_left_over(const char *name)
{
	if (unlink(name) == 0)
		log_notice("incomplete file %s removed", name);
}

/*
 * A lock of the open file, not of the process: a library that opens and closes the file must not
 * release it. The child of a daemon that was killed while it began a rewrite or a snapshot may
 * still hold the lock for a moment.
 */
static bool
take_lock(int fd, bool may_wait)
{
	static const struct timespec pause = {.tv_nsec = 1000000000 / LOCK_TRIES};
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int tries;

	for (tries = may_wait ? LOCK_TRIES : 0; tries > 0; tries--) {
		if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
			return true;
		if (errno != EAGAIN && errno != EACCES)
			return false;
		nanosleep(&pause, NULL);
	}
	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

void
data_folder_name_owner(int fd)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len)
		log_warn("%s: %s", lock_file, strerror(errno));
}

bool
data_folder_lock(int *fd, bool may_wait, struct buffer *error)
{
	int error_number;

	*fd = open(lock_file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd == -1) {
		error_number = errno;
		describe(-1, error_number, error);
		errno = error_number;
		return false;
	}
	if (!take_lock(*fd, may_wait)) {
		error_number = errno == EACCES ? EAGAIN : errno;
		describe(*fd, error_number, error);
		close(*fd);
		*fd = -1;
		errno = error_number;
		return false;
	}
	data_folder_name_owner(*fd);
	remove_left_over(REWRITE_TEMP);
	remove_left_over(SNAPSHOT_TEMP);
	remove_left_over(FOREGROUND_TEMP);
	remove_left_over(STARTING_LOG_TEMP);
	remove_left_over(HISTORY_TEMP);
	return true;
}

#include "config.h"

#include "app/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"

static int null_fd =
    -1; /* /dev/null, for daemon_ready(); opened before a chroot, which may have no /dev */

/* The parent's side: reads a byte when the child is ready, end of file when it has ended. */
static void
wait_for_child(int fd, pid_t child)
{
	ssize_t got;
	int status = 0;
	char byte;

	do
		got = read(fd, &byte, 1);
	while (got < 0 && errno == EINTR);
	if (got == 1)
		_exit(EXIT_SUCCESS);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	_exit(WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : EXIT_FAILURE);
}

int
daemon_detach(void)
{
	int fds[2];
	pid_t child;
	int saved_errno;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return -1;
	child = fork();
	if (child < 0) {
		saved_errno = errno;
		close(fds[0]);
		close(fds[1]);
		errno = saved_errno;
		return -1;
	}
	if (child > 0) {
		close(fds[1]);
		wait_for_child(fds[0], child);
	}
	close(fds[0]);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	(void)setsid(); /* cannot fail: a new child is not a process group leader */
	return fds[1];
}

void
daemon_ready(int ready_fd)
{
	int i;

	for (i = STDIN_FILENO; i <= STDERR_FILENO && null_fd >= 0; i++)
		(void)dup2(null_fd, i);
	if (null_fd > STDERR_FILENO)
		close(null_fd);
	null_fd = -1;
	while (write(ready_fd, "", 1) < 0 && errno == EINTR)
		continue;
	close(ready_fd);
}

/* Overwrites the number of a predecessor in place, so that a reader always finds one of the two. */
bool
pidfile_write(const char *path)
{
	char line[BYTES_I64_MAX + 1];
	size_t len = bytes_from_i64(line, getpid());
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	bool ok;

	if (fd < 0)
		return false;
	line[len++] = '\n';
	ok = write(fd, line, len) == (ssize_t)len && ftruncate(fd, (off_t)len) == 0;
	return close(fd) == 0 && ok;
}

void
pidfile_remove(const char *path)
{
	char text[BYTES_I64_MAX + 2];
	FILE *file = fopen(path, "re");
	int64_t pid = 0;

	if (file == NULL)
		return;
	if (fgets(text, sizeof(text), file) != NULL &&
	    slice_to_i64((struct slice){text, strcspn(text, "\n")}, &pid) && pid == getpid())
		(void)unlink(path);
	fclose(file);
}

/*
 * Makes one system call of an upgrade fail, for LD_PRELOAD; tests/test_upgrade_keys.py is its other
 * half.
 *
 * FANFARE_CALLS names a file that all processes map: the call that is to fail, counted over all
 * processes since the test armed it, its error, and whether the process that makes it dies in place
 * of that.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES 4096

struct control {
	_Atomic uint32_t armed;
	_Atomic uint32_t count; /* calls since then */
	uint32_t fail_at;       /* from 1; 0: none */
	int32_t error;          /* 0: the process is killed by SIGKILL */
	_Atomic uint32_t has_failed;
	char name[64]; /* of the call that failed */
};

static struct control *control;

#define FIND(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void
init(void)
{
	const char *path = getenv("FANFARE_CALLS");
	int fd = path != NULL ? FIND(open)(path, O_RDWR | O_CLOEXEC) : -1;
	void *map;

	if (fd == -1)
		return;
	map = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED)
		control = map;
}

/* True if this call has to fail. */
static bool
fails(const char *name)
{
	if (control == NULL || !control->armed)
		return false;
	if (++control->count != control->fail_at)
		return false;
	snprintf(control->name, sizeof control->name, "%s", name);
	control->has_failed = 1;
	if (control->error == 0)
		kill(getpid(), SIGKILL);
	errno = control->error;
	return true;
}

/* Only the calls of an upgrade: messages on the socket between the processes, files in the folder,
 * processes. */

static bool
is_packet_socket(int fd)
{
	int saved = errno, type = 0;
	socklen_t len = sizeof type;
	bool is = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;

	errno = saved;
	return is;
}

int
socketpair(int domain, int type, int protocol, int fds[2])
{
	return fails("socketpair") ? -1 : FIND(socketpair)(domain, type, protocol, fds);
}

ssize_t
sendmsg(int fd, const struct msghdr *message, int flags)
{
	if (is_packet_socket(fd) && fails("sendmsg"))
		return -1;
	return FIND(sendmsg)(fd, message, flags);
}

ssize_t
recvmsg(int fd, struct msghdr *message, int flags)
{
	if (is_packet_socket(fd) && fails("recvmsg"))
		return -1;
	return FIND(recvmsg)(fd, message, flags);
}

pid_t
fork(void)
{
	return fails("fork") ? -1 : FIND(fork)();
}

int
execve(const char *path, char *const argv[], char *const environment[])
{
	return fails("execve") ? -1 : FIND(execve)(path, argv, environment);
}

int
pipe2(int fds[2], int flags)
{
	return fails("pipe2") ? -1 : FIND(pipe2)(fds, flags);
}

int
fdatasync(int fd)
{
	return fails("fdatasync") ? -1 : FIND(fdatasync)(fd);
}

ssize_t
pwritev(int fd, const struct iovec *pieces, int count, off_t offset)
{
	return fails("pwritev") ? -1 : FIND(pwritev)(fd, pieces, count, offset);
}

int
rename(const char *from, const char *to)
{
	return fails("rename") ? -1 : FIND(rename)(from, to);
}

int
unlink(const char *path)
{
	return fails("unlink") ? -1 : FIND(unlink)(path);
}

int
open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	va_start(args, flags);
	if ((flags & O_CREAT) != 0)
		mode = va_arg(args, mode_t);
	va_end(args);
	if (strstr(path, "appendonly.aof") != NULL && fails("open"))
		return -1;
	return FIND(open)(path, flags, mode);
}

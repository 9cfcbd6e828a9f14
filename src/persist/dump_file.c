#include "config.h"

#include "persist/dump_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "persist/aof.h"
#include "persist/aof_load.h"
#include "persist/disk.h"
#include "persist/keyspace.h"

struct dump_file {
	const struct disk *disk;
	int fd;
	uint64_t offset;
	int error;
};

static bool
write_batch(void *arg, struct slice commands)
{
	struct dump_file *file = arg;
	char header[AOF_HEADER_LEN];
	struct iovec pieces[2] = {
	    {header, sizeof(header)}, {(void *)(uintptr_t)commands.ptr, commands.len}};

	aof_header_write(header, file->offset, commands);
	if (!disk_write_all(file->disk, file->fd, pieces, 2, file->offset)) {
		file->error = errno;
		return false;
	}
	file->offset += sizeof(header) + commands.len;
	return true;
}

static bool
write_end_mark(struct dump_file *file)
{
	char mark[64];
	int len = snprintf(mark, sizeof(mark), AOF_END_MARK "%llu\r\n",
	    (unsigned long long)(clock_wall_us() / 1000000));

	return write_batch(file, (struct slice){mark, (size_t)len});
}

bool
dump_file_write(const struct disk *disk, const struct persist_keyspace *keyspace, const char *path)
{
	struct dump_file file = {
	    .disk = disk, .fd = disk->open(disk->arg, path, O_RDWR | O_CREAT | O_TRUNC)};

	if (file.fd == -1)
		return false;
	if (keyspace->dump(keyspace->arg, false, write_batch, &file) && write_end_mark(&file) &&
	    disk->sync(disk->arg, file.fd) != 0)
		file.error = errno;
	if (close(file.fd) != 0 && file.error == 0)
		file.error = errno;
	if (file.error == 0)
		return true;
	(void)disk->unlink(disk->arg, path);
	errno = file.error;
	return false;
}

static void
close_from_to(unsigned from, unsigned to)
{
	long last = to == ~0U ? sysconf(_SC_OPEN_MAX) : (long)to;

	if (from < 3)
		from = 3;
	if (from > to)
		return;
#ifdef SYS_close_range
	if (syscall(SYS_close_range, from, to, 0) == 0)
		return;
#endif
	for (long fd = from; fd <= last; fd++)
		close((int)fd);
}

/* Closes all files except these two, of which the second may be -1, and the standard ones.
 * Otherwise connections that the daemon closes would stay open in the child. */
static void
close_others(int kept, int also)
{
	unsigned low = (unsigned)(also > 2 && also < kept ? also : kept);
	unsigned high = (unsigned)(also > kept ? also : kept);

	if (low > 3)
		close_from_to(3, low - 1);
	close_from_to(low + 1, high - 1);
	close_from_to(high + 1, ~0U);
}

static void __attribute__((noreturn))
be_child(const struct dump_work *work, int result_fd, pid_t parent)
{
	static const int deadly[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD};
	sigset_t none;
	int error;

	for (size_t i = 0; i < sizeof(deadly) / sizeof(*deadly); i++)
		signal(deadly[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* If the parent dies, the child's work is of no use. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	close_others(result_fd, work->fd);
	error = work->run(work->arg);
	_exit(write(result_fd, &error, sizeof(error)) == sizeof(error) ? 0 : 1);
}

bool
dump_child_start(struct dump_child *child, const struct disk *disk, const struct dump_work *work)
{
	uint64_t begun_us = clock_mono_us();
	pid_t parent = getpid(), pid;
	sigset_t all, before;
	int fds[2], error;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return false;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = disk->fork(disk->arg);
	if (pid == 0)
		be_child(work, fds[1], parent);
	error = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(fds[1]);
	if (pid == -1) {
		close(fds[0]);
		errno = error;
		return false;
	}
	*child = (struct dump_child){
	    .pid = pid, .result_fd = fds[0], .fork_us = clock_mono_us() - begun_us};
	return true;
}

struct file_work {
	const struct disk *disk;
	const struct persist_keyspace *keyspace;
	const char *path;
};

static int
write_file(void *arg)
{
	const struct file_work *work = arg;

	return dump_file_write(work->disk, work->keyspace, work->path) ? 0 : errno;
}

bool
dump_child_start_file(struct dump_child *child, const struct disk *disk,
    const struct persist_keyspace *keyspace, const char *path)
{
	struct file_work file = {disk, keyspace, path};
	const struct dump_work work = {.run = write_file, .arg = &file, .fd = -1};

	return dump_child_start(child, disk, &work);
}

/* The errno for a child that closed its end of the pipe without a result. */
static int
why_ended(struct dump_child *child)
{
	static const int polite[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
	int status = 0;

	while (waitpid(child->pid, &status, 0) == -1 && errno == EINTR)
		;
	child->pid = 0;
	for (size_t i = 0; i < sizeof(polite) / sizeof(*polite); i++)
		if (WIFSIGNALED(status) && WTERMSIG(status) == polite[i])
			return EINTR;
	return ECHILD;
}

int
dump_child_result(struct dump_child *child)
{
	int error = 0;
	ssize_t n = read(child->result_fd, &error, sizeof(error));

	close(child->result_fd);
	child->result_fd = -1;
	return n == sizeof(error) ? error : why_ended(child);
}

void
dump_child_kill(const struct dump_child *child)
{
	if (child->pid > 0)
		(void)kill(child->pid, SIGKILL);
}

bool
dump_child_end(struct dump_child *child, uint64_t limit_us)
{
	struct pollfd end = {.fd = child->result_fd, .events = POLLIN};
	uint64_t limit_ms = limit_us / 1000;

	if (child->result_fd == -1)
		return false;
	dump_child_kill(child);
	if (poll(&end, 1, limit_ms < INT_MAX ? (int)limit_ms : INT_MAX) == 1) {
		(void)dump_child_result(child);
	} else {
		close(child->result_fd);
		child->result_fd = -1;
	}
	return true;
}

bool
dump_child_reap(struct dump_child *child)
{
	int status;

	if (child->pid == 0)
		return true;
	if (child->result_fd != -1 || waitpid(child->pid, &status, WNOHANG) == 0)
		return false;
	child->pid = 0;
	return true;
}

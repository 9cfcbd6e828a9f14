#include "config.h"

#include "app/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/systemd.h"
#include "app/upgrade_channel.h"
#include "base/alloc.h"
#include "base/bytes.h"

#define SELF "/proc/self/exe"

/* What the child needs between fork and exec, where it may not allocate. */
struct launch {
	const struct upgrade *upgrade;
	int *fds; /* owned: those of the listeners, then that of our socket */
	size_t fd_count;
	char **environment; /* owned */
	char *own_pid;      /* the digits behind "LISTEN_PID=" in it */
	struct buffer text; /* that environment points into */
	sigset_t mask;
};

static char *
own_path(void)
{
	char path[PATH_MAX];
	ssize_t len = readlink(SELF, path, sizeof(path) - 1);

	if (len <= 0 || len >= (ssize_t)sizeof(path) - 1)
		return NULL;
	path[len] = '\0';
	return xstrdup(path);
}

static bool
is_this_program(const char *path)
{
	struct stat of_path, of_self;

	return stat(path, &of_path) == 0 && stat(SELF, &of_self) == 0 &&
	       of_path.st_dev == of_self.st_dev && of_path.st_ino == of_self.st_ino;
}

/*
 * argv[0] if it is a path of the running program: it may contain links, which may lead to a new
 * version later. A program that was found by PATH is not searched again.
 */
void
upgrade_init(struct upgrade *u, char **argv)
{
	char cwd[PATH_MAX];
	char *path = NULL;

	*u = (struct upgrade){.argv = argv, .fd = -1};
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		return;
	u->cwd = xstrdup(cwd);
	if (argv[0] != NULL && argv[0][0] == '/')
		path = xstrdup(argv[0]);
	else if (argv[0] != NULL && strchr(argv[0], '/') != NULL)
		path = xasprintf("%s/%s", cwd, argv[0]);
	if (path != NULL && !is_this_program(path)) {
		xfree(path);
		path = NULL;
	}
	u->path = path != NULL ? path : own_path();
}

void
upgrade_release(struct upgrade *u)
{
	upgrade_give_up(u);
	xfree(u->path);
	xfree(u->cwd);
	u->path = u->cwd = NULL;
}

static bool
is_ours(const char *variable)
{
	static const char *const names[] = {
	    "LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=", "FANFARED_UPGRADE="};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strncmp(variable, names[i], strlen(names[i])) == 0)
			return true;
	/* Our own variables were removed at the start; these are for another process. */
	return systemd_path() != NULL && strncmp(variable, "NOTIFY_SOCKET=", 14) == 0;
}

/* Ends the text of one variable. Stores offsets, because the text may move. */
static void
end_variable(struct launch *launch, size_t *places, size_t *count)
{
	buffer_append(&launch->text, "", 1);
	places[++*count] = launch->text.len;
}

/* The environment of the successor. */
static void
make_environment(struct launch *launch, const struct net_listener *listeners, size_t listener_count)
{
	size_t had = 0, count = 0, own_pid_at, *places;

	while (environ[had] != NULL)
		had++;
	places = xcalloc(had + 8, sizeof(*places));
	for (size_t i = 0; i < had; i++) {
		if (is_ours(environ[i]))
			continue;
		buffer_append_str(&launch->text, environ[i]);
		end_variable(launch, places, &count);
	}
	buffer_append_str(&launch->text, "LISTEN_PID=");
	own_pid_at = launch->text.len;
	buffer_append(&launch->text, (const char[BYTES_I64_MAX]){0}, BYTES_I64_MAX);
	end_variable(launch, places, &count);
	buffer_appendf(&launch->text, "LISTEN_FDS=%zu", listener_count);
	end_variable(launch, places, &count);
	buffer_append_str(&launch->text, "LISTEN_FDNAMES=");
	for (size_t i = 0; i < listener_count; i++)
		buffer_appendf(&launch->text, "%s%s", i > 0 ? ":" : "", listeners[i].name);
	end_variable(launch, places, &count);
	buffer_appendf(
	    &launch->text, "FANFARED_UPGRADE=%d", SYSTEMD_FIRST_FD + (int)listener_count);
	end_variable(launch, places, &count);
	if (systemd_path() != NULL) {
		buffer_appendf(&launch->text, "NOTIFY_SOCKET=%s", systemd_path());
		end_variable(launch, places, &count);
	}
	launch->environment = xcalloc(count + 1, sizeof(*launch->environment));
	for (size_t i = 0; i < count; i++)
		launch->environment[i] = launch->text.ptr + places[i];
	launch->own_pid = launch->text.ptr + own_pid_at;
	xfree(places);
}

/* Moves the descriptors to SYSTEMD_FIRST_FD and up. It first moves them above that range, because
 * one may be in the place of another. False with errno. */
static bool
place_descriptors(struct launch *launch)
{
	int behind = SYSTEMD_FIRST_FD + (int)launch->fd_count;

	for (size_t i = 0; i < launch->fd_count; i++) {
		int fd = fcntl(launch->fds[i], F_DUPFD_CLOEXEC, behind);

		if (fd == -1)
			return false;
		launch->fds[i] = fd;
	}
	for (size_t i = 0; i < launch->fd_count; i++)
		if (dup2(launch->fds[i], SYSTEMD_FIRST_FD + (int)i) == -1)
			return false;
	return true;
}

/* The child. Uses only functions that are safe after the fork of a process with threads. */
static void __attribute__((noreturn)) become_successor(struct launch *launch)
{
	static const int caught[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD, SIGPIPE};
	const struct upgrade *u = launch->upgrade;
	int64_t error;

	for (size_t i = 0; i < sizeof(caught) / sizeof(*caught); i++)
		signal(caught[i], SIG_DFL);
	pthread_sigmask(SIG_SETMASK, &launch->mask, NULL);
	bytes_from_i64(launch->own_pid, getpid());
	if (place_descriptors(launch) && chdir(u->cwd) == 0)
		execve(u->path, u->argv, launch->environment);
	error = errno;
	(void)!upgrade_channel_send(launch->fds[launch->fd_count - 1], UPGRADE_NO_PROGRAM,
	    (struct slice){(const char *)&error, sizeof(error)}, -1, true);
	_exit(EXIT_FAILURE);
}

/* Signal handlers must not run in the child, where they would act on the parent's state. */
static pid_t
fork_successor(struct launch *launch)
{
	sigset_t all;
	pid_t child;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &launch->mask);
	child = fork();
	if (child == 0)
		become_successor(launch);
	pthread_sigmask(SIG_SETMASK, &launch->mask, NULL);
	return child;
}

bool
upgrade_start(
    struct upgrade *u, const struct net_listener *listeners, size_t count, struct buffer *error)
{
	struct launch launch = {.upgrade = u, .fd_count = count + 1};
	int fds[2];

	if (u->path == NULL) {
		buffer_append_str(error, "it cannot be known what this process was started from");
		return false;
	}
	/* An earlier successor that failed and has not ended yet. */
	if (u->child > 0 && kill(u->child, SIGKILL) == 0)
		(void)waitpid(u->child, NULL, 0);
	u->child = 0;
	if (!upgrade_channel_open(fds)) {
		buffer_appendf(error, "socketpair: %s", strerror(errno));
		return false;
	}
	launch.fds = xcalloc(launch.fd_count, sizeof(*launch.fds));
	for (size_t i = 0; i < count; i++)
		launch.fds[i] = listeners[i].fd;
	launch.fds[count] = fds[1];
	make_environment(&launch, listeners, count);
	u->child = fork_successor(&launch);
	if (u->child < 0)
		buffer_appendf(error, "fork: %s", strerror(errno));
	close(fds[1]);
	buffer_release(&launch.text);
	xfree(launch.environment);
	xfree(launch.fds);
	u->fd = fds[0];
	if (u->child > 0)
		return true;
	u->child = 0;
	upgrade_give_up(u);
	return false;
}

void
upgrade_disconnect(struct upgrade *u)
{
	if (u->fd != -1)
		close(u->fd);
	u->fd = -1;
}

void
upgrade_give_up(struct upgrade *u)
{
	if (u->fd == -1)
		return;
	upgrade_disconnect(u);
	if (u->child > 0)
		kill(u->child, SIGKILL);
}

bool
upgrade_reap(struct upgrade *u, pid_t *child, int *status)
{
	if (u->child <= 0 || waitpid(u->child, status, WNOHANG) != u->child)
		return false;
	*child = u->child;
	u->child = 0;
	return true;
}

bool
upgrade_take(int *fd)
{
	const char *text = getenv("FANFARED_UPGRADE");
	int64_t number = -1;
	bool ok =
	    text == NULL || (slice_to_i64(slice_of(text), &number) && number >= SYSTEMD_FIRST_FD &&
				number <= INT_MAX && fcntl((int)number, F_SETFD, FD_CLOEXEC) == 0);

	*fd = ok ? (int)number : -1;
	unsetenv("FANFARED_UPGRADE");
	return ok;
}

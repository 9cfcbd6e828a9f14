#include "config.h"

#include "app/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bytes.h"

static int notify_fd = -1;
static char *notify_path; /* owned */

/* A number in the environment; 0 if there is none. */
static uint64_t
environment_number(const char *name)
{
	const char *text = getenv(name);
	uint64_t number = 0;

	if (text == NULL || !slice_to_u64(slice_of(text), &number))
		return 0;
	return number;
}

struct systemd_sockets
systemd_take_sockets(void)
{
	enum { MAX_SOCKETS = 64 };
	const char *names = getenv("LISTEN_FDNAMES");
	struct systemd_sockets sockets = {0};
	size_t count = 0;

	if (environment_number("LISTEN_PID") == (uint64_t)getpid())
		count = (size_t)environment_number("LISTEN_FDS");
	if (count > MAX_SOCKETS)
		count = MAX_SOCKETS;
	for (size_t i = 0; i < count; i++)
		(void)fcntl(SYSTEMD_FIRST_FD + (int)i, F_SETFD, FD_CLOEXEC);
	sockets.count = count;
	if (count > 0 && names != NULL)
		sockets.names = xstrdup(names);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return sockets;
}

bool
systemd_has_supervisor(void)
{
	return getenv("NOTIFY_SOCKET") != NULL;
}

bool
systemd_open(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len;
	int saved_errno;

	/* A path, or a name in the abstract namespace, written with @ in place of its NUL. */
	if (path == NULL || (path[0] != '/' && path[0] != '@')) {
		errno = path == NULL ? ENOENT : EINVAL;
		return false;
	}
	len = strlen(path);
	if (len >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	else
		len++;
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (notify_fd < 0)
		return false;
	if (connect(notify_fd, (const struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) != 0) {
		saved_errno = errno;
		systemd_close();
		errno = saved_errno;
		return false;
	}
	notify_path = xstrdup(path);
	unsetenv("NOTIFY_SOCKET");
	return true;
}

void
systemd_close(void)
{
	if (notify_fd >= 0)
		close(notify_fd);
	notify_fd = -1;
	xfree(notify_path);
	notify_path = NULL;
}

const char *
systemd_path(void)
{
	return notify_path;
}

void
systemd_notify(const char *format, ...)
{
	char state[512];
	va_list args;
	int len;

	if (notify_fd < 0)
		return;
	va_start(args, format);
	len = vsnprintf(state, sizeof(state), format, args);
	va_end(args);
	/* Does not wait: a supervisor that does not read must not stop the daemon. */
	if (len > 0 && (size_t)len < sizeof(state))
		(void)send(notify_fd, state, (size_t)len, MSG_NOSIGNAL);
}

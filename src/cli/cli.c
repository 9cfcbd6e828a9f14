#include "config.h"

#include "cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/loop.h"

#define FLUSH_BYTES ((size_t)64 * 1024)

void
cli_warn(const char *format, ...)
{
	va_list args;

	fputs("fanfare: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/*
 * Returns 0 or an errno. After a signal it returns EINTR, because the loop will stop. It must not
 * write again after a short write that a signal may have caused: that write could block.
 */
static int
write_all(int fd, struct slice s)
{
	while (s.len > 0) {
		ssize_t n;

		if (loop_is_interrupted())
			return EINTR;
		n = write(fd, s.ptr, s.len);
		if (n >= 0) {
			s.ptr += n;
			s.len -= (size_t)n;
		} else if (errno != EAGAIN) {
			return errno;
		} else if (poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1) < 0) {
			return errno;
		}
	}
	return 0;
}

bool
cli_flush(struct cli *cli)
{
	int error = write_all(STDOUT_FILENO, buffer_slice(&cli->out));

	buffer_clear(&cli->out);
	buffer_shrink(&cli->out, FLUSH_BYTES);
	switch (error) {
	case 0:
		return true;
	case EINTR:
		return false;
	case EPIPE:
		loop_stop(cli->loop, CLI_OK);
		return false;
	default:
		cli_warn("cannot write output: %s", strerror(error));
		loop_stop(cli->loop, CLI_FAILED);
		return false;
	}
}

bool
cli_flush_some(struct cli *cli)
{
	return cli->out.len < FLUSH_BYTES || cli_flush(cli);
}

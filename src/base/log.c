#include "config.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { LINE_BYTES = 4096 };

static const char *const level_names[] = {"debug", "info", "notice", "warn", "error"};
static const int level_priorities[] = {LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING, LOG_ERR};

static enum log_level log_level = LOG_LEVEL_NOTICE;
static enum log_sink log_sink = LOG_TO_STDERR;
static int log_fd = STDERR_FILENO; /* the target unless it is syslog */
static char *log_file;             /* owned */
static char *log_ident;            /* owned; openlog keeps the pointer */

static int
open_file(const char *path)
{
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

static void
close_sink(void)
{
	if (log_fd != STDERR_FILENO)
		close(log_fd);
	if (log_sink == LOG_TO_SYSLOG)
		closelog();
	log_fd = STDERR_FILENO;
	xfree(log_file);
	log_file = NULL;
	xfree(log_ident);
	log_ident = NULL;
}

bool
log_open(const struct log_config *config)
{
	char *file = NULL, *ident = NULL;
	int fd = STDERR_FILENO;

	if (config->sink == LOG_TO_FILE) {
		fd = open_file(config->file);
		if (fd < 0)
			return false;
		file = xstrdup(config->file);
	} else if (config->sink == LOG_TO_SYSLOG) {
		ident = xstrdup(config->syslog_ident);
	}
	/* Copied before the old names are freed, because config may point to them. */
	close_sink();
	log_level = config->level;
	log_sink = config->sink;
	log_fd = fd;
	log_file = file;
	log_ident = ident;
	/* Connected at once, because /dev/log may be missing in a chroot. */
	if (log_sink == LOG_TO_SYSLOG)
		openlog(log_ident, LOG_PID | LOG_NDELAY, config->syslog_facility);
	return true;
}

bool
log_reopen(void)
{
	int fd;

	if (log_sink != LOG_TO_FILE)
		return true;
	fd = open_file(log_file);
	if (fd < 0)
		return false;
	close(log_fd);
	log_fd = fd;
	return true;
}

void
log_set_level(enum log_level level)
{
	log_level = level;
}

static size_t
put_prefix(char *line, enum log_level level)
{
	uint64_t now_us = clock_wall_us();
	time_t seconds = (time_t)(now_us / 1000000);
	struct tm utc;
	size_t len;

	gmtime_r(&seconds, &utc);
	len = strftime(line, LINE_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
	return len + (size_t)snprintf(line + len, LINE_BYTES - len,
			 ".%03uZ [%ld] %s: ", (unsigned int)(now_us / 1000 % 1000), (long)getpid(),
			 level_names[level]);
}

/* Writes the text into line, truncated with "..." if it does not fit, and without control bytes.
 * Returns its length. */
static __attribute__((format(printf, 3, 0))) size_t
put_text(char *line, size_t room, const char *format, va_list args)
{
	int wanted = vsnprintf(line, room, format, args);
	size_t len = wanted < 0 ? 0 : (size_t)wanted;
	size_t i;

	if (len >= room) {
		len = room - 1;
		memcpy(line + len - 3, "...", 3);
	}
	/* The caller escapes bytes that a peer chose. If it does not, an event must still be one
	 * line. */
	for (i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	return len;
}

static __attribute__((format(printf, 2, 0))) void
log_line(enum log_level level, const char *format, va_list args)
{
	int saved_errno = errno;
	char line[LINE_BYTES];
	size_t len = 0;

	if (log_sink != LOG_TO_SYSLOG)
		len = put_prefix(line, level);
	errno = saved_errno; /* for %m */
	len += put_text(line + len, sizeof(line) - len, format, args);
	if (log_sink == LOG_TO_SYSLOG) {
		syslog(level_priorities[level], "%s", line);
	} else {
		line[len++] = '\n'; /* in place of the NUL: one write per line, so that lines of
				       several writers do not mix */
		while (write(log_fd, line, len) < 0 && errno == EINTR)
			continue;
	}
	errno = saved_errno;
}

/* One body for the five levels. The level is tested first, so that a line below the level costs one
 * comparison. */
#define LOG_AT(level)                                                                              \
	do {                                                                                       \
		va_list args;                                                                      \
                                                                                                   \
		if ((level) < log_level)                                                           \
			return;                                                                    \
		va_start(args, format);                                                            \
		log_line((level), format, args);                                                   \
		va_end(args);                                                                      \
	} while (0)

void
log_debug(const char *format, ...)
{
	LOG_AT(LOG_LEVEL_DEBUG);
}

void
log_info(const char *format, ...)
{
	LOG_AT(LOG_LEVEL_INFO);
}

void
log_notice(const char *format, ...)
{
	LOG_AT(LOG_LEVEL_NOTICE);
}

void
log_warn(const char *format, ...)
{
	LOG_AT(LOG_LEVEL_WARN);
}

void
log_error(const char *format, ...)
{
	LOG_AT(LOG_LEVEL_ERROR);
}

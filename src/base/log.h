#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

/*
 * Logging. One line per event, error first, no full stop. The caller escapes bytes that a peer
 * chose (buffer_append_escaped); payloads and passwords are never logged. Format on stderr and in a
 * file: "2026-11-21T10:00:00.123Z [pid] warn: text", UTC, one write(2) per line, truncated after 4
 * KiB. errno is preserved. Not thread-safe: opening and writing use global state without a lock.
 */
enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_WARN,
	LOG_LEVEL_ERROR,
	LOG_LEVEL_NONE
};

enum log_sink { LOG_TO_STDERR, LOG_TO_FILE, LOG_TO_SYSLOG };

struct log_config {
	enum log_level level;
	enum log_sink sink;
	const char *file;         /* LOG_TO_FILE; copied */
	const char *syslog_ident; /* LOG_TO_SYSLOG; copied */
	int syslog_facility;      /* LOG_TO_SYSLOG: LOG_LOCAL0 and so on of <syslog.h> */
};

/* False with errno if the file cannot be opened; the old sink then stays. */
bool log_open(const struct log_config *config) __attribute__((warn_unused_result));
bool log_reopen(void)
    __attribute__((warn_unused_result)); /* opens the file again, after log rotation */
void log_set_level(enum log_level level);

void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_notice(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif

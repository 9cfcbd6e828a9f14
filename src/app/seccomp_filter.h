#ifndef APP_SECCOMP_FILTER_H
#define APP_SECCOMP_FILTER_H

#include <stdbool.h>

#include "base/buffer.h"

/*
 * Seccomp filter: the system calls that a daemon that has started makes, and no others.
 *
 * Invariant: nothing is executed, no process is made, no memory becomes code, and no socket is
 * opened but one to syslog. A call outside the list fails with EPERM and leaves a line in the
 * kernel's log: an update of the C library that makes a new one costs a feature, not the service.
 * SECCOMP_KILL is for those who prefer it the other way round, and for tests, which it lets see
 * what is missing in the list. execve always kills the process, for nothing here ever makes it.
 */
enum seccomp_mode { SECCOMP_NO, SECCOMP_YES, SECCOMP_KILL };

bool seccomp_filter_is_built_in(void);

/* For all threads of the process and those that they make; it cannot be taken back. mode is not
 * SECCOMP_NO. False: error says why, nothing is installed. */
bool seccomp_filter_install(enum seccomp_mode mode, struct buffer *error)
    __attribute__((warn_unused_result));

#endif

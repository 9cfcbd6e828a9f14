#ifndef APP_SECCOMP_FILTER_H
#define APP_SECCOMP_FILTER_H

#include <stdbool.h>

#include "base/buffer.h"

/*
 * Seccomp filter: allows only the system calls that a running daemon makes.
 *
 * Invariant: no program is executed, no other process is created but copies by fork, no memory
 * becomes executable, and no socket is opened but one to syslog and, if the daemon has an upstream,
 * those to it and to name servers. A call outside the list fails with
 * EPERM and leaves a line in the kernel's log, so that an update of the C library that uses a new
 * call costs a feature and not the service. SECCOMP_KILL ends the process instead; tests use it to
 * find calls that the list lacks. execve always kills the process, because nothing here calls it.
 */
enum seccomp_mode { SECCOMP_NO, SECCOMP_YES, SECCOMP_KILL };

bool seccomp_filter_is_built_in(void);

/* For all present and future threads of the process; it cannot be removed. mode is not SECCOMP_NO.
 * connects: to an upstream.
 * False: error says why; nothing was installed. */
bool seccomp_filter_install(enum seccomp_mode mode, bool connects, struct buffer *error)
    __attribute__((warn_unused_result));

#endif

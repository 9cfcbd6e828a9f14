#ifndef APP_PRIVILEGES_H
#define APP_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buffer.h"

/*
 * Privileges: from root to the user that the daemon serves as, for good.
 *
 * There are two steps. After the first, files are opened and created as that user, while ports and
 * limits are still set as root: so a file that can be opened at the start can be opened later, and
 * root never writes in a folder of another user. After the second the process has no privilege of
 * root, and it was tried that none can be regained. Invariant: a process without run-as-user is not
 * changed.
 */
struct privileges {
	const char *user; /* borrowed; NULL: no change of user */
	char *root;       /* owned; the real path for chroot(); NULL: none */
	uid_t uid;
	gid_t gid;
	bool is_dropped; /* the process was started as that user */
};

/*
 * The first step, after the change to the working directory. user, group and root are empty for
 * none; user is borrowed. False: error says why in one line. Release in both cases.
 */
bool privileges_prepare(struct privileges *p, const char *user, const char *group, const char *root,
    struct buffer *error) __attribute__((warn_unused_result));

/* The second step, before other threads are started and before a connection is accepted. False:
 * error says why; the process must end. */
bool privileges_drop(const struct privileges *p, struct buffer *error)
    __attribute__((warn_unused_result));

/* The name of an absolute path within the root; borrows path. NULL: it is outside. */
const char *privileges_path_inside(const struct privileges *p, const char *path);

void privileges_release(struct privileges *p);

#endif

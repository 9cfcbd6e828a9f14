#ifndef APP_PRIVILEGES_H
#define APP_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buffer.h"

/*
 * Privileges: from root to the user that the daemon serves as, for good.
 *
 * In two steps. After the first, files are opened and made as that user already, while ports and
 * limits are still root's: so whatever works at the start works later, too, and root never writes
 * in a folder that belongs to somebody else. After the second nothing of root is left, and it has
 * been seen that nothing comes back. Invariant: a process without run-as-user is left as it is.
 */
struct privileges {
	const char *user; /* borrowed; NULL: none to become */
	char *root;       /* owned; the real path of the folder to be locked up in; NULL: none */
	uid_t uid;
	gid_t gid;
	bool is_dropped; /* the process was started as that user */
};

/*
 * The first step; the working directory is the daemon's already. user, group and root are empty for
 * none; user is borrowed. False: error says why, one line. Release in both cases.
 */
bool privileges_prepare(struct privileges *p, const char *user, const char *group, const char *root,
    struct buffer *error) __attribute__((warn_unused_result));

/* The second step, before there are other threads and before a peer is listened to. False: error
 * says why; then the process must end. */
bool privileges_drop(const struct privileges *p, struct buffer *error)
    __attribute__((warn_unused_result));

/* What an absolute path is called within the root; borrows path. NULL: it lies outside. */
const char *privileges_path_inside(const struct privileges *p, const char *path);

void privileges_release(struct privileges *p);

#endif

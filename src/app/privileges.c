#include "config.h"

#include "app/privileges.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"

static bool
find_user(struct privileges *p, const char *user, struct buffer *error)
{
	const struct passwd *entry;

	errno = 0;
	entry = getpwnam(user);
	if (entry == NULL) {
		buffer_appendf(error, "run-as-user %s: %s", user,
		    errno != 0 ? strerror(errno) : "unknown user");
		return false;
	}
	if (entry->pw_uid == 0) {
		buffer_appendf(error, "run-as-user %s: this user has all privileges", user);
		return false;
	}
	p->user = user;
	p->uid = entry->pw_uid;
	p->gid = entry->pw_gid;
	return true;
}

static bool
find_group(struct privileges *p, const char *group, struct buffer *error)
{
	const struct group *entry;

	if (group[0] != '\0') {
		errno = 0;
		entry = getgrnam(group);
		if (entry == NULL) {
			buffer_appendf(error, "run-as-group %s: %s", group,
			    errno != 0 ? strerror(errno) : "unknown group");
			return false;
		}
		p->gid = entry->gr_gid;
	}
	if (p->gid == 0) {
		buffer_appendf(error, "run-as-group: the group of root would be kept");
		return false;
	}
	return true;
}

/* The working directory must be below root, so that relative paths stay valid after chroot(). */
static bool
find_root(struct privileges *p, const char *root, struct buffer *error)
{
	char folder[PATH_MAX];
	char *real;

	if (root[0] == '\0')
		return true;
	real = realpath(root, NULL);
	if (real == NULL || getcwd(folder, sizeof(folder)) == NULL) {
		buffer_appendf(error, "chroot %s: %s", root, strerror(errno));
		free(real);
		return false;
	}
	p->root = xstrdup(real);
	free(real);
	if (privileges_path_inside(p, folder) == NULL) {
		buffer_appendf(error, "chroot %s: dir must be in it, not %s", root, folder);
		return false;
	}
	return true;
}

/* True for a process that an upgrade or a supervisor has started as this user already. */
static bool
has_ids(const struct privileges *p)
{
	uid_t uid[3];
	gid_t gid[3];

	if (getresuid(&uid[0], &uid[1], &uid[2]) != 0 || getresgid(&gid[0], &gid[1], &gid[2]) != 0)
		return false;
	for (int i = 0; i < 3; i++)
		if (uid[i] != p->uid || gid[i] != p->gid)
			return false;
	return true;
}

/* Sets the ids that the kernel uses for file access to those of the user; all other ids stay. */
static bool
lower_for_files(const struct privileges *p, struct buffer *error)
{
	if (initgroups(p->user, p->gid) != 0) {
		buffer_appendf(error, "run-as-user %s: %s", p->user, strerror(errno));
		return false;
	}
	(void)setfsgid(p->gid);
	(void)setfsuid(p->uid);
	/* These calls return the former id; an invalid id changes nothing and so tells the current
	 * one. */
	if ((gid_t)setfsgid((gid_t)-1) != p->gid || (uid_t)setfsuid((uid_t)-1) != p->uid) {
		buffer_appendf(error, "run-as-user %s: not permitted by the system", p->user);
		return false;
	}
	return true;
}

bool
privileges_prepare(struct privileges *p, const char *user, const char *group, const char *root,
    struct buffer *error)
{
	*p = (struct privileges){0};
	if (user[0] == '\0') {
		if (group[0] == '\0' && root[0] == '\0')
			return true;
		buffer_appendf(error, "%s needs run-as-user%s",
		    root[0] != '\0' ? "chroot" : "run-as-group",
		    root[0] != '\0' ? ": it does not hold root" : "");
		return false;
	}
	if (!find_user(p, user, error) || !find_group(p, group, error) ||
	    !find_root(p, root, error))
		return false;
	p->is_dropped = has_ids(p) && p->root == NULL;
	if (p->is_dropped)
		return true;
	if (geteuid() != 0) {
		buffer_appendf(error, "%s %s: only root can do this",
		    p->root != NULL ? "chroot" : "run-as-user", p->root != NULL ? root : user);
		return false;
	}
	return lower_for_files(p, error);
}

const char *
privileges_path_inside(const struct privileges *p, const char *path)
{
	size_t len;

	if (p->root == NULL || strcmp(p->root, "/") == 0)
		return path;
	len = strlen(p->root);
	if (strncmp(path, p->root, len) != 0)
		return NULL;
	if (path[len] == '\0')
		return "/";
	return path[len] == '/' ? path + len : NULL;
}

static bool
enter_root(const struct privileges *p, struct buffer *error)
{
	char folder[PATH_MAX];
	const char *inside = NULL;

	if (getcwd(folder, sizeof(folder)) != NULL)
		inside = privileges_path_inside(p, folder);
	if (inside != NULL && chroot(p->root) == 0 && chdir(inside) == 0)
		return true;
	buffer_appendf(error, "chroot %s: %s", p->root, strerror(errno));
	return false;
}

static bool
has_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	memset(data, 0, sizeof(data));
	if (syscall(SYS_capget, &header, data) != 0)
		return true;
	return (data[0].permitted | data[1].permitted | data[0].effective | data[1].effective) != 0;
}

/* Tries to regain root: privileges that can be regained were not dropped. */
static bool
can_return(const struct privileges *p)
{
	return !has_ids(p) || setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0 ||
	       setegid(0) == 0 || has_capabilities();
}

bool
privileges_drop(const struct privileges *p, struct buffer *error)
{
	if (p->user == NULL)
		return true;
	if (p->root != NULL && !enter_root(p, error))
		return false;
	if (!p->is_dropped &&
	    (setresgid(p->gid, p->gid, p->gid) != 0 || setresuid(p->uid, p->uid, p->uid) != 0)) {
		buffer_appendf(error, "run-as-user %s: %s", p->user, strerror(errno));
		return false;
	}
	/* A supervisor may have given capabilities to a process that it started as this user. */
	if (!p->is_dropped && can_return(p)) {
		buffer_appendf(
		    error, "run-as-user %s: privileges are left after all were given up", p->user);
		return false;
	}
	/* Memory contains data that only root could read: forbids core dumps, and debuggers of the
	 * same user. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		buffer_appendf(error, "run-as-user %s: prctl: %s", p->user, strerror(errno));
		return false;
	}
	return true;
}

void
privileges_release(struct privileges *p)
{
	xfree(p->root);
	*p = (struct privileges){0};
}

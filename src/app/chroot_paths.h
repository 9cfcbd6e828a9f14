#ifndef APP_CHROOT_PATHS_H
#define APP_CHROOT_PATHS_H

/* What becomes of the paths of the configuration when privileges and the root folder change. */
struct config_source;
struct privileges;
struct settings;

/* The configuration file has another path within a chroot, and is read by another user. */
void chroot_paths_find(struct config_source *source, const struct privileges *privileges);

/* Warns of absolute paths that do not exist within the chroot. */
void chroot_paths_look(const struct settings *settings, const struct privileges *privileges);

#endif

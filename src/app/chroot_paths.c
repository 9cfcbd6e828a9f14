#include "config.h"

#include "app/chroot_paths.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "app/config_source.h"
#include "app/privileges.h"
#include "app/settings.h"
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/log.h"

void
chroot_paths_find(struct config_source *source, const struct privileges *privileges)
{
	const char *inside;
	char *path;

	if (source->file == NULL || privileges->user == NULL)
		return;
	inside = privileges_path_inside(privileges, source->file);
	if (inside == NULL) {
		log_warn("%s is outside of the chroot: it cannot be read again", source->file);
		return;
	}
	path = xstrdup(inside);
	xfree(source->file);
	source->file = path;
	if (access(source->file, R_OK) != 0)
		log_warn("%s: %s: %s cannot read it again", source->file, strerror(errno),
		    privileges->user);
}

void
chroot_paths_look(const struct settings *settings, const struct privileges *privileges)
{
	static const char *const names[] = {"logfile", "pidfile", "unixsocket", "aclfile",
	    "tls-cert-file", "tls-key-file", "tls-ca-cert-file", "tls-ca-cert-dir", "tls-crl-file",
	    "token-public-key-file", "token-jwks-file", "upstream-tls-ca-cert-file",
	    "upstream-tls-ca-cert-dir", "upstream-tls-cert-file", "upstream-tls-key-file"};
	struct buffer path = {0};

	for (size_t i = 0; privileges->root != NULL && i < sizeof(names) / sizeof(*names); i++) {
		buffer_clear(&path);
		settings_show(settings, settings_find(slice_of(names[i])), &path);
		buffer_append(&path, "", 1);
		if (path.ptr[0] == '/' && access(path.ptr, F_OK) != 0)
			log_warn("%s %s: %s within the chroot: a path relative to dir is the same "
				 "before and after",
			    names[i], path.ptr, strerror(errno));
	}
	buffer_release(&path);
}

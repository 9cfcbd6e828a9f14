#include "config.h"

#include "import/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "import/folder.h"
#include "import/manifest.h"

static const char manifest_end[] = ".manifest";
static const char rdb_end[] = ".rdb";

void
import_files_release(struct import_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		close(files->files[i].fd);
		xfree(files->files[i].path);
	}
	xfree(files->files);
	xfree(files->not_read);
	*files = (struct import_files){0};
}

static bool
explain(const char *path, struct buffer *error)
{
	buffer_appendf(error, "%s: %s", path, strerror(errno));
	return false;
}

/* Opens a regular file; a FIFO would block. -1 after setting error. */
static int
open_file(const char *path, int flags, struct stat *st, struct buffer *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);

	if (fd != -1 && fstat(fd, st) == 0 && S_ISREG(st->st_mode))
		return fd;
	if (fd == -1)
		(void)!explain(path, error);
	else
		buffer_appendf(error, "%s: not a regular file", path);
	if (fd != -1)
		close(fd);
	return -1;
}

/* Takes path. */
static bool
add(struct import_files *files, char *path, int flags, struct buffer *error)
{
	struct stat st = {0};
	int fd = open_file(path, flags, &st, error);

	if (fd == -1) {
		xfree(path);
		return false;
	}
	files->files = xrealloc(files->files, (files->count + 1) * sizeof(*files->files));
	files->files[files->count++] = (struct import_file){.path = path,
	    .fd = fd,
	    .size = (uint64_t)st.st_size,
	    .changed = st.st_mtim,
	    .is_snapshot = import_name_ends(path, rdb_end)};
	files->size += (uint64_t)st.st_size;
	return true;
}

static bool
read_manifest(const char *path, struct buffer *text, struct buffer *error)
{
	struct stat st = {0};
	int fd = open_file(path, 0, &st, error);
	uint64_t size = (uint64_t)st.st_size;
	ssize_t got = 0;

	if (fd == -1)
		return false;
	if (size <= MANIFEST_BYTES_MAX)
		got = pread(fd, buffer_reserve(text, (size_t)size + 1), (size_t)size, 0);
	if (got > 0)
		text->len = (size_t)got;
	if (size > MANIFEST_BYTES_MAX)
		buffer_appendf(error, "%s: larger than 1 MiB: not a manifest", path);
	else if (got < 0)
		(void)!explain(path, error);
	close(fd);
	return got >= 0 && size <= MANIFEST_BYTES_MAX;
}

/* The files that a manifest names are in its folder; a symbolic link among them is refused, because
 * it may lead elsewhere. */
static bool
add_manifest(struct import_files *files, const char *path, struct buffer *error)
{
	const char *slash = strrchr(path, '/');
	int folder_len = slash == NULL ? 0 : (int)(slash - path) + 1;
	struct buffer text = {0}, why = {0};
	struct manifest manifest = {0};
	bool ok = read_manifest(path, &text, error);

	if (ok && !manifest_parse(&manifest, buffer_slice(&text), &why)) {
		buffer_appendf(error, "%s: %.*s", path, (int)why.len, why.ptr);
		ok = false;
	}
	for (size_t i = 0; i < manifest.count && ok; i++)
		ok = add(files, xasprintf("%.*s%s", folder_len, path, manifest.files[i].name),
		    O_NOFOLLOW, error);
	manifest_release(&manifest);
	buffer_release(&text);
	buffer_release(&why);
	return ok;
}

static bool
is_read(const struct import_files *files, const char *path)
{
	for (size_t i = 0; i < files->count; i++)
		if (strcmp(files->files[i].path, path) == 0)
			return true;
	return false;
}

/* The append-only files were found. False: the snapshot beside them is newer than all of them, so
 * that either may be what Redis used last. */
static bool
pass_over_snapshot(
    struct import_files *files, const char *rdb, const char *aof, struct buffer *error)
{
	struct stat st;

	if (rdb == NULL || stat(rdb, &st) != 0 || is_read(files, rdb))
		return true;
	if (files->not_read == NULL)
		files->not_read = xstrdup(strrchr(rdb, '/') + 1);
	for (size_t i = 0; i < files->count; i++)
		if (!import_is_later(st.st_mtim, files->files[i].changed))
			return true;
	buffer_appendf(error,
	    "%s is newer than the append-only files, which are out of date if Redis ran with "
	    "appendonly no: name the file to be read, this one or %s",
	    rdb, aof);
	return false;
}

/* False: the other file, if there is one, is newer than the only one that is read. */
static bool
pass_over_older(
    const struct import_files *files, const struct import_folder_file *other, struct buffer *error)
{
	if (other->path == NULL || !import_is_later(other->changed, files->files[0].changed))
		return true;
	buffer_appendf(error, "%s is newer than %s: name the file to be read", other->path,
	    files->files[0].path);
	return false;
}

/* A file of Redis 6, or of Redis without append-only files. Files of other names may be those that
 * Redis used. */
static bool
add_single(struct import_files *files, const struct import_folder *found, const char *aof,
    const char *rdb, struct buffer *error)
{
	if (access(aof, F_OK) == 0)
		return add(files, xstrdup(aof), 0, error) &&
		       pass_over_older(files, &found->log, error) &&
		       pass_over_snapshot(files, rdb, aof, error) &&
		       pass_over_snapshot(files, found->snapshot.path, aof, error);
	if (found->log.path == NULL)
		return add(files, xstrdup(rdb), 0, error) &&
		       pass_over_older(files, &found->snapshot, error);
	buffer_appendf(error,
	    "%s may be what Redis used last, and not %s: name the file to be read", found->log.path,
	    rdb);
	return false;
}

static bool
add_found(struct import_files *files, const struct import_folder *found, const char *folder,
    struct buffer *error)
{
	char *aof = xasprintf("%s/" IMPORT_AOF, folder);
	char *rdb = xasprintf("%s/" IMPORT_SNAPSHOT, folder);
	bool ok = false;

	if (found->manifest != NULL)
		ok = add_manifest(files, found->manifest, error) &&
		     pass_over_snapshot(files, rdb, found->manifest, error) &&
		     pass_over_snapshot(files, found->snapshot.path, found->manifest, error);
	else if (found->part != NULL)
		buffer_appendf(error,
		    "%s: has append-only files (%s) but no manifest, which says which of them are "
		    "read and in what order: restore it, or name the file to be read",
		    found->part_folder, found->part);
	else if (access(aof, F_OK) == 0 || access(rdb, F_OK) == 0)
		ok = add_single(files, found, aof, rdb, error);
	else
		buffer_appendf(error,
		    "%s: has no file of Redis: no " IMPORT_AOF_FOLDER ", " IMPORT_AOF
		    " or " IMPORT_SNAPSHOT,
		    folder);
	xfree(rdb);
	xfree(aof);
	return ok;
}

/* What Redis would read in its folder. */
static bool
add_folder(struct import_files *files, const char *folder, struct buffer *error)
{
	struct import_folder found;
	bool ok =
	    import_folder_look(&found, folder, error) && add_found(files, &found, folder, error);

	import_folder_release(&found);
	return ok;
}

bool
import_files_find(struct import_files *files, const char *path, struct buffer *error)
{
	struct stat st;

	*files = (struct import_files){0};
	if (stat(path, &st) != 0)
		return explain(path, error);
	if (S_ISDIR(st.st_mode))
		return add_folder(files, path, error);
	return import_name_ends(path, manifest_end) ? add_manifest(files, path, error)
						    : add(files, xstrdup(path), 0, error);
}

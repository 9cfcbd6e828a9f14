#include "config.h"

#include "import/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "import/manifest.h"

/* Redis's default names. */
static const char aof_folder[] = "appendonlydir";
static const char aof_name[] = "appendonly.aof";
static const char rdb_name[] = "dump.rdb";
static const char manifest_end[] = ".manifest";
static const char rdb_end[] = ".rdb";

/* The beginning of the names of files that Redis has not finished. */
static const char temp_start[] = "temp-";

void
import_files_release(struct import_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		close(files->files[i].fd);
		xfree(files->files[i].path);
	}
	xfree(files->files);
	*files = (struct import_files){0};
}

static bool
explain(const char *path, struct buffer *error)
{
	buffer_appendf(error, "%s: %s", path, strerror(errno));
	return false;
}

static bool
ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);

	return len > end_len && strcmp(name + len - end_len, end) == 0;
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
	    .is_snapshot = ends_with(path, rdb_end)};
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
is_manifest_name(const char *name)
{
	return ends_with(name, manifest_end) &&
	       strncmp(name, temp_start, sizeof(temp_start) - 1) != 0;
}

/* The manifest in a folder: *path is owned, NULL if there is none. False: there are several. */
static bool
find_manifest(const char *folder, char **path, struct buffer *error)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	bool ok = true;

	*path = NULL;
	if (dir == NULL)
		return errno == ENOENT || errno == ENOTDIR || explain(folder, error);
	while (ok && (entry = readdir(dir)) != NULL) {
		if (!is_manifest_name(entry->d_name))
			continue;
		ok = *path == NULL;
		if (ok)
			*path = xasprintf("%s/%s", folder, entry->d_name);
		else
			buffer_appendf(
			    error, "%s: has several manifests: name one of them", folder);
	}
	closedir(dir);
	if (!ok) {
		xfree(*path);
		*path = NULL;
	}
	return ok;
}

static bool
exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static bool
is_later(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

/* The append-only files were found. False: the snapshot beside them is newer than all of them, so
 * that either may be what Redis used last. */
static bool
pass_over_snapshot(
    struct import_files *files, const char *rdb, const char *aof, struct buffer *error)
{
	struct stat st;

	if (stat(rdb, &st) != 0)
		return true;
	files->not_read = rdb_name;
	for (size_t i = 0; i < files->count; i++)
		if (!is_later(st.st_mtim, files->files[i].changed))
			return true;
	buffer_appendf(error,
	    "%s is newer than the append-only files, which are out of date if Redis ran with "
	    "appendonly no: name the file to be read, this one or %s",
	    rdb, aof);
	return false;
}

/* What Redis would read in its folder. */
static bool
add_folder(struct import_files *files, const char *folder, struct buffer *error)
{
	char *inner = xasprintf("%s/%s", folder, aof_folder);
	char *aof = xasprintf("%s/%s", folder, aof_name);
	char *rdb = xasprintf("%s/%s", folder, rdb_name);
	char *manifest = NULL;
	bool ok = find_manifest(folder, &manifest, error) &&
		  (manifest != NULL || find_manifest(inner, &manifest, error));

	if (ok && manifest != NULL)
		ok = add_manifest(files, manifest, error) &&
		     pass_over_snapshot(files, rdb, manifest, error);
	else if (ok && exists(aof))
		ok = add(files, xstrdup(aof), 0, error) &&
		     pass_over_snapshot(files, rdb, aof, error);
	else if (ok && exists(rdb))
		ok = add(files, xstrdup(rdb), 0, error);
	else if (ok) {
		buffer_appendf(error, "%s: has no file of Redis: no %s, %s or %s", folder,
		    aof_folder, aof_name, rdb_name);
		ok = false;
	}
	xfree(manifest);
	xfree(rdb);
	xfree(aof);
	xfree(inner);
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
	return ends_with(path, manifest_end) ? add_manifest(files, path, error)
					     : add(files, xstrdup(path), 0, error);
}

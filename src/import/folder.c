#include "config.h"

#include "import/folder.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"

/* The beginning of the names of files that Redis has not finished. */
static const char temp_start[] = "temp-";

struct look {
	struct import_folder *found;
	const char *top; /* the folder itself */
};

/* Returns false to end the walk, after setting error. */
typedef bool (*look_at)(
    struct look *look, const char *folder, const char *name, struct buffer *error);

void
import_folder_release(struct import_folder *found)
{
	xfree(found->manifest);
	xfree(found->part_folder);
	xfree(found->part);
	xfree(found->snapshot.path);
	xfree(found->log.path);
	*found = (struct import_folder){0};
}

bool
import_name_ends(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);

	return len > end_len && strcmp(name + len - end_len, end) == 0;
}

bool
import_is_later(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

static bool
is_unfinished(const char *name)
{
	return strncmp(name, temp_start, sizeof(temp_start) - 1) == 0;
}

static bool
has_name_of_part(const char *name)
{
	return import_name_ends(name, ".base.rdb") || import_name_ends(name, ".base.aof") ||
	       import_name_ends(name, ".incr.aof");
}

static bool
each_entry(struct look *look, DIR *dir, const char *folder, look_at at, struct buffer *error)
{
	const struct dirent *entry;
	bool ok = true;

	while (ok && (entry = readdir(dir)) != NULL)
		ok = at(look, folder, entry->d_name, error);
	closedir(dir);
	return ok;
}

static bool
note_manifest(struct look *look, const char *folder, const char *name, struct buffer *error)
{
	struct import_folder *found = look->found;
	size_t len = strlen(folder);

	if (found->manifest == NULL) {
		found->manifest = xasprintf("%s/%s", folder, name);
		return true;
	}
	if (strncmp(found->manifest, folder, len) != 0 || found->manifest[len] != '/')
		folder = look->top;
	buffer_appendf(error, "%s: has several manifests: name one of them", folder);
	return false;
}

static void
note_part(struct import_folder *found, const char *folder, const char *name)
{
	if (found->part != NULL)
		return;
	found->part_folder = xstrdup(folder);
	found->part = xstrdup(name);
}

/* Keeps the newer one. */
static void
note_file(struct import_folder_file *file, const char *folder, const char *name)
{
	char *path = xasprintf("%s/%s", folder, name);
	struct stat st;

	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) ||
	    (file->path != NULL && !import_is_later(st.st_mtim, file->changed))) {
		xfree(path);
		return;
	}
	xfree(file->path);
	*file = (struct import_folder_file){.path = path, .changed = st.st_mtim};
}

static bool
look_at_part(struct look *look, const char *folder, const char *name, struct buffer *error)
{
	if (import_name_ends(name, ".manifest") && !is_unfinished(name))
		return note_manifest(look, folder, name, error);
	if (import_name_ends(name, ".manifest") || has_name_of_part(name))
		note_part(look->found, folder, name);
	return true;
}

static bool
look_at_file(struct look *look, const char *folder, const char *name, struct buffer *error)
{
	if (is_unfinished(name) || has_name_of_part(name))
		return look_at_part(look, folder, name, error);
	if (import_name_ends(name, ".rdb") && strcmp(name, IMPORT_SNAPSHOT) != 0)
		note_file(&look->found->snapshot, folder, name);
	else if (import_name_ends(name, ".aof") && strcmp(name, IMPORT_AOF) != 0)
		note_file(&look->found->log, folder, name);
	return look_at_part(look, folder, name, error);
}

/* In the folder of Redis 7, the file of Redis 6 keeps its name. */
static bool
look_at_default_part(struct look *look, const char *folder, const char *name, struct buffer *error)
{
	if (import_name_ends(name, ".aof"))
		note_part(look->found, folder, name);
	return look_at_part(look, folder, name, error);
}

static bool
look_into(struct look *look, const char *folder, const char *name, struct buffer *error)
{
	bool is_default = strcmp(name, IMPORT_AOF_FOLDER) == 0, ok = true;
	char *path;
	DIR *dir;

	/* lost+found is of the file system, and closed to all but root. */
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "lost+found") == 0)
		return true;
	path = xasprintf("%s/%s", folder, name);
	dir = opendir(path);
	if (dir != NULL)
		ok = each_entry(
		    look, dir, path, is_default ? look_at_default_part : look_at_part, error);
	else if (errno != ENOTDIR && errno != ENOENT && errno != ELOOP) {
		buffer_appendf(error,
		    "%s: %s: it may have append-only files: name the file to be read", path,
		    strerror(errno));
		ok = false;
	}
	xfree(path);
	return ok;
}

static bool
walk(struct look *look, look_at at, struct buffer *error)
{
	DIR *dir = opendir(look->top);

	if (dir != NULL)
		return each_entry(look, dir, look->top, at, error);
	buffer_appendf(error, "%s: %s", look->top, strerror(errno));
	return false;
}

bool
import_folder_look(struct import_folder *found, const char *folder, struct buffer *error)
{
	struct look look = {.found = found, .top = folder};

	*found = (struct import_folder){0};
	return walk(&look, look_at_file, error) &&
	       (found->manifest != NULL || walk(&look, look_into, error));
}

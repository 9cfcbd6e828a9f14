#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "persist/aof_file.h"
#include "persist/aof_load.h"
#include "persist/data_folder.h"
#include "persist/disk.h"
#include "persist/foreign_files.h"
#include "persist/history_file.h"
#include "persist/persist_state.h"

/* The start: loads the file on disk and opens the append-only file, or continues the files of a
 * predecessor. */

static bool
name_is_good(const char *directive, const char *name, struct buffer *error)
{
	static const char *const ours[] = {REWRITE_TEMP, SNAPSHOT_TEMP, FOREGROUND_TEMP,
	    STARTING_LOG_TEMP, HISTORY_TEMP, HISTORY_FILE, HISTORY_FILE_BROKEN, DATA_FOLDER_LOCK};

	if (strchr(name, '/') != NULL) {
		buffer_appendf(error, "%s %s: can't be a path, just a filename: it is in dir",
		    directive, name);
		return false;
	}
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
		if (strcmp(name, ours[i]) != 0)
			continue;
		buffer_appendf(error, "%s %s: fanfared uses this name itself", directive, name);
		return false;
	}
	if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
		return true;
	buffer_appendf(error, "%s %s: not a file name", directive, name);
	return false;
}

bool
persist_check_names(const struct persist *p, struct buffer *error)
{
	const struct persist_config *config = &p->config;

	if (!name_is_good("appendfilename", config->log_name, error) ||
	    !name_is_good("dbfilename", config->snapshot_name, error) ||
	    (config->redis_folder != NULL &&
		!name_is_good("appenddirname", config->redis_folder, error)))
		return false;
	if (strcmp(config->log_name, config->snapshot_name) != 0)
		return true;
	buffer_appendf(error,
	    "appendfilename and dbfilename are both %s: the append-only file and the snapshot need "
	    "different names",
	    config->log_name);
	return false;
}

/* Takes fd. The file has `size` bytes, all of them synced. */
static void
use_log(struct persist *p, int fd, uint64_t size)
{
	p->report.size = p->base_bytes = size;
	aof_writer_open(p->writer, fd, size, ++p->generation, p->config.log_name);
	(void)persist_event(p, EVENT_LOG_LOADED);
	persist_configure_writer(p);
}

/* Continues an existing file of `size` bytes. */
static bool
open_log(struct persist *p, uint64_t size, struct buffer *error)
{
	const char *name = p->config.log_name;
	int fd = p->disk->open(p->disk->arg, name, O_RDWR | O_CREAT);

	if (fd == -1 || !disk_sync_folder_of(p->disk, name)) {
		buffer_appendf(error, "%s: %s", name, strerror(errno));
		if (fd != -1)
			close(fd);
		return false;
	}
	use_log(p, fd, size);
	return true;
}

/* Makes the append-only file, with the loaded state as its beginning, or only with an end mark, so
 * that a loss of power never tears its first bytes. */
static bool
make_log(struct persist *p, uint64_t *size, struct buffer *error)
{
	const char *name = p->config.log_name;
	struct aof_file file;

	if (!dump_file_write(p->disk, p->host.keyspace, REWRITE_TEMP) ||
	    !disk_replace(p->disk, REWRITE_TEMP, name) || !aof_file_open(&file, name, false)) {
		buffer_appendf(error, "%s: %s", name, strerror(errno));
		return false;
	}
	*size = file.bytes.len;
	aof_file_close(&file);
	return true;
}

static bool
load(struct persist *p, uint64_t *size, struct buffer *error)
{
	const struct persist_config *config = &p->config;
	enum aof_load_result result = AOF_LOAD_NONE;

	*size = 0;
	if (config->appendonly)
		result = aof_load(
		    p->host.keyspace, config->log_name, false, config->load_truncated, size, error);
	if (result == AOF_LOADED && *size == 0)
		return make_log(p, size, error);
	if (result != AOF_LOAD_NONE)
		return result == AOF_LOADED;
	result = aof_load(p->host.keyspace, config->snapshot_name, true, false, size, error);
	if (result == AOF_LOAD_FAILED)
		return false;
	if (result == AOF_LOADED)
		p->save_time = (int64_t)(clock_wall_us() / 1000000);
	if (!config->appendonly)
		return true;
	if (!make_log(p, size, error))
		return false;
	if (result == AOF_LOADED)
		log_notice("%s: created from %s", config->log_name, config->snapshot_name);
	return true;
}

/* False: the folder has data of Redis, which must not be overlooked. */
static bool
has_no_foreign_data(const struct persist_config *config, struct buffer *error)
{
	struct buffer name = {0};
	bool found;

	if (config->ignore_redis_files)
		return true;
	found = foreign_files_find(config->log_name, config->snapshot_name, config->redis_folder,
	    config->appendonly, &name);
	if (found)
		buffer_appendf(error,
		    "dir: %.*s was written by Redis and cannot be loaded, and there is no file of "
		    "fanfared: move the files of Redis to another folder and start once with "
		    "'--import' and its path, see PERSISTENCE in fanfared(8); "
		    "'ignore-redis-files yes' starts without them",
		    (int)name.len, name.ptr);
	buffer_release(&name);
	return !found;
}

static bool
is_lock_of_folder(int fd)
{
	struct stat ours, named;

	return fstat(fd, &ours) == 0 && stat(DATA_FOLDER_LOCK, &named) == 0 &&
	       ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

static bool
must_equal(const char *directive, const char *before, const char *now, struct buffer *error)
{
	if (strcmp(before, now) == 0)
		return true;
	buffer_appendf(error,
	    "%s is %s in the process that runs, and %s in the configuration: it cannot change in "
	    "an "
	    "upgrade",
	    directive, before, now);
	return false;
}

bool
persist_transfer_fits(
    const struct persist *p, const struct transfer_files *files, struct buffer *error)
{
	const struct persist_config *config = &p->config;

	if (!must_equal("appendonly", files->log_is_on ? "yes" : "no",
		config->appendonly ? "yes" : "no", error))
		return false;
	if (files->lock_fd != -1)
		return must_equal("appendfilename", files->log_name, config->log_name, error) &&
		       must_equal("dbfilename", files->snapshot_name, config->snapshot_name, error);
	if (access(config->snapshot_name, F_OK) != 0)
		return true;
	buffer_appendf(error,
	    "%s exists, and the process that runs has not loaded it: stop that process and start "
	    "this one instead, or remove the file",
	    config->snapshot_name);
	return false;
}

/* The file ends where the predecessor wrote last, and is synced. */
static bool
open_inherited_log(struct persist *p, const struct transfer_files *files, struct buffer *error)
{
	const char *name = p->config.log_name;
	int fd = p->disk->open(p->disk->arg, name, O_RDWR);
	struct stat st;

	if (fd == -1 || fstat(fd, &st) != 0) {
		buffer_appendf(error, "%s: %s", name, strerror(errno));
	} else if ((uint64_t)st.st_size != files->log_size) {
		buffer_appendf(error, "%s: %llu bytes long, not %llu as the process that runs says",
		    name, (unsigned long long)st.st_size, (unsigned long long)files->log_size);
	} else if (persist_open_writer(p, error)) {
		use_log(p, fd, files->log_size);
		p->base_bytes = files->base_size;
		return true;
	}
	if (fd != -1)
		close(fd);
	return false;
}

bool
persist_inherit(struct persist *p, const struct transfer_files *files, struct buffer *error)
{
	p->lock_fd = files->lock_fd;
	p->save_time = files->save_time;
	if (!persist_check_names(p, error) || !persist_transfer_fits(p, files, error))
		return false;
	if (files->lock_fd == -1)
		return (p->config.rule_count == 0 && !p->config.keeps_folder) ||
		       data_folder_lock(&p->lock_fd, true, error);
	if (!is_lock_of_folder(files->lock_fd)) {
		buffer_appendf(error, "dir is not the folder of the process that runs: it cannot "
				      "change in an upgrade");
		return false;
	}
	return !files->log_is_on || open_inherited_log(p, files, error);
}

void
persist_name_owner(const struct persist *p)
{
	if (p->lock_fd != -1)
		data_folder_name_owner(p->lock_fd);
}

bool
persist_discard_history(struct persist *p, struct buffer *error)
{
	int lock_fd = -1;
	bool existed = false, ok;

	if (p->lock_fd == -1) {
		if (access(HISTORY_FILE, F_OK) != 0 && errno == ENOENT)
			return true;
		if (!data_folder_lock(&lock_fd, true, error)) {
			if (errno != EAGAIN)
				return false;
			buffer_clear(error);
			log_notice("%s: left to the daemon that uses the folder", HISTORY_FILE);
			return true;
		}
	}
	ok = history_file_remove(p->disk, &existed, error);
	if (ok && existed)
		log_notice("%s: removed, this process serves without it", HISTORY_FILE);
	if (lock_fd != -1)
		close(lock_fd);
	return ok;
}

bool
persist_start(struct persist *p, struct buffer *error)
{
	const struct persist_config *config = &p->config;
	uint64_t size;

	if (!persist_check_names(p, error) || !has_no_foreign_data(config, error))
		return false;
	if (!config->appendonly && config->rule_count == 0 && !config->keeps_folder &&
	    access(config->snapshot_name, F_OK) != 0)
		return true;
	if (!data_folder_lock(&p->lock_fd, true, error) || !load(p, &size, error))
		return false;
	return !config->appendonly || (persist_open_writer(p, error) && open_log(p, size, error));
}

static bool
does_not_exist(const char *name, struct buffer *error)
{
	if (access(name, F_OK) != 0 && errno == ENOENT)
		return true;
	if (foreign_files_is_of_redis(name))
		buffer_appendf(error,
		    "dir: %s was written by Redis: move the files of Redis to another folder, and "
		    "name "
		    "it with --import",
		    name);
	else
		buffer_appendf(error,
		    "dir has data already: %s exists; an import is for the first start only", name);
	return false;
}

static bool
make_snapshot(struct persist *p, struct buffer *error)
{
	const char *name = p->config.snapshot_name;

	if (!dump_file_write(p->disk, p->host.keyspace, FOREGROUND_TEMP) ||
	    !disk_replace(p->disk, FOREGROUND_TEMP, name)) {
		buffer_appendf(error, "%s: %s", name, strerror(errno));
		return false;
	}
	p->save_time = (int64_t)(clock_wall_us() / 1000000);
	p->host.saved(p->host.arg, p->host.changes(p->host.arg));
	return true;
}

bool
persist_import(struct persist *p, bool (*fill)(void *arg, struct buffer *error), void *arg,
    struct buffer *error)
{
	const struct persist_config *config = &p->config;
	uint64_t size = 0;

	if (!persist_check_names(p, error) || !data_folder_lock(&p->lock_fd, true, error) ||
	    !does_not_exist(config->log_name, error) ||
	    !does_not_exist(config->snapshot_name, error) || !fill(arg, error))
		return false;
	if (!config->appendonly)
		return make_snapshot(p, error);
	return make_log(p, &size, error) && persist_open_writer(p, error) &&
	       open_log(p, size, error);
}

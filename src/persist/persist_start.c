#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "persist/aof_file.h"
#include "persist/aof_load.h"
#include "persist/data_folder.h"
#include "persist/disk.h"
#include "persist/foreign_files.h"
#include "persist/persist_state.h"

/* The start: loads the file on disk and opens the append-only file. */

static bool
name_is_good(const char *directive, const char *name, struct buffer *error)
{
	static const char *const ours[] = {
	    REWRITE_TEMP, SNAPSHOT_TEMP, FOREGROUND_TEMP, STARTING_LOG_TEMP, DATA_FOLDER_LOCK};

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

static bool
names_are_good(const struct persist_config *config, struct buffer *error)
{
	if (!name_is_good("appendfilename", config->log_name, error) ||
	    !name_is_good("dbfilename", config->snapshot_name, error))
		return false;
	if (strcmp(config->log_name, config->snapshot_name) != 0)
		return true;
	buffer_appendf(error,
	    "appendfilename and dbfilename are both %s: the append-only file and the snapshot need "
	    "different names",
	    config->log_name);
	return false;
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
	p->report.size = p->base_bytes = size;
	aof_writer_open(p->writer, fd, size, ++p->generation, name);
	(void)persist_event(p, EVENT_LOG_LOADED);
	persist_configure_writer(p);
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
	found =
	    foreign_files_find(config->log_name, config->snapshot_name, config->appendonly, &name);
	if (found)
		buffer_appendf(error,
		    "dir: %.*s was written by Redis and cannot be loaded, and there is no file of "
		    "fanfared: see PERSISTENCE in fanfared(8) for how to take its keys over; "
		    "'ignore-redis-files yes' starts without them",
		    (int)name.len, name.ptr);
	buffer_release(&name);
	return !found;
}

bool
persist_start(struct persist *p, struct buffer *error)
{
	const struct persist_config *config = &p->config;
	uint64_t size;

	if (!names_are_good(config, error) || !has_no_foreign_data(config, error))
		return false;
	if (!config->appendonly && config->rule_count == 0 &&
	    access(config->snapshot_name, F_OK) != 0)
		return true;
	if (!data_folder_lock(&p->lock_fd, true, error) || !load(p, &size, error))
		return false;
	return !config->appendonly || (persist_open_writer(p, error) && open_log(p, size, error));
}

#include "config.h"

#include "persist/history_file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "persist/aof_file.h"
#include "persist/aof_load.h"
#include "persist/data_folder.h"
#include "persist/disk.h"
#include "persist/dump_file.h"
#include "persist/keyspace.h"

bool
history_file_write(
    const struct disk *disk, const struct persist_keyspace *history, struct buffer *error)
{
	if (dump_file_write(disk, history, HISTORY_TEMP) &&
	    disk_replace(disk, HISTORY_TEMP, HISTORY_FILE))
		return true;
	buffer_appendf(error, "%s: %s", HISTORY_FILE, strerror(errno));
	(void)disk->unlink(disk->arg, HISTORY_TEMP);
	return false;
}

bool
history_file_remove(const struct disk *disk, bool *existed, struct buffer *error)
{
	*existed = disk->unlink(disk->arg, HISTORY_FILE) == 0;
	/* An earlier removal may not be synced. */
	if ((*existed || errno == ENOENT) && disk_sync_folder_of(disk, HISTORY_FILE))
		return true;
	buffer_appendf(error, "%s: it cannot be removed: %s", HISTORY_FILE, strerror(errno));
	return false;
}

static enum history_file_result
set_aside(const struct disk *disk, const struct aof_finding *finding, struct buffer *error)
{
	buffer_appendf(error, "%s: %.*s", HISTORY_FILE, (int)finding->text.len, finding->text.ptr);
	if (disk->rename(disk->arg, HISTORY_FILE, HISTORY_FILE_BROKEN) == 0)
		buffer_appendf(error, "; it is now %s", HISTORY_FILE_BROKEN);
	return HISTORY_FILE_BAD;
}

enum history_file_result
history_file_take(
    const struct disk *disk, const struct persist_keyspace *history, struct buffer *error)
{
	enum history_file_result result = HISTORY_FILE_TAKEN;
	struct aof_finding finding;
	struct aof_file file;
	bool existed;

	if (!aof_file_open(&file, HISTORY_FILE, false)) {
		if (errno == ENOENT)
			return HISTORY_FILE_NONE;
		buffer_appendf(error, "%s: %s", HISTORY_FILE, strerror(errno));
		return HISTORY_FILE_UNUSED;
	}
	aof_read(history, &file, HISTORY_FILE, true, &finding);
	aof_file_close(&file);
	if (finding.kind != AOF_FILE_GOOD) {
		result = set_aside(disk, &finding, error);
	} else if (!history_file_remove(disk, &existed, error)) {
		result = HISTORY_FILE_UNUSED;
	}
	aof_finding_release(&finding);
	return result;
}

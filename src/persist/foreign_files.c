#include "config.h"

#include "persist/foreign_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Redis's default file names. */
static const char rdb_name[] = "dump.rdb";
static const char aof_name[] = "appendonly.aof";

enum owner {
	OWNER_NONE,     /* no such file, or an empty one */
	OWNER_FANFARED, /* or unclear: the loader decides */
	OWNER_REDIS,    /* commands only */
	OWNER_REDIS_RDB,
};

static enum owner
owner_of(const char *path)
{
	static const char rdb[] = "REDIS";
	char start[sizeof(rdb) - 1];
	struct stat st;
	ssize_t len;
	int fd;

	if (stat(path, &st) != 0)
		return OWNER_NONE;
	if (!S_ISREG(st.st_mode))
		return OWNER_FANFARED;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return OWNER_FANFARED;
	len = read(fd, start, sizeof(start));
	close(fd);
	if (len == 0)
		return OWNER_NONE;
	if (len == (ssize_t)sizeof(start) && memcmp(start, rdb, sizeof(start)) == 0)
		return OWNER_REDIS_RDB;
	return len > 0 && start[0] == '*' ? OWNER_REDIS : OWNER_FANFARED;
}

bool
foreign_files_is_of_redis(const char *path)
{
	enum owner owner = owner_of(path);

	return owner == OWNER_REDIS || owner == OWNER_REDIS_RDB;
}

static bool
holds_files(const char *folder)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	bool holds = false;

	if (dir == NULL)
		return false;
	while (!holds && (entry = readdir(dir)) != NULL)
		holds = entry->d_name[0] != '.';
	closedir(dir);
	return holds;
}

bool
foreign_files_find(const char *appendfilename, const char *dbfilename, const char *appenddirname,
    bool aof_is_loaded, struct buffer *name)
{
	enum owner aof = owner_of(appendfilename);
	const char *found = NULL;

	if (owner_of(dbfilename) != OWNER_NONE || (aof_is_loaded && aof != OWNER_NONE) ||
	    aof == OWNER_FANFARED)
		return false;
	if (aof != OWNER_NONE)
		found = appendfilename;
	else if (owner_of(rdb_name) == OWNER_REDIS_RDB)
		found = rdb_name;
	else if (appenddirname != NULL && holds_files(appenddirname))
		found = appenddirname;
	else if (owner_of(aof_name) == OWNER_REDIS || owner_of(aof_name) == OWNER_REDIS_RDB)
		found = aof_name;
	if (found != NULL)
		buffer_append_str(name, found);
	return found != NULL;
}

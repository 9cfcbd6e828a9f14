#include "config.h"

#include "bench/server.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static bool
read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	bool ok;

	if (file == NULL)
		return false;
	ok = fgets(line, (int)size, file) != NULL;
	fclose(file);
	return ok;
}

/* The number in the field with this index, from 0; fields are separated by one space. */
static bool
read_field(const char *line, unsigned index, uint64_t *value)
{
	char *end;

	for (; index > 0; index--) {
		line = strchr(line, ' ');
		if (line == NULL)
			return false;
		line++;
	}
	errno = 0;
	*value = strtoull(line, &end, 10);
	return errno == 0 && end != line;
}

/* The scheduler's count in nanoseconds, over all existing threads. */
static uint64_t
threads_cpu_ns(uint64_t pid)
{
	char path[300];
	char line[100];
	uint64_t sum = 0;
	uint64_t ns;
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/task", pid);
	dir = opendir(path);
	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "/proc/%" PRIu64 "/task/%.20s/schedstat", pid,
		    entry->d_name);
		if (entry->d_name[0] != '.' && read_line(path, line, sizeof(line)) &&
		    read_field(line, 0, &ns))
			sum += ns;
	}
	closedir(dir);
	return sum;
}

/* utime in /proc/PID/stat, counted from the name; stime follows. See proc(5). */
#define UTIME_FIELD 12

static bool
process_cpu_ns(uint64_t pid, uint64_t *ns)
{
	char path[64];
	char line[1024];
	const char *after_name;
	uint64_t user;
	uint64_t system;

	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/stat", pid);
	/* The name may contain any bytes, including brackets and spaces. */
	if (!read_line(path, line, sizeof(line)) || (after_name = strrchr(line, ')')) == NULL ||
	    !read_field(after_name, UTIME_FIELD, &user) ||
	    !read_field(after_name, UTIME_FIELD + 1, &system))
		return false;
	*ns = (user + system) * (1000000000 / (uint64_t)sysconf(_SC_CLK_TCK));
	return true;
}

bool
bench_server_read(uint64_t pid, struct bench_server_cost *cost)
{
	char path[64];
	char line[200];
	uint64_t process_ns;
	uint64_t threads_ns;
	uint64_t pages;

	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/statm", pid);
	if (!process_cpu_ns(pid, &process_ns) || !read_line(path, line, sizeof(line)) ||
	    !read_field(line, 1, &pages))
		return false;
	threads_ns = threads_cpu_ns(pid);
	cost->cpu_ns = threads_ns != 0 ? threads_ns : process_ns;
	cost->resident_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return true;
}

uint64_t
bench_own_cpu_ns(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return 0;
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

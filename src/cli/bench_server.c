#include "config.h"

#include "cli/bench_server.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
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

/* The scheduler's own count in nanoseconds, of the threads that there are. */
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
		    sscanf(line, "%" SCNu64, &ns) == 1)
			sum += ns;
	}
	closedir(dir);
	return sum;
}

static bool
process_cpu_ns(uint64_t pid, uint64_t *ns)
{
	char path[64];
	char line[1024];
	const char *after_name;
	uint64_t user;
	uint64_t system;

	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/stat", pid);
	/* The name may hold anything, brackets and spaces too. */
	if (!read_line(path, line, sizeof(line)) || (after_name = strrchr(line, ')')) == NULL ||
	    sscanf(after_name + 1,
		" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64, &user,
		&system) != 2)
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
	    sscanf(line, "%*u %" SCNu64, &pages) != 1)
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

#include "config.h"

#include "app/file_limit.h"

#include <sys/resource.h>

/* Any process may raise its limit up to the hard limit; a privileged one up to the kernel's limit.
 */
static rlim_t
raise_to(rlim_t wanted)
{
	struct rlimit limit, raised;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return wanted; /* the limit is unknown: accept() will fail if it is too low */
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= wanted)
		return wanted;
	raised = limit;
	raised.rlim_cur = wanted;
	if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < wanted)
		raised.rlim_max = wanted;
	if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
		return wanted;
	raised = limit;
	raised.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
		return raised.rlim_cur;
	return limit.rlim_cur;
}

uint32_t
file_limit_reserve(unsigned io_threads)
{
	return 32 + (io_threads > 1 ? io_threads * 5 : 0);
}

uint32_t
file_limit_raise(uint32_t maxclients, unsigned io_threads)
{
	rlim_t reserve = file_limit_reserve(io_threads);
	rlim_t files = raise_to(maxclients + reserve);

	if (files <= reserve)
		return 0;
	files -= reserve;
	return files < maxclients ? (uint32_t)files : maxclients;
}

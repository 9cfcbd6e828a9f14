#include "config.h"

#include "app/file_limit.h"

#include <sys/resource.h>

/* Up to the hard limit anyone may go; past it the privileged, up to what the kernel allows. */
static rlim_t
raise_to(rlim_t wanted)
{
	struct rlimit limit, raised;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return wanted; /* it cannot be known: accept() will tell */
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
file_limit_raise(uint32_t maxclients)
{
	rlim_t files = raise_to((rlim_t)maxclients + FILE_LIMIT_RESERVE);

	if (files <= FILE_LIMIT_RESERVE)
		return 0;
	files -= FILE_LIMIT_RESERVE;
	return files < maxclients ? (uint32_t)files : maxclients;
}

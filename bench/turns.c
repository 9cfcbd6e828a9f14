/*
 * The longest turn of a broker's event loop, in processor time: what other work on the machine
 * takes does not count. Preloaded into an unchanged broker (bench/stalls does this):
 *
 *   LD_PRELOAD=./turns.so TURNS_FILE=file broker ...
 *
 * A turn is what the main thread does between two calls of epoll_wait() or its relatives. The file
 * has a struct turns, which the measuring process maps: it adds 1 to `wanted` to begin a new
 * measurement.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct turns {
	volatile uint64_t wanted; /* number of the measurement, set from outside */
	uint64_t begun;           /* number of the measurement that the other figures belong to */
	uint64_t longest_cpu_ns;
	uint64_t longest_wall_ns;
	uint64_t count;
	uint64_t cpu_ns;   /* of all turns */
	uint64_t over_5ms; /* turns of more than 5 ms of processor time */
};

static struct turns *turns;
static uint64_t cpu_from_ns, wall_from_ns;

static uint64_t
clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void __attribute__((constructor)) open_file(void)
{
	const char *path = getenv("TURNS_FILE");
	int fd = path != NULL ? open(path, O_RDWR) : -1;
	void *map;

	unsetenv("LD_PRELOAD"); /* not for the broker's own children */
	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(*turns), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED)
		turns = map;
	close(fd);
}

static int
is_main_thread(void)
{
	static __thread int known; /* 1: it is, 2: it is not */

	if (known == 0)
		known = syscall(SYS_gettid) == getpid() ? 1 : 2;
	return turns != NULL && known == 1;
}

static void
end_turn(void)
{
	uint64_t cpu_ns, wall_ns;

	if (!is_main_thread() || wall_from_ns == 0)
		return;
	cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_from_ns;
	wall_ns = clock_ns(CLOCK_MONOTONIC) - wall_from_ns;
	if (turns->begun != turns->wanted) {
		turns->longest_cpu_ns = turns->longest_wall_ns = 0;
		turns->count = turns->cpu_ns = turns->over_5ms = 0;
		turns->begun = turns->wanted;
	}
	turns->count++;
	turns->cpu_ns += cpu_ns;
	turns->over_5ms += cpu_ns > 5000000;
	if (turns->longest_cpu_ns < cpu_ns)
		turns->longest_cpu_ns = cpu_ns;
	if (turns->longest_wall_ns < wall_ns)
		turns->longest_wall_ns = wall_ns;
}

static void
begin_turn(void)
{
	if (!is_main_thread())
		return;
	cpu_from_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	wall_from_ns = clock_ns(CLOCK_MONOTONIC);
}

int
epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
	return epoll_pwait(epfd, events, max, timeout, NULL);
}

int
epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout, const sigset_t *mask)
{
	int n;

	end_turn();
	n = (int)syscall(SYS_epoll_pwait, epfd, events, max, timeout, mask, _NSIG / 8);
	begin_turn();
	return n;
}

int
epoll_pwait2(int epfd, struct epoll_event *events, int max, const struct timespec *timeout,
    const sigset_t *mask)
{
	int n;

	end_turn();
	n = (int)syscall(SYS_epoll_pwait2, epfd, events, max, timeout, mask, _NSIG / 8);
	begin_turn();
	return n;
}

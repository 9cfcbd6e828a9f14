#include "config.h"

#include "base/allocator.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/trim.h"

#if HAVE_JEMALLOC

#include <jemalloc/jemalloc.h>
#include <stdio.h>

/* jemalloc reads this variable before main(). MALLOC_CONF in the environment overrides it. */
const char *malloc_conf = "dirty_decay_ms:2500,muzzy_decay_ms:0,max_background_threads:1";

/* The name of the operation that purges all arenas. */
#define TEXT_OF(number) #number
#define NAME_OF(number) TEXT_OF(number)
#define PURGE_ALL "arena." NAME_OF(MALLCTL_ARENAS_ALL) ".purge"

const char *
allocator_name(void)
{
	return "jemalloc-" NAME_OF(JEMALLOC_VERSION_MAJOR) "." NAME_OF(
	    JEMALLOC_VERSION_MINOR) "." NAME_OF(JEMALLOC_VERSION_BUGFIX);
}

bool
allocator_start(void)
{
	bool on = true;

	errno = mallctl("background_thread", NULL, NULL, &on, sizeof(on));
	return errno == 0;
}

static bool
read_size(const char *name, size_t *value)
{
	size_t len = sizeof(*value);

	return mallctl(name, value, &len, NULL, 0) == 0;
}

bool
allocator_figures(struct allocator_figures *figures)
{
	uint64_t epoch = 1;

	/* The statistics are refreshed when the epoch is set. */
	return mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)) == 0 &&
	       read_size("stats.allocated", &figures->allocated) &&
	       read_size("stats.active", &figures->active) &&
	       read_size("stats.resident", &figures->resident);
}

static void
append_text(void *out, const char *text)
{
	buffer_append_str(out, text);
}

void
allocator_describe(struct buffer *out)
{
	malloc_stats_print(append_text, out, "");
}

uint64_t
allocator_turn(size_t used_bytes, uint64_t now_us)
{
	(void)used_bytes;
	(void)now_us;
	return UINT64_MAX;
}

static void
purge_all(void)
{
	(void)mallctl(PURGE_ALL, NULL, NULL, NULL, 0);
}

#else

#include <malloc.h>
#include <stdlib.h>

#define SORTING_BYTES                                                                              \
	3000 /* larger than the blocks that glibc serves without sorting that list                 \
	      */
#define SORT_AFTER_BYTES 65536

const char *
allocator_name(void)
{
	return "libc";
}

bool
allocator_start(void)
{
	return true;
}

bool
allocator_figures(struct allocator_figures *figures)
{
	(void)figures;
	return false;
}

void
allocator_describe(struct buffer *out)
{
	(void)out;
}

static void
purge_all(void)
{
	malloc_trim(0);
}

/*
 * glibc keeps freed blocks in an unsorted list. An allocation that searches the list sorts it, at
 * most 10 000 blocks at a time. A trim that found a hundred thousand blocks there blocked the loop
 * for 67 ms. So this allocation makes glibc sort some of them.
 */
static void
sort_freed(void)
{
	void *volatile block = malloc(SORTING_BYTES);

	free(block);
}

uint64_t
allocator_turn(size_t used_bytes, uint64_t now_us)
{
	static struct trim trim; /* static, because there is one heap */
	static size_t used_before;

	if (used_bytes + SORT_AFTER_BYTES < used_before)
		sort_freed();
	used_before = used_bytes;
	if (trim_is_due(&trim, used_bytes, now_us)) {
		purge_all();
		trim_is_done(&trim, used_bytes, now_us, clock_mono_us() - now_us);
	}
	return trim_wait_us(&trim, used_bytes, now_us);
}

#endif

/* Owned by the thread and by its caller; the last of the two to release it frees it. */
struct allocator_purge {
	atomic_uint owners;
	atomic_bool is_over;
};

static void
leave(struct allocator_purge *purge)
{
	if (atomic_fetch_sub(&purge->owners, 1) == 1)
		xfree(purge);
}

static void *
run(void *arg)
{
	struct allocator_purge *purge = arg;

	purge_all();
	atomic_store(&purge->is_over, true);
	leave(purge);
	return NULL;
}

struct allocator_purge *
allocator_purge_start(void)
{
	struct allocator_purge *purge = xcalloc(1, sizeof(*purge));
	sigset_t all, before;
	pthread_t thread;
	int error;

	atomic_init(&purge->owners, 2);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, NULL, run, purge);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0)
		pthread_detach(thread);
	else
		run(purge);
	return purge;
}

bool
allocator_purge_is_over(const struct allocator_purge *purge)
{
	return atomic_load(&purge->is_over);
}

void
allocator_purge_free(struct allocator_purge *purge)
{
	leave(purge);
}

#include "config.h"

#include "net/lookup.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"

struct lookup {
	struct event *event; /* used by the loop */
	void (*done)(void *arg, struct addrinfo *list, const char *error);
	void *arg;
	int fd; /* an eventfd, readable when the lookup is done */

	/* Used by the thread, and by the loop once answered is set. */
	struct addrinfo *list;
	int result;
	char port[8];

	atomic_bool answered;
	atomic_uint refs; /* one for the loop, one for the thread */
	char host[];
};

static void
unref(struct lookup *lookup)
{
	if (atomic_fetch_sub(&lookup->refs, 1) > 1)
		return;
	if (lookup->list != NULL)
		freeaddrinfo(lookup->list);
	if (lookup->fd != -1)
		close(lookup->fd);
	xfree(lookup);
}

static int
look_up(struct lookup *lookup, int flags)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};

	return getaddrinfo(lookup->host, lookup->port, &hints, &lookup->list);
}

static void *
run(void *arg)
{
	struct lookup *lookup = arg;

	lookup->result = look_up(lookup, AI_ADDRCONFIG);
	atomic_store(&lookup->answered, true);
	(void)!eventfd_write(lookup->fd, 1);
	unref(lookup);
	return NULL;
}

static void
tell(struct lookup *lookup)
{
	struct addrinfo *list = lookup->list;
	const char *error = lookup->result != 0 ? gai_strerror(lookup->result) : NULL;
	void (*done)(void *arg, struct addrinfo *list, const char *error) = lookup->done;
	void *arg = lookup->arg;

	lookup->list = NULL;
	lookup_cancel(lookup);
	done(arg, list, error);
}

static void
on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct lookup *lookup = arg;

	(void)fd;
	(void)what;
	if (atomic_load(&lookup->answered))
		tell(lookup);
}

/* False if the system cannot start a thread. */
static bool
start_thread(struct lookup *lookup)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	bool ok;

	if (pthread_attr_init(&attributes) != 0)
		return false;
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	atomic_store(&lookup->refs, 2);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ok = pthread_create(&thread, &attributes, run, lookup) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (!ok)
		atomic_store(&lookup->refs, 1);
	return ok;
}

struct lookup *
lookup_start(struct event_base *base, const char *host, int port,
    void (*done)(void *arg, struct addrinfo *list, const char *error), void *arg)
{
	size_t host_len = strlen(host);
	struct lookup *lookup = xcalloc(1, sizeof(*lookup) + host_len + 1);

	memcpy(lookup->host, host, host_len + 1);
	snprintf(lookup->port, sizeof(lookup->port), "%d", port);
	lookup->done = done;
	lookup->arg = arg;
	atomic_init(&lookup->refs, 1);
	lookup->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	lookup->result = look_up(lookup, AI_NUMERICHOST);
	if (lookup->result != EAI_NONAME) {
		tell(lookup);
		return NULL;
	}
	if (lookup->fd != -1)
		lookup->event = event_new(base, lookup->fd, EV_READ, on_answer, lookup);
	if (lookup->event == NULL || event_add(lookup->event, NULL) != 0 || !start_thread(lookup)) {
		lookup->result = EAI_MEMORY;
		tell(lookup);
		return NULL;
	}
	return lookup;
}

void
lookup_cancel(struct lookup *lookup)
{
	if (lookup == NULL)
		return;
	if (lookup->event != NULL)
		event_free(lookup->event);
	lookup->event = NULL;
	unref(lookup);
}

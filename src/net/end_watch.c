#include "config.h"

#include "net/end_watch.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/alloc.h"

#define REPORTED_AT_ONCE 64

struct end_watch {
	int fd;
	struct event *event;
	void (*ended)(void *arg);
};

/* If more events are pending, the loop calls this again. */
static void
on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct end_watch *w = arg;
	struct epoll_event events[REPORTED_AT_ONCE];
	int count = epoll_wait((int)fd, events, REPORTED_AT_ONCE, 0);

	(void)what;
	for (int i = 0; i < count; i++)
		w->ended(events[i].data.ptr);
}

struct end_watch *
end_watch_new(struct event_base *base, void (*ended)(void *arg))
{
	struct end_watch *w = xcalloc(1, sizeof(*w));

	w->ended = ended;
	w->fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->fd != -1)
		w->event = event_new(base, w->fd, EV_READ | EV_PERSIST, on_ready, w);
	if (w->event == NULL || event_add(w->event, NULL) != 0) {
		int error = errno;

		end_watch_free(w);
		errno = error;
		return NULL;
	}
	return w;
}

void
end_watch_free(struct end_watch *w)
{
	if (w == NULL)
		return;
	if (w->event != NULL)
		event_free(w->event);
	if (w->fd != -1)
		close(w->fd);
	xfree(w);
}

bool
end_watch_add(struct end_watch *w, int fd, void *arg)
{
	struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = arg};

	if (epoll_ctl(w->fd, EPOLL_CTL_ADD, fd, &event) == 0)
		return true;
	return errno == EEXIST && epoll_ctl(w->fd, EPOLL_CTL_MOD, fd, &event) == 0;
}

void
end_watch_remove(struct end_watch *w, int fd)
{
	(void)epoll_ctl(w->fd, EPOLL_CTL_DEL, fd, NULL);
}

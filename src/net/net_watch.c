#include "config.h"

#include <event2/event.h>

#include "base/alloc.h"
#include "net/conn.h"

/* Watches descriptors for other modules. */

struct net_watch {
	struct net *net;
	struct event *event;
	void (*ready)(void *arg);
	void *arg;
};

static void
on_watched(evutil_socket_t fd, short what, void *arg)
{
	struct net_watch *watch = arg;

	(void)fd;
	(void)what;
	net_wake(watch->net);
	watch->ready(watch->arg);
}

static struct net_watch *
watch_for(struct net *net, int fd, short what, void (*ready)(void *arg), void *arg)
{
	struct net_watch *watch = xcalloc(1, sizeof(*watch));

	*watch = (struct net_watch){.net = net, .ready = ready, .arg = arg};
	watch->event = event_new(net->base, fd, (short)(what | EV_PERSIST), on_watched, watch);
	if (watch->event != NULL && event_add(watch->event, NULL) == 0)
		return watch;
	net_unwatch(watch);
	return NULL;
}

struct net_watch *
net_watch(struct net *net, int fd, void (*readable)(void *arg), void *arg)
{
	return watch_for(net, fd, EV_READ, readable, arg);
}

struct net_watch *
net_watch_writable(struct net *net, int fd, void (*writable)(void *arg), void *arg)
{
	return watch_for(net, fd, EV_WRITE, writable, arg);
}

void
net_unwatch(struct net_watch *watch)
{
	if (watch == NULL)
		return;
	if (watch->event != NULL)
		event_free(watch->event);
	xfree(watch);
}

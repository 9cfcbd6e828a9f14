#include "config.h"

#include <assert.h>
#include <event2/event.h>

#include "base/alloc.h"
#include "base/log.h"
#include "net/conn.h"

/* Watches descriptors for other modules: once with a time limit, or until net_unwatch(). */

void
net_forget(struct net *net)
{
	if (net->awaited != NULL)
		event_free(net->awaited);
	net->awaited = NULL;
}

static void
on_awaited(evutil_socket_t fd, short what, void *arg)
{
	struct net *net = arg;

	(void)fd;
	net_wake(net);
	net_forget(net);
	net->await_done(net->await_arg, (what & EV_READ) != 0);
}

void
net_await(
    struct net *net, int fd, uint32_t timeout_ms, void (*done)(void *arg, bool readable), void *arg)
{
	struct timeval timeout = {
	    (time_t)(timeout_ms / 1000), (suseconds_t)(timeout_ms % 1000) * 1000};

	assert(net->awaited == NULL);
	net->await_done = done;
	net->await_arg = arg;
	net->awaited = event_new(net->base, fd, EV_READ, on_awaited, net);
	if (net->awaited == NULL || event_add(net->awaited, &timeout) != 0) {
		log_error("descriptor %d cannot be watched", fd);
		net_forget(net);
		done(arg, false);
	}
}

struct net_watch {
	struct net *net;
	struct event *event;
	void (*readable)(void *arg);
	void *arg;
};

static void
on_watched(evutil_socket_t fd, short what, void *arg)
{
	struct net_watch *watch = arg;

	(void)fd;
	(void)what;
	net_wake(watch->net);
	watch->readable(watch->arg);
}

struct net_watch *
net_watch(struct net *net, int fd, void (*readable)(void *arg), void *arg)
{
	struct net_watch *watch = xcalloc(1, sizeof(*watch));

	*watch = (struct net_watch){.net = net, .readable = readable, .arg = arg};
	watch->event = event_new(net->base, fd, EV_READ | EV_PERSIST, on_watched, watch);
	if (watch->event != NULL && event_add(watch->event, NULL) == 0)
		return watch;
	net_unwatch(watch);
	return NULL;
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

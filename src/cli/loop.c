#include "config.h"

#include "cli/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/cli.h"

struct loop {
	struct event_base *base;
	struct event *deadline;
	struct event *signalled;
	int pipe[2];
	void (*cut)(void *arg);
	void *cut_arg;
	bool stopped;
	int status;
};

/*
 * Signals have a handler of their own: libevent's would restart a write() that blocks on a full
 * pipe, and a second signal could not end the process while it waits for a name server.
 */
static volatile sig_atomic_t first_signal;
static volatile sig_atomic_t wake_fd = -1;

static void
handle_signal(int signo)
{
	int saved = errno;

	if (first_signal != 0)
		_exit(CLI_SIGNALLED + signo);
	first_signal = signo;
	/* If the pipe is full, the loop will wake up anyway. */
	if (write(wake_fd, "", 1) < 0)
		errno = saved;
	errno = saved;
}

static void
end_from_outside(struct loop *loop, int status)
{
	if (loop->stopped)
		return;
	loop_stop(loop, status);
	if (loop->cut != NULL)
		loop->cut(loop->cut_arg);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	end_from_outside(arg, CLI_TIMEOUT);
}

static void
on_signal(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	end_from_outside(arg, CLI_SIGNALLED + first_signal);
}

/* A signal ignored by the parent (nohup) stays ignored. */
static void
catch_signal(int signo)
{
	struct sigaction old;
	struct sigaction action = {.sa_handler = handle_signal};

	if (sigaction(signo, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
		return;
	sigemptyset(&action.sa_mask);
	sigaction(signo, &action, NULL);
}

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	cli_warn("cannot create %s: %s", what, strerror(errno));
	exit(CLI_FAILED);
}

struct loop *
loop_new(void)
{
	struct loop *loop = xcalloc(1, sizeof(*loop));
	struct event_config *config = event_config_new();

	/* stdin may be a file, which epoll refuses and poll accepts. */
	must(config != NULL && event_config_avoid_method(config, "epoll") == 0, "an event loop");
	loop->base = event_base_new_with_config(config);
	event_config_free(config);
	must(loop->base != NULL, "an event loop");
	must(pipe(loop->pipe) == 0, "a pipe");
	evutil_make_socket_nonblocking(loop->pipe[0]);
	evutil_make_socket_nonblocking(loop->pipe[1]);
	loop->deadline = evtimer_new(loop->base, on_deadline, loop);
	loop->signalled =
	    event_new(loop->base, loop->pipe[0], EV_READ | EV_PERSIST, on_signal, loop);
	must(loop->deadline != NULL && loop->signalled != NULL, "an event");
	must(event_add(loop->signalled, NULL) == 0, "an event");
	wake_fd = loop->pipe[1];
	catch_signal(SIGINT);
	catch_signal(SIGTERM);
	catch_signal(SIGHUP);
	return loop;
}

void
loop_free(struct loop *loop)
{
	wake_fd = -1;
	event_free(loop->deadline);
	event_free(loop->signalled);
	close(loop->pipe[0]);
	close(loop->pipe[1]);
	/* A deferred callback still references its bufferevent and the TLS of that. */
	(void)event_base_loop(loop->base, EVLOOP_NONBLOCK);
	event_base_free(loop->base);
	xfree(loop);
}

struct event_base *
loop_base(struct loop *loop)
{
	return loop->base;
}

void
loop_on_cut(struct loop *loop, void (*cut)(void *arg), void *arg)
{
	loop->cut = cut;
	loop->cut_arg = arg;
}

void
loop_stop(struct loop *loop, int status)
{
	if (loop->stopped)
		return;
	loop->stopped = true;
	loop->status = status;
	event_base_loopbreak(loop->base);
}

bool
loop_is_interrupted(void)
{
	return first_signal != 0;
}

int
loop_run(struct loop *loop, uint64_t timeout_us)
{
	struct timeval timeout = loop_timeval(timeout_us);

	if (timeout_us != 0 && !loop->stopped)
		must(evtimer_add(loop->deadline, &timeout) == 0, "a timer");
	while (!loop->stopped && event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) == 0)
		continue;
	evtimer_del(loop->deadline);
	if (!loop->stopped) {
		cli_warn("the event loop failed: %s", strerror(errno));
		return CLI_FAILED;
	}
	return loop->status;
}

struct timeval
loop_timeval(uint64_t us)
{
	return (struct timeval){
	    .tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000)};
}

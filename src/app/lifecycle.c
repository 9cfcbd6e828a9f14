#include "config.h"

#include "app/lifecycle.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "app/listening.h"
#include "app/persistence.h"
#include "app/systemd.h"
#include "app/wiring.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/client_end.h"
#include "server/lame_duck.h"
#include "server/presence_service.h"
#include "server/scripts.h"

/* Time that the shutdown may take in addition to the configured limits. */
#define SLACK_S 5

/* The delay before a failed last snapshot is tried again. */
#define SAVE_AGAIN_US 5000000

static void hand_over_done(void *arg);

void
lifecycle_init(
    struct lifecycle *l, struct wiring *wiring, const struct settings *settings, char **argv)
{
	*l = (struct lifecycle){.wiring = wiring, .settings = settings};
	hand_over_init(&l->hand_over, wiring, argv, hand_over_done, l);
}

void
lifecycle_release(struct lifecycle *l)
{
	hand_over_release(&l->hand_over);
}

void
lifecycle_end(struct lifecycle *l)
{
	hand_over_end(&l->hand_over);
}

/* A daemon that shuts down starts no successor. */
static void
cancel_upgrade(struct lifecycle *l)
{
	if (!hand_over_is_active(&l->hand_over))
		return;
	log_warn("upgrade given up: this process is shutting down");
	hand_over_cancel(&l->hand_over);
}

static void
notify_stopping(const struct lifecycle *l, uint64_t window_s)
{
	uint64_t seconds = (uint64_t)window_s + l->settings->server.shutdown_timeout_s +
			   l->settings->disk.shutdown_timeout_s + SLACK_S;

	systemd_notify("STOPPING=1\nSTATUS=%s\nEXTEND_TIMEOUT_USEC=%" PRIu64,
	    window_s > 0 ? "Lame duck" : "Stopping", seconds * 1000000);
}

static void
drain(struct lifecycle *l)
{
	uint32_t timeout_s = l->settings->server.shutdown_timeout_s;

	if (l->state == LIFECYCLE_DRAINS)
		return;
	cancel_upgrade(l);
	log_notice("stopping: writing the queued output of clients for at most %u s",
	    (unsigned int)timeout_s);
	l->state = LIFECYCLE_DRAINS;
	notify_stopping(l, 0);
	presence_share_end(l->wiring->server);
	server_say_farewell(l->wiring->server);
	net_drain(l->wiring->net, timeout_s < UINT32_MAX / 1000 ? timeout_s * 1000 : UINT32_MAX);
}

static void
stop_now(struct lifecycle *l)
{
	cancel_upgrade(l);
	log_notice("stopping at once");
	if (l->state == LIFECYCLE_SERVES)
		notify_stopping(l, 0);
	l->state = LIFECYCLE_DRAINS;
	presence_share_end(l->wiring->server);
	net_stop(l->wiring->net);
}

static size_t
client_count(const struct lifecycle *l)
{
	return net_figures(l->wiring->net).connections;
}

void
lifecycle_lame_duck(struct lifecycle *l, uint32_t window_s)
{
	struct net_listener listeners[NET_LISTENERS_MAX];
	size_t count = net_listeners(l->wiring->net, listeners, NET_LISTENERS_MAX);

	if (l->state == LIFECYCLE_DRAINS)
		return;
	cancel_upgrade(l);
	for (size_t i = 0; i < count && i < NET_LISTENERS_MAX; i++)
		l->has_passed = l->has_passed || listeners[i].is_passed;
	log_notice("lame duck: accepting no more clients, closing %zu over %u s", client_count(l),
	    (unsigned int)window_s);
	l->state = LIFECYCLE_LAME_DUCK;
	notify_stopping(l, window_s);
	net_close_listeners(l->wiring->net);
	server_lame_duck(l->wiring->server, window_s);
}

/* The last snapshot failed: the daemon serves again or, if it cannot, keeps trying. */
static void
cancel_shutdown(struct lifecycle *l)
{
	char error[256];

	if (lifecycle_abort(l, error, sizeof(error))) {
		log_error("shutdown cancelled: the last snapshot failed");
		return;
	}
	log_error("shutdown waits: the last snapshot failed and is tried again every %u s; another "
		  "signal ends the daemon without it (it cannot serve again: %s)",
	    (unsigned int)(SAVE_AGAIN_US / 1000000), error);
	l->was_signalled = true;
	l->save_again_us = clock_mono_us() + SAVE_AGAIN_US;
}

void
lifecycle_lame_duck_over(struct lifecycle *l)
{
	if (l->state != LIFECYCLE_LAME_DUCK)
		return;
	log_notice("lame duck: finished, %zu connections left", client_count(l));
	if (persistence_save_last(l->wiring->persistence))
		drain(l);
	else
		cancel_shutdown(l);
}

void
lifecycle_turn(struct lifecycle *l, uint64_t now_us)
{
	/* A signal that was refused earlier no longer counts as the first of two. */
	if (l->state == LIFECYCLE_SERVES && l->was_signalled &&
	    !persistence_fails_to_save(l->wiring->persistence))
		l->was_signalled = false;
	if (l->save_again_us == 0 || now_us < l->save_again_us)
		return;
	l->save_again_us = 0;
	if (l->state != LIFECYCLE_LAME_DUCK)
		return;
	if (persistence_save_last(l->wiring->persistence))
		drain(l);
	else
		l->save_again_us = now_us + SAVE_AGAIN_US;
}

/* Why the shutdown cannot be aborted; NULL: it can. */
static const char *
abort_obstacle(const struct lifecycle *l)
{
	if (l->state != LIFECYCLE_LAME_DUCK)
		return "No shutdown in progress.";
	if (l->has_handed_over)
		return "Another process serves in the place of this one";
	if (l->has_passed)
		return "The listening sockets were passed to this process and are closed";
	if (systemd_path() != NULL)
		return "The service manager was told that this process is stopping";
	if (l->settings->seccomp != SECCOMP_NO)
		return "seccomp keeps this process from listening again";
	return NULL;
}

bool
lifecycle_abort(struct lifecycle *l, char *error, size_t error_len)
{
	static const struct systemd_sockets none;
	const char *why = abort_obstacle(l);
	struct buffer opened = {0}, text = {0};
	bool ok;

	if (why != NULL) {
		snprintf(error, error_len, "%s", why);
		return false;
	}
	ok = listening_open(l->wiring->net, l->settings, &none, &opened, &text);
	if (ok) {
		log_notice(
		    "lame duck: aborted, listening again on %.*s", (int)opened.len, opened.ptr);
		l->state = LIFECYCLE_SERVES;
		l->was_signalled = false;
		l->save_again_us = 0;
		persistence_forget_shutdown(l->wiring->persistence);
		(void)server_lame_duck_cancel(l->wiring->server);
	} else {
		snprintf(error, error_len, "Cannot listen again: %.*s", (int)text.len, text.ptr);
		net_close_listeners(l->wiring->net);
	}
	buffer_release(&opened);
	buffer_release(&text);
	return ok;
}

void
lifecycle_shutdown(struct lifecycle *l, bool now)
{
	log_notice("SHUTDOWN by a client");
	if (now)
		stop_now(l);
	else
		drain(l);
}

/* SIGTERM, SIGINT. */
static void
on_end_signal(struct lifecycle *l)
{
	uint32_t grace_s = l->settings->server.shutdown_grace_s;
	bool again = l->was_signalled;

	l->was_signalled = true;
	if (!again && l->state != LIFECYCLE_DRAINS &&
	    !persistence_save_last(l->wiring->persistence)) {
		log_error("shutdown cancelled: the last snapshot failed; another signal ends the "
			  "daemon without it");
		return;
	}
	if (again || l->state == LIFECYCLE_DRAINS)
		stop_now(l);
	else if (l->state == LIFECYCLE_LAME_DUCK || grace_s == 0)
		drain(l);
	else
		lifecycle_lame_duck(l, grace_s);
}

/* The successor serves: this process closes its clients over time, and ends. */
static void
hand_over_done(void *arg)
{
	struct lifecycle *l = arg;
	uint32_t window_s = l->settings->server.shutdown_grace_s;

	if (window_s == 0)
		window_s = l->settings->server.shutdown_timeout_s;
	l->has_handed_over = true;
	systemd_close(); /* the state of this process is no longer that of the service */
	if (window_s > 0)
		lifecycle_lame_duck(l, window_s);
	else
		drain(l);
}

static void
begin_upgrade(struct lifecycle *l)
{
	if (l->state != LIFECYCLE_SERVES)
		log_warn("SIGUSR2: no upgrade, this process is stopping");
	else if (l->settings->seccomp != SECCOMP_NO)
		log_error(
		    "SIGUSR2: no upgrade, seccomp does not allow this process to start another");
	else if (l->settings->chroot[0] != '\0')
		log_error("SIGUSR2: no upgrade, only root could enter the chroot again");
	else
		hand_over_begin(&l->hand_over);
}

static void
on_child(struct lifecycle *l)
{
	pid_t child;
	int status;

	if (!upgrade_reap(&l->hand_over.upgrade, &child, &status))
		return;
	if (WIFSIGNALED(status))
		log_warn(
		    "process %ld of an upgrade ended by signal %d", (long)child, WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		log_warn("process %ld of an upgrade ended with status %d", (long)child,
		    WEXITSTATUS(status));
}

void
lifecycle_signal(struct lifecycle *l, int signal)
{
	switch (signal) {
	case SIGUSR2:
		begin_upgrade(l);
		break;
	case SIGCHLD:
		on_child(l);
		break;
	default:
		log_notice("%s", signal == SIGINT ? "SIGINT" : "SIGTERM");
		on_end_signal(l);
	}
}

void
lifecycle_turn_ends(struct lifecycle *l)
{
	hand_over_turn_ends(&l->hand_over);
}

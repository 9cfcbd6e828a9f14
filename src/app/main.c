#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/config_source.h"
#include "app/daemon.h"
#include "app/listening.h"
#include "app/live_config.h"
#include "app/settings.h"
#include "app/systemd.h"
#include "app/wiring.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

/* The daemon as a whole; there is one. */
struct fanfared {
	struct config_source source;
	struct settings settings;
	struct live_config live;
	struct wiring wiring;
	bool stopping;
};

static const char help[] =
    "usage: fanfared [-c FILE | FILE] [--directive value ...] [option]\n"
    "\n"
    "  -c FILE           configuration file\n"
    "  --directive ...   a directive of the file and its values, in place of what the file says:\n"
    "                    --port 7000 --bind 127.0.0.1 ::1\n"
    "  --check-config    say whether the configuration is valid, and exit\n"
    "  --show-config     print the configuration that holds, and exit\n"
    "  -v, --version     print the version, and exit\n"
    "  -h, --help        print this, and exit\n"
    "\n"
    "See fanfared(8), fanfared.conf(5) and fanfare-commands(7).\n";

static void
print_error(const struct buffer *error)
{
	fprintf(stderr, "%.*s\n", (int)error->len, error->ptr);
}

static void
print_settings(const struct settings *s)
{
	struct buffer text = {0};
	size_t i;

	for (i = 0; i < settings_count(); i++) {
		settings_write(s, settings_row(i), &text);
		buffer_append_str(&text, "\n");
	}
	fwrite(text.ptr, 1, text.len, stdout);
	buffer_release(&text);
}

/* The modes that print something and exit. */
static int
report(const struct fanfared *f)
{
	if (f->source.mode == CONFIG_MODE_SHOW)
		print_settings(&f->settings);
	else if (f->source.mode == CONFIG_MODE_VERSION)
		puts("fanfared " PACKAGE_VERSION);
	else if (f->source.mode == CONFIG_MODE_HELP)
		fputs(help, stdout);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void
stop(struct fanfared *f, bool now)
{
	if (now || f->stopping) {
		log_notice("stopping at once");
		net_stop(f->wiring.net);
	} else {
		log_notice("stopping: clients have %u s to take what they are owed",
		    (unsigned int)f->settings.server.shutdown_timeout_s);
		net_drain(f->wiring.net, f->settings.server.shutdown_timeout_s < UINT32_MAX / 1000
					     ? f->settings.server.shutdown_timeout_s * 1000
					     : UINT32_MAX);
	}
	if (!f->stopping)
		systemd_notify("STOPPING=1\nSTATUS=Stopping");
	f->stopping = true;
}

static void
reload(struct fanfared *f)
{
	log_notice("SIGHUP: reading the configuration again");
	systemd_notify("RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Reloading",
	    (unsigned long long)clock_mono_us());
	if (!log_reopen())
		log_error("%s: %s: logging to the file as it was opened before",
		    f->settings.logfile, strerror(errno));
	live_config_reload(&f->live);
	systemd_notify("READY=1\nSTATUS=Ready");
}

static void
on_signal(void *arg, int signal)
{
	struct fanfared *f = arg;

	if (signal == SIGHUP) {
		reload(f);
		return;
	}
	log_notice("%s", signal == SIGINT ? "SIGINT" : "SIGTERM");
	stop(f, false);
}

static void
on_shutdown(void *arg, bool now)
{
	log_notice("SHUTDOWN by a client");
	stop(arg, now);
}

static bool
is_supervised(const struct settings *s)
{
	return s->supervised == SUPERVISED_SYSTEMD ||
	       (s->supervised == SUPERVISED_AUTO && systemd_has_supervisor());
}

static void
open_supervisor(const struct settings *s)
{
	/* Without it systemd waits for READY=1 until it gives up; until then there is service, and
	 * this line. */
	if (is_supervised(s) && !systemd_open())
		log_warn("supervised systemd: NOTIFY_SOCKET: %s", strerror(errno));
}

/* What stops the start goes to the log, and to whoever started the daemon. */
static void __attribute__((format(printf, 2, 3)))
refuse(const struct settings *s, const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	log_error("%s", line);
	if (settings_log(s).sink != LOG_TO_STDERR)
		fprintf(stderr, "%s\n", line);
}

/* Working directory, log: what everything else stands on. */
static bool
prepare(struct fanfared *f)
{
	struct log_config log = settings_log(&f->settings);

	if (!config_source_anchor(&f->source)) {
		fprintf(stderr, "%s: %s\n", f->source.file, strerror(errno));
		return false;
	}
	if (chdir(f->settings.dir) != 0) {
		fprintf(stderr, "dir %s: %s\n", f->settings.dir, strerror(errno));
		return false;
	}
	if (!log_open(&log)) {
		fprintf(stderr, "logfile %s: %s\n", f->settings.logfile, strerror(errno));
		return false;
	}
	return true;
}

/* Says nothing but what goes wrong: a start that fails is one line. */
static bool
listen_and_mark(struct fanfared *f, size_t socket_count, struct buffer *opened)
{
	const char *pidfile = f->settings.pidfile;
	struct buffer error = {0};
	bool ok;

	ok = listening_open(f->wiring.net, &f->settings, socket_count, opened, &error);
	if (!ok) {
		refuse(&f->settings, "%.*s", (int)error.len, error.ptr);
	} else if (pidfile[0] != '\0' && !pidfile_write(pidfile)) {
		refuse(&f->settings, "pidfile %s: %s", pidfile, strerror(errno));
		ok = false;
	}
	buffer_release(&error);
	return ok;
}

/*
 * libevent gives a signal back what it meant before, when it is no longer watched: nothing, so that
 * a second one that comes at the very end changes no exit status. Blocked meanwhile, none is lost.
 */
static void
watch_signals(struct net *net)
{
	static const int watched[] = {SIGTERM, SIGINT, SIGHUP};
	sigset_t set, before;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(watched) / sizeof(*watched); i++)
		sigaddset(&set, watched[i]);
	sigprocmask(SIG_BLOCK, &set, &before);
	for (size_t i = 0; i < sizeof(watched) / sizeof(*watched); i++) {
		signal(watched[i], SIG_IGN);
		net_watch_signal(net, watched[i]);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static bool
load_users(struct fanfared *f)
{
	struct buffer error = {0};
	bool ok = live_config_load_users(&f->live, &error);

	if (!ok)
		refuse(&f->settings, "%.*s", (int)error.len, error.ptr);
	buffer_release(&error);
	return ok;
}

/* Everything that can fail; from the first listener on, signals are obeyed. */
static bool
open_doors(struct fanfared *f, size_t socket_count)
{
	struct server_settings interface = live_config_interface(&f->live);
	struct buffer opened = {0};
	bool ok;

	f->wiring.signalled = on_signal;
	f->wiring.stopping = on_shutdown;
	f->wiring.arg = f;
	if (!wiring_init(&f->wiring, &f->settings, &interface))
		return false;
	f->live.server = f->wiring.server;
	watch_signals(f->wiring.net);
	ok = load_users(f) && listen_and_mark(f, socket_count, &opened);
	if (ok) {
		log_notice("fanfared %s, pid %ld, configuration %s", PACKAGE_VERSION,
		    (long)getpid(),
		    f->source.file != NULL ? f->source.file
					   : "of the command line and the defaults");
		log_notice("listening on %.*s; up to %u clients", (int)opened.len, opened.ptr,
		    (unsigned int)f->settings.server.maxclients);
	} else {
		wiring_release(&f->wiring);
	}
	buffer_release(&opened);
	return ok;
}

static void
serve(struct fanfared *f, int ready_fd)
{
	log_notice("ready to accept connections");
	if (ready_fd >= 0)
		daemon_ready(ready_fd);
	systemd_notify("READY=1\nSTATUS=Ready\nMAINPID=%ld", (long)getpid());
	net_run(f->wiring.net);
	if (f->settings.pidfile[0] != '\0')
		pidfile_remove(f->settings.pidfile);
	wiring_release(&f->wiring);
	log_notice("stopped");
}

static int
run(struct fanfared *f)
{
	size_t socket_count =
	    systemd_take_sockets(); /* they are for this process, not for a child */
	int ready_fd = -1;

	if (!prepare(f))
		return EXIT_FAILURE;
	if (f->settings.daemonize && !is_supervised(&f->settings)) {
		if (!f->settings.syslog_enabled && f->settings.logfile[0] == '\0')
			log_warn(
			    "in the background without a logfile or syslog, nothing is logged");
		ready_fd = daemon_detach();
		if (ready_fd < 0) {
			refuse(&f->settings, "daemonize: %s", strerror(errno));
			return EXIT_FAILURE;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	open_supervisor(&f->settings);
	if (!live_config_fit_maxclients(&f->settings) || !open_doors(f, socket_count))
		return EXIT_FAILURE;
	serve(f, ready_fd);
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	struct fanfared f = {0};
	struct buffer error = {0};
	int status = EXIT_FAILURE;

	alloc_init();
	f.live = (struct live_config){.settings = &f.settings, .source = &f.source};
	if (!config_source_parse(&f.source, argc, argv, &error)) {
		print_error(&error);
	} else if (f.source.mode == CONFIG_MODE_HELP || f.source.mode == CONFIG_MODE_VERSION) {
		status = report(&f);
	} else if (!config_source_load(&f.source, &f.settings, &error)) {
		print_error(&error);
	} else {
		status = f.source.mode == CONFIG_MODE_RUN ? run(&f) : report(&f);
		settings_release(&f.settings);
	}
	systemd_close();
	config_source_release(&f.source);
	buffer_release(&error);
	return status;
}

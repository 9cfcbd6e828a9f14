#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/chroot_paths.h"
#include "app/config_source.h"
#include "app/daemon.h"
#include "app/departures.h"
#include "app/first_import.h"
#include "app/foreign_notes.h"
#include "app/kept_history.h"
#include "app/lifecycle.h"
#include "app/listening.h"
#include "app/live_config.h"
#include "app/persistence.h"
#include "app/privileges.h"
#include "app/seccomp_filter.h"
#include "app/settings.h"
#include "app/systemd.h"
#include "app/take_over.h"
#include "app/upgrade.h"
#include "app/wiring.h"
#include "base/alloc.h"
#include "base/allocator.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/tls.h"
#include "persist/persist.h"
#include "server/scripts.h"

/* The whole daemon; there is one. */
struct fanfared {
	struct config_source source;
	struct settings settings;
	struct live_config live;
	struct wiring wiring;
	struct privileges privileges;
	struct lifecycle lifecycle;
	struct systemd_sockets passed; /* to listen on */
	struct first_import *import;   /* of the command line, until it is done; or NULL */
	int announce_fd;               /* the socket to the predecessor in an upgrade; -1: none */
	struct departures departures;  /* from the predecessor */
};

static const char usage[] = "usage: fanfared [-c FILE | FILE] [--directive value ...] [option]\n";

static const char help[] =
    "\n"
    "  -c FILE           configuration file\n"
    "  --directive ...   a directive and its values, which override the file:\n"
    "                    --port 7000 --bind 127.0.0.1 ::1\n"
    "  --import PATH     at the first start: import a snapshot, or the files in a folder, of "
    "Redis\n"
    "  --check-config    check the configuration, and exit\n"
    "  --show-config     print the resulting configuration, and exit\n"
    "  -v, --version     print the version, and exit\n"
    "  -h, --help        print this help, and exit\n"
    "\n"
    "See fanfared(8), fanfared.conf(5) and fanfare-commands(7).\n";

static void
print_error(const struct buffer *error)
{
	fprintf(stderr, "%.*s\n", (int)error->len, error->ptr);
}

/* Printed if the command line is invalid. */
static void
print_usage_error(const struct buffer *error)
{
	fprintf(stderr, "fanfared: %.*s\n%sfanfared --help lists the options\n", (int)error->len,
	    error->ptr, usage);
}

static void
print_settings(const struct settings *s)
{
	struct buffer text = {0};

	settings_write_all(s, &text);
	fwrite(text.ptr, 1, text.len, stdout);
	buffer_release(&text);
}

static void
reload(struct fanfared *f)
{
	log_notice("SIGHUP: reading the configuration again");
	systemd_notify("RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Reloading",
	    (unsigned long long)clock_mono_us());
	if (!log_reopen())
		log_error("%s: %s: logging goes on to the file that is open", f->settings.logfile,
		    strerror(errno));
	live_config_reload(&f->live);
	systemd_notify("READY=1\nSTATUS=Ready");
}

static void
on_signal(void *arg, int signal)
{
	struct fanfared *f = arg;

	if (signal == SIGHUP) {
		scripts_settle(f->wiring.server); /* it may switch the append-only file on */
		reload(f);
		return;
	}
	lifecycle_signal(&f->lifecycle, signal);
}

static void
on_shutdown(void *arg, bool now)
{
	lifecycle_shutdown(&((struct fanfared *)arg)->lifecycle, now);
}

static void
on_lame_duck(void *arg, uint32_t window_s)
{
	log_notice("SHUTDOWN GRACE by a client");
	lifecycle_lame_duck(&((struct fanfared *)arg)->lifecycle, window_s);
}

static bool
on_abort(void *arg, char *error, size_t error_len)
{
	return lifecycle_abort(&((struct fanfared *)arg)->lifecycle, error, error_len);
}

static void
on_lame_duck_over(void *arg)
{
	lifecycle_lame_duck_over(&((struct fanfared *)arg)->lifecycle);
}

static void
on_turn(void *arg, uint64_t now_us)
{
	lifecycle_turn(&((struct fanfared *)arg)->lifecycle, now_us);
}

static void
on_turn_ends(void *arg)
{
	lifecycle_turn_ends(&((struct fanfared *)arg)->lifecycle);
}

static void
on_log_accepted(void *arg)
{
	live_config_log_accepted(&((struct fanfared *)arg)->live);
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
	/* systemd will not get READY=1 and will give up after its timeout; the daemon serves until
	 * then, and this line says why. */
	if (is_supervised(s) && !systemd_open())
		log_warn("supervised systemd: NOTIFY_SOCKET: %s", strerror(errno));
}

/* An error at the start goes to the log and to stderr. */
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

/* From now on files are accessed as run-as-user. */
static bool
prepare_privileges(struct fanfared *f)
{
	const struct settings *s = &f->settings;
	struct buffer error = {0};
	bool ok =
	    privileges_prepare(&f->privileges, s->run_as_user, s->run_as_group, s->chroot, &error);

	if (!ok)
		print_error(&error);
	buffer_release(&error);
	return ok;
}

static bool
enter_folder(struct fanfared *f)
{
	if (!config_source_anchor(&f->source)) {
		fprintf(stderr, "%s: %s\n", f->source.file, strerror(errno));
		return false;
	}
	if (chdir(f->settings.dir) != 0) {
		fprintf(stderr, "dir %s: %s\n", f->settings.dir, strerror(errno));
		return false;
	}
	return true;
}

/* Working directory, user and log, which everything else needs. */
static bool
prepare(struct fanfared *f)
{
	struct log_config log = settings_log(&f->settings);

	if (!enter_folder(f) || !prepare_privileges(f))
		return false;
	if (!log_open(&log)) {
		fprintf(stderr, "logfile %s: %s\n", f->settings.logfile, strerror(errno));
		return false;
	}
	return true;
}

static bool
open_listeners(struct fanfared *f, struct buffer *opened)
{
	struct buffer error = {0};
	bool ok = listening_open(f->wiring.net, &f->settings, &f->passed, opened, &error);

	if (!ok)
		refuse(&f->settings, "%.*s", (int)error.len, error.ptr);
	buffer_release(&error);
	return ok;
}

/* Logs errors only, so that a failed start is one line. */
static bool
write_pidfile(struct fanfared *f)
{
	const char *pidfile = f->settings.pidfile;

	if (pidfile[0] == '\0' || pidfile_write(pidfile))
		return true;
	refuse(&f->settings, "pidfile %s: %s", pidfile, strerror(errno));
	return false;
}

/* Called when everything that only root can open is open, and before other threads are started. */
static bool
give_up_privileges(struct fanfared *f)
{
	const char *pidfile = f->settings.pidfile;
	struct buffer error = {0};
	bool ok = privileges_drop(&f->privileges, &error) &&
		  (f->settings.seccomp == SECCOMP_NO || seccomp_filter_install(f->settings.seccomp,
							    f->wiring.uplink != NULL, &error));

	if (!ok) {
		refuse(&f->settings, "%.*s", (int)error.len, error.ptr);
		if (pidfile[0] != '\0')
			pidfile_remove(pidfile);
	}
	buffer_release(&error);
	if (ok && !allocator_start())
		log_warn("%s: %s: unused memory is returned to the system late", allocator_name(),
		    strerror(errno));
	return ok;
}

static bool
load_files(struct fanfared *f, struct buffer *error)
{
	bool ok = f->import != NULL ? first_import_start(
					  f->import, f->wiring.server, f->wiring.persistence, error)
				    : persistence_start(f->wiring.persistence, error);

	first_import_close(f->import);
	f->import = NULL;
	if (!ok)
		return false;
	if (f->settings.disk.history_save)
		kept_history_load(f->wiring.server);
	return persistence_discard_history(f->wiring.persistence, error);
}

/* Loads the data, from the files or from the predecessor; connections made meanwhile wait in the
 * kernel. Leaves the pid file of a predecessor alone. */
static bool
load_keys(struct fanfared *f)
{
	const char *pidfile = f->settings.pidfile;
	struct buffer error = {0};
	bool ok = f->announce_fd == -1 ? load_files(f, &error)
				       : take_over_keys(f->announce_fd, f->wiring.server,
					     f->wiring.persistence, &error);

	if (!ok) {
		refuse(&f->settings, "%.*s", (int)error.len, error.ptr);
		if (pidfile[0] != '\0' && f->announce_fd == -1)
			pidfile_remove(pidfile);
	}
	buffer_release(&error);
	return ok;
}

/* Tells the predecessor that this process is ready, and waits until it may serve. After that the
 * predecessor stops serving, so nothing may fail any more. False: the predecessor has given up the
 * upgrade and continues to serve. */
static bool
take_over(struct fanfared *f)
{
	int announce_fd = f->announce_fd, departures_fd;
	const char *pidfile = f->settings.pidfile;

	f->announce_fd = -1;
	if (!take_over_serve(announce_fd, &departures_fd)) {
		refuse(&f->settings, "upgrade: the process that started this one gave up");
		return false;
	}
	departures_receive(&f->departures, departures_fd);
	persistence_name_owner(f->wiring.persistence);
	if (pidfile[0] != '\0' && !pidfile_write(pidfile))
		log_error("pidfile %s: %s", pidfile, strerror(errno));
	return true;
}

/* A successor does everything that can fail before it takes over. */
static bool
listen_and_settle(struct fanfared *f, struct buffer *opened)
{
	bool is_successor = f->announce_fd != -1;

	if (!is_successor)
		return open_listeners(f, opened) && write_pidfile(f) && give_up_privileges(f) &&
		       load_keys(f);
	if (open_listeners(f, opened) && give_up_privileges(f) && load_keys(f) && take_over(f))
		return true;
	net_leave_listeners(f->wiring.net);
	persistence_hand_over(f->wiring.persistence); /* the files are the predecessor's */
	return false;
}

/*
 * When libevent stops watching a signal it restores the earlier handler. That is set to ignore
 * here, so that a second signal at the very end does not change the exit status. Signals are
 * blocked meanwhile, so none is lost.
 */
static void
watch_signals(struct net *net)
{
	static const int watched[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD};
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
load_what_is_trusted(struct fanfared *f)
{
	struct buffer error = {0};
	bool ok = live_config_load_users(&f->live, &error) &&
		  live_config_load_tokens(&f->live, &error) && wiring_link(&f->wiring, &error);

	if (!ok)
		refuse(&f->settings, "%.*s", (int)error.len, error.ptr);
	buffer_release(&error);
	return ok;
}

/* Does everything that can fail. Signals are handled before the first listener is opened. */
static bool
start_serving(struct fanfared *f)
{
	struct server_settings interface = live_config_interface(&f->live);
	struct buffer opened = {0};
	bool ok;

	f->wiring.signalled = on_signal;
	f->wiring.stopping = on_shutdown;
	f->wiring.lame_duck = on_lame_duck;
	f->wiring.lame_duck_abort = on_abort;
	f->wiring.lame_duck_over = on_lame_duck_over;
	f->wiring.turn = on_turn;
	f->wiring.turn_ends = on_turn_ends;
	f->wiring.log_accepted = on_log_accepted;
	f->wiring.arg = f;
	if (!wiring_init(&f->wiring, &f->settings, &interface))
		return false;
	departures_init(&f->departures, &f->wiring);
	f->live.server = f->wiring.server;
	f->live.net = f->wiring.net;
	f->live.persistence = f->wiring.persistence;
	f->live.edge = f->wiring.edge;
	f->live.tokens = f->wiring.tokens;
	watch_signals(f->wiring.net);
	live_config_load_channels(&f->live);
	ok = load_what_is_trusted(f) && listen_and_settle(f, &opened);
	if (ok) {
		log_notice("fanfared %s, pid %ld, configuration %s", PACKAGE_VERSION,
		    (long)getpid(),
		    f->source.file != NULL ? f->source.file
					   : "of the command line and the defaults");
		foreign_notes_log(&f->settings);
		log_notice("listening on %.*s; up to %u clients", (int)opened.len, opened.ptr,
		    (unsigned int)f->settings.server.maxclients);
		chroot_paths_find(&f->source, &f->privileges);
		chroot_paths_look(&f->settings, &f->privileges);
	} else {
		(void)wiring_release(&f->wiring);
	}
	buffer_release(&opened);
	return ok;
}

/* Prints the error of a check that failed, and empties it for the next one. */
static bool
checked(bool ok, struct buffer *error)
{
	if (!ok)
		print_error(error);
	buffer_clear(error);
	return ok;
}

/* Reports what a start would report of the files that it reads. Writes nothing, opens no socket. */
static bool
check(struct fanfared *f)
{
	struct server_settings interface = live_config_interface(&f->live);
	struct buffer error = {0};
	bool ok;

	/* A user other than root may check a configuration that root will start. */
	if (!enter_folder(f) || (geteuid() == 0 && !prepare_privileges(f)) ||
	    !wiring_init(&f->wiring, &f->settings, &interface))
		return false;
	f->live.server = f->wiring.server;
	f->live.tokens = f->wiring.tokens;
	ok = checked(live_config_load_users(&f->live, &error), &error);
	ok = checked(live_config_load_tokens(&f->live, &error), &error) && ok;
	ok = checked(listening_check(&f->settings, &error), &error) && ok;
	ok = checked(
		 persist_check_names(persistence_persist(f->wiring.persistence), &error), &error) &&
	     ok;
	ok = checked(wiring_link(&f->wiring, &error), &error) && ok;
	(void)wiring_release(&f->wiring);
	buffer_release(&error);
	if (ok)
		foreign_notes_print(&f->settings, f->source.file != NULL);
	return ok;
}

/* The modes that print something and exit. */
static int
report(struct fanfared *f)
{
	if (f->source.mode == CONFIG_MODE_CHECK && !check(f))
		return EXIT_FAILURE;
	if (f->source.mode == CONFIG_MODE_SHOW)
		print_settings(&f->settings);
	else if (f->source.mode == CONFIG_MODE_VERSION)
		puts("fanfared " PACKAGE_VERSION);
	else if (f->source.mode == CONFIG_MODE_HELP)
		printf("%s%s", usage, help);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool
serve(struct fanfared *f, int ready_fd)
{
	bool is_saved = true, is_written;

	log_notice("ready to accept connections");
	if (ready_fd >= 0)
		daemon_ready(ready_fd);
	systemd_notify("READY=1\nSTATUS=Ready\nMAINPID=%ld", (long)getpid());
	net_run(f->wiring.net);
	/* A successor may be writing its own id to the same file just now. */
	if (f->settings.pidfile[0] != '\0' && !f->lifecycle.has_handed_over)
		pidfile_remove(f->settings.pidfile);
	if (f->settings.disk.history_save && !f->lifecycle.has_handed_over)
		is_saved = kept_history_save(f->wiring.server) ||
			   persistence_is_forced(f->wiring.persistence);
	lifecycle_end(&f->lifecycle);
	departures_release(&f->departures);
	is_written = wiring_release(&f->wiring);
	log_notice("stopped");
	return is_saved && is_written;
}

/* The files may be readable only for the user that starts the daemon. A successor has the same
 * command line. */
static bool
open_import(struct fanfared *f)
{
	struct buffer error = {0};

	if (f->source.import == NULL || f->announce_fd != -1)
		return true;
	f->import = first_import_open(f->source.import, &f->settings, &error);
	if (f->import == NULL)
		print_error(&error);
	buffer_release(&error);
	return f->import != NULL;
}

static int
run(struct fanfared *f)
{
	int ready_fd = -1;

	/* Taken out of the environment, because they are not meant for child processes. */
	f->passed = systemd_take_sockets();
	if (!upgrade_take(&f->announce_fd)) {
		fprintf(stderr, "FANFARED_UPGRADE: no such descriptor: not started by fanfared\n");
		return EXIT_FAILURE;
	}
	f->passed.by_predecessor = f->announce_fd != -1;
	if (!open_import(f) || !prepare(f))
		return EXIT_FAILURE;
	/* A successor is in the background as its predecessor is, whose child it stays: a process
	 * that hangs can be ended. */
	if (f->settings.daemonize && !is_supervised(&f->settings) && f->announce_fd == -1) {
		if (!f->settings.syslog_enabled && f->settings.logfile[0] == '\0')
			log_warn("running in the background without logfile or syslog: nothing is "
				 "logged");
		ready_fd = daemon_detach();
		if (ready_fd < 0) {
			refuse(&f->settings, "daemonize: %s", strerror(errno));
			return EXIT_FAILURE;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ,
	    SIG_IGN); /* exceeding the file size limit is an error of write(), like others */
	open_supervisor(&f->settings);
	if (!live_config_fit_maxclients(&f->settings) || !start_serving(f))
		return EXIT_FAILURE;
	return serve(f, ready_fd) ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	struct fanfared f = {0};
	struct buffer error = {0};
	int status = EXIT_FAILURE;

	alloc_init();
	tls_init();
	lifecycle_init(&f.lifecycle, &f.wiring, &f.settings, argv);
	f.live = (struct live_config){.settings = &f.settings, .source = &f.source};
	if (!config_source_parse(&f.source, argc, argv, &error)) {
		print_usage_error(&error);
	} else if (f.source.mode == CONFIG_MODE_HELP || f.source.mode == CONFIG_MODE_VERSION) {
		status = report(&f);
	} else if (!config_source_load(&f.source, &f.settings, &error)) {
		print_error(&error);
	} else {
		status = f.source.mode == CONFIG_MODE_RUN ? run(&f) : report(&f);
		settings_release(&f.settings);
	}
	lifecycle_release(&f.lifecycle);
	first_import_close(f.import);
	xfree(f.passed.names);
	systemd_close();
	privileges_release(&f.privileges);
	config_source_release(&f.source);
	buffer_release(&error);
	return status;
}

#include "config.h"

#include "app/seccomp_filter.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/testing.h"

/* Makes one system call under the filter, in a child process. Returns its errno, or 0, or minus the
 * signal that ended the child. */
static int
outcome_in(enum seccomp_mode mode, int (*attempt)(void))
{
	struct buffer error = {0};
	pid_t child = fork();
	int status = 0;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		if (!seccomp_filter_install(mode, false, &error))
			_exit(255);
		_exit(attempt() == 0 ? 0 : errno);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int
outcome_of(int (*attempt)(void))
{
	return outcome_in(SECCOMP_YES, attempt);
}

static int
open_inet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 0 : -1;
}

static int
open_unix(void)
{
	return socket(AF_UNIX, SOCK_DGRAM, 0) >= 0 ? 0 : -1;
}

/* A new process that is not a plain fork. */
static int
start_process(void)
{
	return (int)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
}

/* Forks as for a snapshot. */
static int
copy_itself(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(prctl(PR_SET_PDEATHSIG, SIGKILL));
	return waitpid(child, NULL, 0) == child ? 0 : -1;
}

static int
execute(void)
{
	char *none[] = {NULL};

	return execve("/bin/true", none, none);
}

static int
map_code(void)
{
	void *map = mmap(
	    NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return map != MAP_FAILED ? 0 : -1;
}

static int
map_memory_and_make_it_code(void)
{
	void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		_exit(254);
	return mprotect(map, 4096, PROT_READ | PROT_EXEC);
}

static int
trace(void)
{
	return (int)syscall(SYS_ptrace, 0, 0, 0, 0);
}

static int
signal_parent(void)
{
	return kill(getppid(), 0);
}

static int
become_root(void)
{
	return setuid(0);
}

static void *
nothing(void *arg)
{
	return arg;
}

static int
start_thread(void)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, nothing, NULL);
	if (errno != 0)
		return -1;
	return pthread_join(thread, NULL);
}

static int
abort_it(void)
{
	prctl(PR_SET_NAME, "abort");
	abort();
}

START_TEST(what_only_an_intruder_would_call_is_refused)
{
	ck_assert_int_eq(outcome_of(open_inet), EPERM);
	ck_assert_int_eq(outcome_of(start_process), EPERM);
	ck_assert_int_eq(outcome_of(map_code), EPERM);
	ck_assert_int_eq(outcome_of(map_memory_and_make_it_code), EPERM);
	ck_assert_int_eq(outcome_of(trace), EPERM);
	ck_assert_int_eq(outcome_of(signal_parent), EPERM);
	ck_assert_int_eq(outcome_of(become_root), EPERM);
}
END_TEST

START_TEST(execve_kills_the_process)
{
	ck_assert_int_eq(outcome_of(execute), -SIGSYS);
}
END_TEST

START_TEST(with_kill_so_does_everything_that_is_not_allowed)
{
	ck_assert_int_eq(outcome_in(SECCOMP_KILL, open_inet), -SIGSYS);
	ck_assert_int_eq(outcome_in(SECCOMP_KILL, start_process), -SIGSYS);
}
END_TEST

START_TEST(what_the_daemon_calls_is_allowed)
{
	ck_assert_int_eq(outcome_in(SECCOMP_KILL, open_unix), 0);
	ck_assert_int_eq(outcome_in(SECCOMP_KILL, copy_itself), 0);
	ck_assert_int_eq(outcome_in(SECCOMP_KILL, start_thread), 0);
	ck_assert_int_eq(outcome_in(SECCOMP_KILL, abort_it), -SIGABRT);
}
END_TEST

START_TEST(a_build_without_libseccomp_says_so)
{
	struct buffer error = {0};

	ck_assert(!seccomp_filter_install(SECCOMP_YES, false, &error));
	ck_assert_uint_gt(error.len, 0);
	buffer_release(&error);
}
END_TEST

/* Its own system calls would meet the filter as well. */
static bool
is_under_valgrind(void)
{
	const char *preloaded = getenv("LD_PRELOAD");

	return preloaded != NULL && strstr(preloaded, "vgpreload") != NULL;
}

int
main(void)
{
	if (!seccomp_filter_is_built_in())
		return testing_main("app/seccomp_filter", NULL, NULL,
		    (const TTest *[]){a_build_without_libseccomp_says_so, NULL});
	if (is_under_valgrind())
		return EXIT_SUCCESS;
	return testing_main("app/seccomp_filter", NULL, NULL,
	    (const TTest *[]){what_only_an_intruder_would_call_is_refused, execve_kills_the_process,
		with_kill_so_does_everything_that_is_not_allowed, what_the_daemon_calls_is_allowed,
		NULL});
}

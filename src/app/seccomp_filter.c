#include "config.h"

#include "app/seccomp_filter.h"

#if HAVE_SECCOMP

#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Names, because not every architecture and every libseccomp knows all of them. */
static const char *const allowed[] = {
    /* existing sockets; new ones are below */
    "accept", "accept4", "getpeername", "getsockname", "getsockopt", "recvfrom", "recvmmsg",
    "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown",
    /* the loops */
    "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd2", "pipe2",
    "poll", "ppoll", "pselect6", "select", "timerfd_create", "timerfd_gettime", "timerfd_settime",
    /* descriptors */
    "close", "close_range", "dup", "dup2", "dup3", "fcntl", "fcntl64", "lseek", "_llseek",
    "pread64", "preadv", "pwrite64", "pwritev", "pwritev2", "read", "readv", "write", "writev",
    /* files: log, configuration, certificates, users, read and written again */
    "access", "faccessat", "faccessat2", "fchmod", "fchown", "fchown32", "fdatasync", "fstat",
    "fstat64", "fstatat64", "fsync", "ftruncate", "getcwd", "getdents64", "lstat", "lstat64",
    "newfstatat", "open", "openat", "readlink", "readlinkat", "rename", "renameat", "renameat2",
    "stat", "stat64", "statx", "umask", "unlink", "unlinkat",
    /* memory; executable memory is below */
    "brk", "madvise", "mremap", "munmap",
    /* threads and signals */
    "exit", "exit_group", "futex", "futex_time64", "get_robust_list", "membarrier",
    "restart_syscall", "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn",
    "rt_sigsuspend", "rt_sigtimedwait", "sched_getaffinity", "sched_getparam", "sched_getscheduler",
    "sched_yield", "set_robust_list", "sigaltstack", "sigreturn",
    /* the child that writes a snapshot, and is a copy of this process */
    "wait4", "waitpid",
    /* time */
    "clock_getres", "clock_gettime", "clock_gettime64", "clock_nanosleep", "gettimeofday",
    "nanosleep", "time", "times",
    /* queries about the process and the machine */
    "getcpu", "getegid", "geteuid", "getgid", "getgroups", "getpid", "getppid", "getrandom",
    "getresgid", "getresuid", "getrlimit", "getrusage", "gettid", "getuid", "sysinfo", "ugetrlimit",
    "uname"};

struct rule {
	const char *name;
	struct scmp_arg_cmp arg;
};

static bool
allow_if(scmp_filter_ctx filter, const char *name, struct scmp_arg_cmp arg)
{
	int number = seccomp_syscall_resolve_name(name);

	return number == __NR_SCMP_ERROR ||
	       seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, 1, &arg) == 0;
}

static bool
allow_plainly(scmp_filter_ctx filter)
{
	for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++) {
		int number = seccomp_syscall_resolve_name(allowed[i]);

		if (number != __NR_SCMP_ERROR &&
		    seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0) != 0)
			return false;
	}
	return true;
}

/* System calls that are allowed with certain arguments only. */
static bool
allow_in_part(scmp_filter_ctx filter)
{
	const scmp_datum_t self = (scmp_datum_t)getpid();
	const struct rule rules[] = {
	    /* a thread, or a copy of this process (fork) */
	    {"clone", SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)},
	    {"clone", SCMP_A0(SCMP_CMP_MASKED_EQ,
			  ~(scmp_datum_t)(CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID), SIGCHLD)},
	    {"prctl", SCMP_A0(SCMP_CMP_EQ, PR_SET_PDEATHSIG)},
	    /* memory that is not executable */
	    {"mmap", SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)},
	    {"mmap2", SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)},
	    {"mprotect", SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)},
	    /* connecting to syslog again after its daemon was restarted */
	    {"socket", SCMP_A0(SCMP_CMP_EQ, AF_UNIX)},
	    {"connect", SCMP_A2(SCMP_CMP_GT, sizeof(sa_family_t))},
	    {"ioctl", SCMP_A1(SCMP_CMP_EQ, FIONBIO)},
	    {"ioctl", SCMP_A1(SCMP_CMP_EQ, FIONREAD)},
	    {"ioctl", SCMP_A1(SCMP_CMP_EQ, TCGETS)}, /* isatty */
	    {"prctl", SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)},
#ifdef PR_SET_VMA
	    {"prctl", SCMP_A0(SCMP_CMP_EQ, PR_SET_VMA)}, /* names of memory: glibc */
#endif
	    /* abort() */
	    {"kill", SCMP_A0(SCMP_CMP_EQ, self)},
	    {"tgkill", SCMP_A0(SCMP_CMP_EQ, self)},
	    /* ends a child whose snapshot was cancelled */
	    {"kill", SCMP_A1(SCMP_CMP_EQ, SIGKILL)},
	    /* its own limits */
	    {"prlimit64", SCMP_A0(SCMP_CMP_EQ, 0)},
	    {"prlimit64", SCMP_A0(SCMP_CMP_EQ, self)},
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if (!allow_if(filter, rules[i].name, rules[i].arg))
			return false;
	return true;
}

/* Connections to an upstream, and what getaddrinfo() needs for its name. */
static bool
allow_connections(scmp_filter_ctx filter)
{
	static const int families[] = {AF_INET, AF_INET6, AF_NETLINK};

	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		if (!allow_if(filter, "socket", SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i], 0)))
			return false;
	/* its netlink socket, which has the addresses of this machine */
	return allow_if(filter, "bind", SCMP_A2(SCMP_CMP_EQ, sizeof(struct sockaddr_nl), 0));
}

/* clone3 fails with ENOSYS, because a filter cannot see its flags; glibc then uses clone. */
static bool
refuse_otherwise(scmp_filter_ctx filter, enum seccomp_mode mode)
{
	if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) != 0)
		return false;
	return mode == SECCOMP_KILL || /* the default action kills already */
	       (seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(execve), 0) == 0 &&
		   seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(execveat), 0) == 0);
}

bool
seccomp_filter_is_built_in(void)
{
	return true;
}

bool
seccomp_filter_install(enum seccomp_mode mode, bool connects, struct buffer *error)
{
	scmp_filter_ctx filter =
	    seccomp_init(mode == SECCOMP_KILL ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM));
	int result = filter != NULL ? seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) : -ENOMEM;

	/* Old kernels cannot log a refused call. */
	if (result == 0)
		(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	if (result == 0 &&
	    !(allow_plainly(filter) && allow_in_part(filter) &&
		(!connects || allow_connections(filter)) && refuse_otherwise(filter, mode)))
		result = -EINVAL;
	if (result == 0)
		result = seccomp_load(filter);
	if (result != 0)
		buffer_appendf(error, "seccomp: %s", strerror(-result));
	if (filter != NULL)
		seccomp_release(filter);
	return result == 0;
}

#else

bool
seccomp_filter_is_built_in(void)
{
	return false;
}

bool
seccomp_filter_install(enum seccomp_mode mode, bool connects, struct buffer *error)
{
	(void)mode;
	(void)connects;
	buffer_append_str(error, "seccomp: this fanfared was built without libseccomp");
	return false;
}

#endif

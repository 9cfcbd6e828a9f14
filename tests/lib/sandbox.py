"""The sandbox of a systemd unit, applied without systemd.

    sandbox.py UNIT USER PROGRAM ARGUMENT...

reads the [Service] section and executes PROGRAM with its restrictions: user, capabilities, limits and umask by
system calls, the restrictions of the file system by mounts in a namespace, the filters by libseccomp. A directive that is
neither applied nor listed as not tested is an error.
"""

import ctypes
import errno
import os
import pathlib
import pwd
import re
import resource
import subprocess
import sys

LEFT_OUT = {
    # Directives for systemd itself, not for the process.
    "Type", "ExecStart", "ExecReload", "Restart", "TimeoutStartSec", "TimeoutStopSec", "OOMPolicy", "User", "Group",
    "DynamicUser",
    # Not tested here.
    "KeyringMode", "PrivateUsers", "ProcSubset", "RestrictSUIDSGID", "RemoveIPC", "SystemCallErrorNumber",
    # Implied by others, which leave neither capabilities nor system calls for them.
    "ProtectClock", "ProtectKernelLogs", "ProtectKernelModules", "PrivateMounts", "AmbientCapabilities",
    "SystemCallArchitectures",  # libseccomp's default
}
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
PROT_WRITE, PROT_EXEC = 2, 4
CLONE_NEWNS, CLONE_NEWUTS = 0x20000, 0x4000000
NEW_NAMESPACES = 0x7e020000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
SCMP_ACT_ALLOW, SCMP_CMP_NE, SCMP_CMP_EQ, SCMP_CMP_MASKED_EQ, SCMP_ERROR = 0x7fff0000, 1, 4, 7, -1

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def read_unit(path):
    """{name: the values of its lines, in order}."""
    lines, section = {}, None
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            lines.setdefault(name, []).append(value)
    return lines


def mount(source, target, kind, flags, options=None):
    check(libc.mount(source.encode(), str(target).encode(), kind and kind.encode(), flags, options and options.encode()),
          f"mount {target}")


def mount_points():
    text = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    return [re.sub(r"\\040", " ", line.split()[4]) for line in text.splitlines()]


def cover(folder):
    if os.path.isdir(folder):
        mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")


def make_devices():
    """A /dev with only the harmless devices, bound from the real one."""
    names = ("null", "zero", "full", "random", "urandom", "tty")
    opened = {name: os.open(f"/dev/{name}", os.O_PATH) for name in names if os.path.exists(f"/dev/{name}")}
    cover("/dev")
    for name, fd in opened.items():
        open(f"/dev/{name}", "wb").close()
        mount(f"/proc/self/fd/{fd}", f"/dev/{name}", None, MS_BIND)
        os.close(fd)


def set_up_files(unit, user):
    check(libc.unshare(CLONE_NEWNS | (CLONE_NEWUTS if unit.pop("ProtectHostname", None) else 0)), "unshare")
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    if unit.pop("PrivateTmp", None):
        for folder in ("/tmp", "/var/tmp"):
            cover(folder)
    if unit.pop("ProtectHome", None):
        for folder in ("/home", "/root", "/run/user"):
            cover(folder)
    if unit.pop("PrivateDevices", None):
        make_devices()
    writable = []
    for name, base in (("RuntimeDirectory", "/run"), ("StateDirectory", "/var/lib"), ("LogsDirectory", "/var/log")):
        for folder in unit.pop(name, []):
            cover(base)  # leaves nothing on this machine
            path = pathlib.Path(base, folder)
            path.mkdir(mode=0o755)
            os.chown(path, user.pw_uid, user.pw_gid)
            writable.append(str(path))
    # The writable folders become mounts of their own before everything else becomes read-only.
    for path in writable:
        mount(path, path, None, MS_BIND)
    if unit.pop("ProtectSystem", None) == ["strict"]:
        keep = {"ProtectKernelTunables": "/proc", "ProtectControlGroups": "/sys/fs/cgroup"}
        spared = ["/proc", "/dev", *writable]
        for point in mount_points():
            if not any(point == path or point.startswith(path + "/") for path in spared):
                read_only(point)
        for name, path in keep.items():
            if unit.pop(name, None) and path == "/proc":
                for inner in ("/proc/sys", "/proc/irq"):
                    mount(inner, inner, None, MS_BIND)
                    read_only(inner)


def read_only(point):
    if not os.path.exists(point):  # it is covered by another
        return
    flags = os.statvfs(point).f_flag & (MS_NOSUID | MS_NODEV | MS_NOEXEC)
    if libc.mount(b"none", point.encode(), None, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, None) != 0:
        if ctypes.get_errno() not in (errno.EINVAL, errno.ENOENT, errno.EACCES):  # it is covered by another
            check(1, f"read-only {point}")


def drop_capabilities(kept):
    assert kept == [""], kept
    number = 0
    while libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0:
        number += 1


def expand(group):
    """The system calls of a systemd group, including the groups in it."""
    if not group.startswith("@"):
        return {group}
    done = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True)
    words = [line.strip() for line in done.stdout.splitlines()[1:]]
    return set().union(*(expand(word) for word in words if word and not word.startswith("#")))


class Comparison(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


class Filter:
    """An allow list (refuse is then everything else), or a list of refusals; EPERM in both."""

    def __init__(self, default_allows):
        self.library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        self.library.seccomp_init.restype = ctypes.c_void_p
        self.refusal = 0x00050000 | errno.EPERM
        self.context = ctypes.c_void_p(self.library.seccomp_init(SCMP_ACT_ALLOW if default_allows else self.refusal))

    def add(self, action, name, *comparisons):
        number = self.library.seccomp_syscall_resolve_name(name.encode())
        if number == SCMP_ERROR:
            return
        array = (Comparison * len(comparisons))(*comparisons)
        result = self.library.seccomp_rule_add_array(self.context, action, number, len(comparisons), array)
        assert result == 0, (name, result)

    def load(self):
        result = self.library.seccomp_load(self.context)
        assert result == 0, result


def allowed_calls(lines):
    """As in systemd.exec(5): the first line determines the kind of list, here always an allow list."""
    names = set()
    for line in lines:
        assert names or not line.startswith("~"), lines
        for word in line.lstrip("~").split():
            names = names - expand(word) if line.startswith("~") else names | expand(word)
    return names


def make_filters(unit):
    allow = Filter(False)
    for name in allowed_calls(unit.pop("SystemCallFilter")):
        allow.add(SCMP_ACT_ALLOW, name)
    refuse = Filter(True)
    families = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}
    kept = [families[word] for line in unit.pop("RestrictAddressFamilies") for word in line.split()]
    for family in set(range(64)) - set(kept):
        refuse.add(refuse.refusal, "socket", Comparison(0, SCMP_CMP_EQ, family, 0))
    assert unit.pop("RestrictNamespaces") == unit.pop("RestrictRealtime") == unit.pop("LockPersonality") == ["yes"]
    for bit in range(32):
        if NEW_NAMESPACES & 1 << bit:
            for name in ("clone", "unshare"):
                refuse.add(refuse.refusal, name, Comparison(0, SCMP_CMP_MASKED_EQ, 1 << bit, 1 << bit))
    refuse.add(refuse.refusal, "setns")
    refuse.add(0x00050000 | errno.ENOSYS, "clone3")
    for policy in (1, 2, 6):  # SCHED_FIFO, SCHED_RR, SCHED_DEADLINE
        refuse.add(refuse.refusal, "sched_setscheduler", Comparison(1, SCMP_CMP_EQ, policy, 0))
    refuse.add(refuse.refusal, "personality", Comparison(0, SCMP_CMP_NE, 0, 0))
    # As systemd does without a prctl of the kernel for it.
    assert unit.pop("MemoryDenyWriteExecute") == ["yes"]
    both = PROT_WRITE | PROT_EXEC
    refuse.add(refuse.refusal, "mmap", Comparison(2, SCMP_CMP_MASKED_EQ, both, both))
    for name in ("mprotect", "pkey_mprotect"):
        refuse.add(refuse.refusal, name, Comparison(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC))
    return allow, refuse


def main():
    path, name, program, *arguments = sys.argv[1:]
    unit = {key: value for key, value in read_unit(path).items() if key not in LEFT_OUT}
    user = pwd.getpwnam(name)
    program_fd = os.open(program, os.O_RDONLY)  # its path may no longer be visible
    filters = make_filters(unit)
    folder = unit.pop("WorkingDirectory")[0].replace("%S", "/var/lib")
    set_up_files(unit, user)
    os.chdir(folder)
    os.umask(int(unit.pop("UMask")[0], 8))
    files = int(unit.pop("LimitNOFILE")[0])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = files if hard == resource.RLIM_INFINITY else min(files, hard)  # a container may have less
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    drop_capabilities(unit.pop("CapabilityBoundingSet"))
    os.setgroups([])
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    assert unit.pop("NoNewPrivileges") == ["yes"]
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    unit.pop("ProtectProc")  # hidepid needs a mount of proc in a PID namespace
    assert not unit, f"neither applied nor left out: {unit}"
    for one in reversed(filters):
        one.load()
    os.execve(program_fd, [program, *arguments], os.environ)


if __name__ == "__main__":
    main()

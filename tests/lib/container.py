"""Carries out a container recipe and runs its image with debootstrap, mount namespaces and chroot, without an engine.

All files are on a tmpfs in a mount namespace. A process keeps that namespace open until its standard input is closed, so
the kernel removes files and mounts even if the tests are killed. Debian packages come from the mirror that this machine's
apt is configured for.
"""

import contextlib
import ctypes
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import threading

from lib.recipe import HealthCheck, read_environment
from lib.wait import seconds, wait_until

CLONE_NEWNET = 0x40000000
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TOOLS = ["debootstrap", "ip", "mount", "nsenter", "setpriv", "unshare"]
ELSEWHERE = "192.0.2.1"  # an address of a container that is not loopback (RFC 5737)

# For sh -c SCRIPT sh ROOT COMMAND...: mounts proc and the devices that an engine provides.
ENTER = """
root=$1
shift
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o nosuid,noexec,mode=755 dev "$root/dev"
for device in full null random tty urandom zero; do
	: >"$root/dev/$device"
	mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
"""


def apt_sources():
    """(URI, release, component) of each Debian archive in the configuration of this machine's apt."""
    done = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)",
                           "Created-By: Packages"], capture_output=True, text=True, check=True)
    words = [line.split() for line in done.stdout.splitlines()]
    return sorted({tuple(line[:3]) for line in words if line[3:] == ["Debian"]})


def apt_proxy():
    done = subprocess.run(["apt-config", "shell", "proxy", "Acquire::http::Proxy"], capture_output=True, text=True,
                          check=True)
    value = shlex.split(done.stdout)
    return value[0].partition("=")[2] if value else None


class Room:
    """A mount namespace with a tmpfs at folder / "room", in which commands can be run."""

    def __init__(self, folder):
        self.folder = folder / "room"
        self.folder.mkdir()
        self.log = folder / "room.log"
        self.holder = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "cat"], stdin=subprocess.PIPE,
                                       stdout=subprocess.DEVNULL)
        own = os.readlink("/proc/self/ns/mnt")
        wait_until(lambda: os.readlink(f"/proc/{self.holder.pid}/ns/mnt") != own, "a mount namespace")
        self.run("mount", "-t", "tmpfs", "-o", "mode=755", "room", self.folder)

    def close(self):
        self.holder.stdin.close()
        self.holder.wait()

    def words(self, *command, unshare=()):
        """The command line that runs a command in the room, with further namespaces of its own where unshare names any.

        The kernel kills the command when this thread or unshare(1) ends.
        """
        enter = ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt"]
        alone = ["unshare", *unshare, "--fork", "--kill-child"] if unshare else []
        return [str(word) for word in (*enter, *alone, *command)]

    def run(self, *command, unshare=(), **options):
        with open(self.log, "ab") as log:
            done = subprocess.run(self.words(*command, unshare=unshare), stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=log, check=False, **options)
        assert done.returncode == 0, f"{command}: status {done.returncode}\n" + self.log.read_text(
            encoding="utf-8", errors="backslashreplace")[-8000:]

    def path(self, path):
        """The path by which this process reaches a file of the room."""
        return pathlib.Path(f"/proc/{self.holder.pid}/root{path}")

    def debootstrap(self, release):
        """Installs the minimal Debian of that release, in place of the image that an engine would fetch. Its folder."""
        sources = apt_sources()
        mirrors = {uri for uri, name, _ in sources if name == release} or {uri for uri, _, _ in sources}
        assert mirrors, "apt is not configured for an archive of Debian"
        mirror, proxy = min(mirrors), apt_proxy()
        environment = dict(os.environ, **({"http_proxy": proxy} if proxy else {}))
        base = self.folder / "base"
        self.run("debootstrap", "--variant=minbase", release, base, mirror, env=environment)
        own = [line for line in sources if re.fullmatch(re.escape(release) + "(-updates|-security)?", line[1])]
        lines = [f"deb {uri} {name} {component}\n" for uri, name, component in own or [(mirror, release, "main")]]
        self.path(base / "etc/apt/sources.list").write_text("".join(lines), encoding="ascii")
        if proxy:
            self.path(base / "etc/apt/apt.conf.d/proxy").write_text(f'Acquire::http::Proxy "{proxy}";\n', encoding="ascii")
        return base


class Builder:
    """Carries out the stages of a recipe. context is the folder from which COPY copies."""

    def __init__(self, room, context):
        self.room = room
        self.context = context
        self.bases = {}
        self.roots = {}

    def base(self, image):
        """The root folder of debian:RELEASE-slim."""
        match = re.fullmatch(r"debian:([a-z]+)-slim", image)
        assert match, f"FROM {image}"
        if image not in self.bases:
            self.bases[image] = self.room.debootstrap(match[1])
        return self.bases[image]

    def carry_out(self, stage):
        """The root folder of the stage, after its last instruction."""
        changes = self.room.folder / f"stage-{len(self.roots)}"
        names = [changes / name for name in ("upper", "work", "root")]
        base = self.base(stage.base)
        self.room.run("mkdir", "-p", *names)
        self.room.run("mount", "-t", "overlay", "-o", f"lowerdir={base},upperdir={names[0]},workdir={names[1]}",
                      "overlay", names[2])
        self.roots[stage.name] = names[2]
        state = {"folder": "/", "user": "root", "environment": {"PATH": PATH}}
        for instruction in stage.instructions:
            if step := getattr(self, instruction.name.lower(), None):
                step(names[2], state, instruction)
        return names[2]

    def workdir(self, root, state, instruction):
        state["folder"] = os.path.join(state["folder"], instruction.rest)
        self.room.run("mkdir", "-p", f"{root}{state['folder']}")

    def user(self, _root, state, instruction):
        state["user"] = instruction.rest

    def env(self, _root, state, instruction):
        state["environment"].update(read_environment(instruction.rest))

    def run(self, root, state, instruction):
        assert state["user"] == "root" and not instruction.flags, instruction
        script = ENTER + 'exec env -i "$@"'
        values = [f"{name}={value}" for name, value in {"HOME": "/root", **state["environment"]}.items()]
        self.room.run("sh", "-eu", "-c", script, "sh", root, *values, "chroot", root, "/bin/sh", "-c",
                      'cd "$1" && exec /bin/sh -c "$2"', "sh", state["folder"], instruction.rest,
                      unshare=("--mount", "--pid"))

    def copy(self, root, state, instruction):
        """Copies files, or the contents of folders. The copies belong to root."""
        assert set(instruction.flags) <= {"from"}, instruction
        *sources, target = instruction.rest.split()
        origin = self.roots[instruction.flags["from"]] if "from" in instruction.flags else self.context
        to = f"{root}{os.path.join(state['folder'], target)}"
        if target.endswith("/"):
            self.room.run("mkdir", "-p", to)
        for source in sources:
            path = f"{origin}/{source.lstrip('/')}"
            inside = f"{path}/." if self.room.path(path).is_dir() else path
            self.room.run("cp", "-dR", "--preserve=mode,timestamps", inside, to)


class Image:
    """The result of a recipe's last stage: a root folder, and how to start the program in it."""

    def __init__(self, room, stages, context):
        builder = Builder(room, context)
        for stage in stages:
            self.root = builder.carry_out(stage)
        self.room = room
        self.build_root = builder.roots[stages[0].name]
        last = stages[-1]
        user, _, group = last.last("USER").rest.partition(":")
        self.user, self.group = int(user), int(group)
        self.folder = last.last("WORKDIR").rest
        self.volumes = last.last("VOLUME").exec_form()
        self.port = int(last.last("EXPOSE").rest)
        self.environment = {"PATH": PATH, **read_environment(last.last("ENV").rest)}
        self.health = HealthCheck.of(last.last("HEALTHCHECK"))
        self.stop_signal = signal.Signals[last.last("STOPSIGNAL").rest]
        self.entrypoint = last.last("ENTRYPOINT").exec_form()

    def path(self, path):
        return self.room.path(f"{self.root}{path}")


class Container:
    """One running container, with its own namespaces (mount, process, network, IPC, host name) and a read-only root.

    arguments follow the entry point. mounts are (source, target, options), in the order of mounting; a source of None is a
    tmpfs. Volumes of the image that are not among them are created, with the owner and mode of the image's folder.
    """

    def __init__(self, image, *arguments, mounts=(), environment=None):
        self.image = image
        self.room = image.room
        self.log_path = self.room.log.with_name(f"container-{id(self)}.log")
        self.mounts = list(mounts)
        covered = {target for _, target, _ in self.mounts}
        self.mounts += [(new_volume(image, path), path, "rw") for path in image.volumes if path not in covered]
        self.environment = {**image.environment, **(environment or {})}
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                self.room.words("sh", "-eu", "-c", self.script(), "sh", image.root, *self.privileges(),
                                *image.entrypoint, *arguments,
                                unshare=("--mount", "--pid", "--net", "--ipc", "--uts")),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = wait_until(self._main_process, "the container's first process")
        wait_until(self._is_entered, "the container is entered")

    def script(self):
        lines = ["ip link set lo up", f"ip address add {ELSEWHERE}/32 dev lo", 'mount --rbind "$1" "$1"', ENTER]
        for source, target, options in self.mounts:
            path = shlex.quote(f"{self.image.root}{target}")
            if source is None:
                lines.append(f"mount -t tmpfs -o {shlex.quote(options)},nosuid,nodev,noexec tmpfs {path}")
            else:
                if self.room.path(source).is_dir():
                    lines.append(f"mkdir -p {path}")
                lines.append(f"mount --bind {shlex.quote(str(source))} {path}")
                lines.append(f"mount -o remount,bind,nosuid,nodev,{options} {path}")
        # The root becomes read-only last, because mount points have to be created in it before.
        lines.append('mount -o remount,bind,ro "$root"')
        lines.append('exec chroot "$root" "$@"')
        return "\n".join(lines)

    def privileges(self):
        """The prefix that gives a command in the container the image's user and environment, and no capability.

        It sets the signal for the end of the parent again, because the kernel clears it when the user changes.
        """
        return ["setpriv", "--pdeathsig=KILL", f"--reuid={self.image.user}", f"--regid={self.image.group}", "--clear-groups",
                "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "env", "-i", "-C", self.image.folder,
                *(f"{name}={value}" for name, value in self.environment.items())]

    def _main_process(self):
        assert self.process.poll() is None, self.log()
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as file:
            children = file.read().split()
        return int(children[0]) if children else None

    def _is_entered(self):
        assert self.process.poll() is None, self.log()
        name = pathlib.Path(f"/proc/{self.pid}/comm").read_text(encoding="ascii").strip()
        return name == os.path.basename(self.image.entrypoint[0])

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="backslashreplace")

    def path(self, path):
        """The path by which this process reaches a file of the container."""
        return pathlib.Path(f"/proc/{self.pid}/root{path}")

    def execute(self, *words, timeout=10):
        """Runs a command in the container as the image's user, like `podman exec`. Returns a CompletedProcess."""
        return self._execute([*self.privileges(), *words], timeout)

    def execute_as_root(self, *words):
        return self._execute(words, 10)

    def _execute(self, words, timeout):
        enter = ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", "--root",
                 "--wd"]
        return subprocess.run([*enter, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=seconds(timeout), check=False)

    def is_healthy(self):
        """Runs the health check once. A check that times out has failed."""
        health = self.image.health
        try:
            return self.execute(*health.words, timeout=health.timeout).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def wait_until_healthy(self):
        def healthy():
            assert self.process.poll() is None, self.log()
            return self.is_healthy()

        wait_until(healthy, "the container is healthy", 20)

    @contextlib.contextmanager
    def network(self):
        """Sockets that this thread opens within the `with` belong to the container's network, also afterwards."""
        libc = ctypes.CDLL(None, use_errno=True)
        home = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)
        there = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
        try:
            assert libc.setns(there, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert libc.setns(home, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        finally:
            os.close(home)
            os.close(there)

    def signal(self, number):
        os.kill(self.pid, number)

    def stop(self, within=20):
        """Stops the container as an engine would. Returns the exit status."""
        if self.process.poll() is None:
            self.signal(self.image.stop_signal)
        return self.wait(within)

    def wait(self, within=20):
        return self.process.wait(seconds(within))

    def end(self):
        """Kills all processes of the container, in whatever state they are."""
        if self.process.poll() is None:
            self.process.kill()  # the kernel then kills the container's first process, and with it all others
            self.process.wait()
            wait_until(lambda: not os.path.exists(f"/proc/{self.pid}"), "the end of the container")


def new_volume(image, path):
    """Creates a folder with the contents, owner and mode that the path has in the image."""
    volume = image.room.folder / f"volume-{len(list(image.room.path(image.room.folder).glob('volume-*')))}"
    image.room.run("cp", "-a", f"{image.root}{path}", volume)
    return volume


def missing_tool():
    """Names a tool or right that containers need and that is missing here, or returns None."""
    if os.geteuid() != 0:
        return "root"
    for name in (*TOOLS, "apt-get", "apt-config"):
        if not shutil.which(name, path=PATH):
            return name
    if subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "true"], capture_output=True,
                      check=False).returncode != 0:
        return "the right to make namespaces"
    return None

"""Seeded chaos on a failing disk: numbered writers, an admin with reckless commands, and checks of what must hold.

The seed determines every step. Threads and processes are scheduled by the system, so a seed repeats the same steps, and
usually, but not always, the same result."""

import errno
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from lib.chaos_writers import ConfigWriter, ListWriter, Mode, SetWriter, Strange, TransactionWriter
from lib.daemon import Fanfared
from lib.disk import BOTH, CHILD, PARENT, Disk, FOR_EVER
from lib.lineage import is_alive
from lib.resp import Closed, Connection, Error
from lib.wait import seconds, wait_until

AOF, SNAPSHOT = "appendonly.aof", "dump.aof"
PATIENCE = 20
COUNTERS = ("rdb_saves", "aof_rewrites", "aof_fsyncs")


class Caller(threading.Thread):
    """Sends the admin's commands in order, so that the admin does not have to wait for them."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address = address
        self.todo = []
        self.lock = threading.Condition()
        self.connection = None
        self.is_over = False
        self.failure = None
        self.start()

    def call(self, deed):
        """Runs deed(connection) after the earlier ones."""
        with self.lock:
            self.todo.append(deed)
            self.lock.notify_all()

    def is_idle(self):
        with self.lock:
            return not self.todo

    def run(self):
        while True:
            with self.lock:
                self.lock.wait_for(lambda: self.todo or self.is_over)
                if self.is_over:
                    return
                deed = self.todo[0]
            try:
                if self.connection is None:
                    self.connection = Connection(self.address, timeout=600)
                deed(self.connection)
            except (Closed, OSError):
                self.connection = None
            except (Strange, AssertionError, ValueError, IndexError, TypeError, AttributeError) as error:
                self.failure = f"admin: {error!r}"
            with self.lock:
                self.todo.pop(0)

    def end(self):
        self.is_over = True
        connection = self.connection
        if connection is not None:
            connection.abandon()
        with self.lock:
            self.lock.notify_all()
        self.join(10)


class Chaos:
    def __init__(self, shim, seed, root=None):
        self.seed = seed
        self.rng = random.Random(seed)
        self.root = pathlib.Path(root or tempfile.mkdtemp(prefix="ffc-"))
        self.disk = Disk(self.root, shim, seed)
        self.folder = self.disk.folder
        self.mode = Mode()
        self.writers = [*(ListWriter(f"l{i}", self.mode) for i in range(3)),
                        *(TransactionWriter(f"t{i}", self.mode) for i in range(2)), SetWriter("s0", self.mode)]
        self.config_writer = ConfigWriter("c0", self.mode)
        self.everyone = [*self.writers, self.config_writer]
        self.events = []
        self.began = time.monotonic()
        self.daemon = None
        self.callers = {}
        self.rounds = 0
        self.failures = []
        self.is_healthy = True
        self.ends_itself = False
        self.seen = {}
        self.settings_sent = {}
        self.lock = threading.Lock()
        self.observed = None
        for writer in self.writers:
            writer.start()

    def say(self, text):
        self.events.append(f"{time.monotonic() - self.began:8.3f} {text}")

    # Running

    def run(self, duration):
        """Runs rounds until the time is over; an AssertionError describes a fault."""
        end = time.monotonic() + duration
        power_lost = False
        try:
            self.begin_round(first=True)
            while True:
                self.live()
                power_lost = self.end_round()
                self.begin_round(power_lost=power_lost)
                if time.monotonic() > end:
                    break
            for writer in self.writers:
                writer.go(self.daemon.address)
            self.settle()
        except (Strange, AssertionError, Closed, OSError) as error:
            self.fail(error)
        finally:
            self.clean_up()

    def fail(self, error):
        log = self.daemon.log() if self.daemon is not None else ""
        loops = os.environ.get("FANFARE_TEST_IO_THREADS", "1")
        command = f"FANFARE_CHAOS_SEED={self.seed} FANFARE_TEST_IO_THREADS={loops}"
        raise AssertionError("\n".join([
            f"seed {self.seed}, round {self.rounds}: {error}", "events:", *self.events[-80:], "log:",
            *log.splitlines()[-30:], f"again: {command}"])) from None

    def clean_up(self):
        for caller in self.callers.values():
            caller.end()
        self.disk.heal()
        if self.daemon is not None and self.daemon.process is not None:
            self.daemon.kill()
        for writer in self.writers:
            writer.has_ended()
            writer.is_over = True
        if os.environ.get("FANFARE_CHAOS_EVENTS") == "1":
            print(*self.events, sep="\n")
        if os.environ.get("FANFARE_CHAOS_KEEP") != "1":
            shutil.rmtree(self.root, ignore_errors=True)

    # A start

    def begin_round(self, first=False, power_lost=False):
        rng = self.rng
        self.rounds += 1
        appendonly = "yes" if first or rng.random() < 0.85 else "no"
        appendfsync = rng.choice(("always", "always", "everysec", "no"))
        save = rng.choice(("", "", "", "1 1", "3600 1"))
        options = ["--appendonly", appendonly, "--appendfsync", appendfsync, "--save", *(save.split() or [""]),
                   "--shutdown-timeout", "3", "--enable-debug-command", "yes", "--loglevel", "notice",
                   "--auto-aof-rewrite-percentage", rng.choice(("0", "1", "100")), "--auto-aof-rewrite-min-size",
                   rng.choice(("1", "4kb"))]
        self.say(f"start: appendonly {appendonly}, appendfsync {appendfsync}, save {save!r}")
        there = {name: (self.folder / name).exists() for name in (AOF, SNAPSHOT)}
        promised = "log_synced" if power_lost else "log"
        self.disk.sync_delay = rng.choice((0, 0.0005, 0.003))
        self.disk.heal()
        self.is_healthy = True
        self.ends_itself = False
        found = self.check_file() if appendonly == "yes" and there[AOF] else None
        self.daemon = Fanfared(self.folder, *options, env=self.disk.env)
        self.daemon.start()
        self.mode.begin(appendonly, appendfsync, save)
        self.at_start = {"appendonly": appendonly, "appendfsync": appendfsync, "save": save}
        self.meet()
        if found is not None:
            self.check_found(found)
        self.check_loaded(appendonly, there, promised)

    def meet(self):
        """Another process serves: its figures begin at 0."""
        for caller in self.callers.values():
            caller.end()
        self.callers = {name: Caller(self.daemon.address) for name in ("config", "dump", "end", "info")}
        self.seen = {}
        self.settings_sent = {}
        self.observed = None

    def check_file(self):
        """The exit status and output of `fanfare aof check` for the file."""
        tool = os.environ.get("FANFARE")
        if not tool:
            return None
        done = subprocess.run([tool, "aof", "check", str(self.folder / AOF)], capture_output=True, text=True,
                              check=False)
        self.say(f"aof check: {done.returncode}")
        return done.returncode, done.stdout + done.stderr

    def check_found(self, found):
        """The start must agree: a file that is loaded but not valid can only be one whose end is missing."""
        status, words = found
        is_cut = "ends early" in self.daemon.log()
        if (status != 0) != is_cut or ("ends early" in words) != is_cut:
            raise Strange(f"aof check ends with {status}: {words.strip()}; the start says: {self.daemon.log().strip()}")

    def check_loaded(self, appendonly, there, promised):
        with Connection(self.daemon.address, timeout=30) as client:
            for writer in self.everyone:
                if promised == "log_synced":
                    writer.log = set(writer.log_synced)
                what = getattr(writer, promised) if appendonly == "yes" else writer.snapshot
                if appendonly == "yes" and not there[AOF]:
                    what = what | writer.snapshot
                source = promised if appendonly == "yes" else "snapshot"
                writer.check_loaded(client, what, f"appendonly {appendonly}, {source}")
        self.say("loaded: " + ", ".join(f"{w.name} {len(w.memory)}" for w in self.everyone))

    # Its life

    def live(self):
        rng = self.rng
        with Connection(self.daemon.address, timeout=60) as client:
            self.config_writer.write_one(client, ("maxclients", "5000"))
        for writer in self.writers:
            writer.go(self.daemon.address)
        self.pause(0.05)
        steps = [(step, weight) for step, weight in (
            (self.step_fault, 10), (self.step_heal, 4), (self.step_full, 2), (self.step_rewrite, 4),
            (self.step_bgsave, 4), (self.step_save, 3), (self.step_kill_child, 3), (self.step_appendonly, 5),
            (self.step_appendfsync, 4), (self.step_config, 4), (self.step_names, 1), (self.step_config_in_multi, 3),
            (self.step_hangup, 1), (self.step_upgrade, 3), (self.step_abort, 2), (self.step_busy, 2),
            (self.step_observe, 4))]
        for _ in range(rng.randint(4, 24)):
            step = rng.choices([one for one, _ in steps], [weight for _, weight in steps])[0]
            step()
            self.pause(rng.choice((0, 0, 0.003, 0.02, 0.08)))
            self.check_alive()
        if rng.random() < 0.4:
            self.settle()

    def pause(self, duration):
        time.sleep(duration)

    def check_alive(self):
        for one in [*self.everyone, *self.callers.values()]:
            if one.failure:
                raise Strange(one.failure)
        if self.daemon.process.poll() is not None and not self.ends_itself:
            raise Strange(f"the daemon ended with {self.daemon.process.returncode}")
        self.daemon.check_log()

    def call(self, caller, *args, then=None):
        """Send by one of the callers; then(reply) when it comes."""
        def deed(client):
            reply = client.call(*args)
            self.say(f"  {' '.join(map(str, args))}: {shown(reply)}")
            if then is not None:
                then(reply)
        self.say(" ".join(map(str, args)))
        self.callers[caller].call(deed)

    # Steps

    def step_fault(self):
        rng = self.rng
        call = rng.choices(("write", "sync", "rename", "truncate", "open", "unlink", "fork"), (6, 6, 3, 2, 2, 1, 2))[0]
        more = {"who": rng.choice((PARENT, PARENT, CHILD, BOTH)), "times": rng.choice((1, 1, 2, 3, FOR_EVER)),
                "chance": rng.choice((1.0, 1.0, 0.5, 0.1)), "skip": rng.choice((0, 0, 1, 3)),
                "delay": rng.choice((0, 0, 0, 0.001, 0.03, 0.2)), "shorten": call == "write" and rng.random() < 0.3}
        error = {"fork": errno.EAGAIN, "open": errno.EMFILE, "write": rng.choice((errno.ENOSPC, errno.EIO))}
        error = error.get(call, errno.EIO) if rng.random() < 0.75 else 0
        self.disk.rule(call, error=error, **more)
        self.is_healthy = False
        self.say(f"fault: {call}, error {error}, {more}")

    def step_heal(self):
        self.disk.heal()
        self.say("faults lifted")

    def step_full(self):
        room = self.rng.choice((0, 1, 100, 2000, 20000))
        self.disk.set_room(room)
        self.is_healthy = False
        self.say(f"room for {room} bytes")

    def step_rewrite(self):
        self.call("dump", "BGREWRITEAOF")

    def step_bgsave(self):
        self.call("dump", *self.rng.choice((("BGSAVE",), ("BGSAVE", "SCHEDULE"))))

    def step_save(self):
        self.call("dump", "SAVE", then=self.saves())

    def saves(self):
        """For a reply of OK to a command sent now: the snapshot contains everything in memory."""
        memory = {writer: writer.copy_memory() for writer in self.everyone}

        def then(reply):
            if reply == b"OK":
                for writer in self.everyone:
                    writer.snapshot |= memory[writer]
        return then

    def step_kill_child(self):
        try:
            children = pathlib.Path(f"/proc/{self.daemon.pid}/task/{self.daemon.pid}/children").read_text().split()
            for child in children:
                os.kill(int(child), self.rng.choice((signal.SIGKILL, signal.SIGTERM)))
                self.say(f"child {child} killed")
        except OSError:
            pass

    def configure(self, name, value):
        self.will_set(name)
        self.call("config", "CONFIG", "SET", name, value, then=lambda reply: self.was_set(name, value, reply))

    def will_set(self, name):
        """The value is unknown until the reply to the last CONFIG SET of this name."""
        with self.lock:
            self.settings_sent[name] = self.settings_sent.get(name, 0) + 1
        if name in ("appendonly", "appendfsync", "save"):
            self.mode.set(name, None)

    def was_set(self, name, value, reply):
        with self.lock:
            self.settings_sent[name] -= 1
            is_last = self.settings_sent[name] == 0
        if reply == b"OK" and is_last and name in ("appendonly", "appendfsync", "save"):
            self.mode.set(name, value)

    def step_appendonly(self):
        self.configure("appendonly", self.rng.choice(("yes", "yes", "no")))

    def step_appendfsync(self):
        self.configure("appendfsync", self.rng.choice(("always", "always", "always", "everysec", "no")))

    def step_config(self):
        self.configure(*self.rng.choice((
            ("save", ""), ("save", "1 1"), ("save", "3600 1"), ("auto-aof-rewrite-percentage", "1"),
            ("auto-aof-rewrite-percentage", "0"), ("auto-aof-rewrite-min-size", "1"),
            ("stop-writes-on-bgsave-error", "no"), ("stop-writes-on-bgsave-error", "yes"),
            ("no-appendfsync-on-rewrite", "yes"), ("no-appendfsync-on-rewrite", "no"))))

    def step_names(self):
        """These need a restart: CONFIG SET says so."""
        name, value = self.rng.choice((("dir", "/tmp"), ("dbfilename", AOF), ("appendfilename", "other.aof")))

        def then(reply):
            if not isinstance(reply, Error):
                raise Strange(f"CONFIG SET {name} {value} answers {reply!r}")
        self.call("config", "CONFIG", "SET", name, value, then=then)

    def step_config_in_multi(self):
        name, value = self.rng.choice((("appendonly", "yes"), ("appendonly", "no"), ("appendfsync", "always"),
                                       ("appendfsync", "everysec"), ("save", "1 1"), ("save", "")))
        self.will_set(name)

        def deed(client):
            reply = self.config_writer.write_one(client, (name, value))
            self.say(f"  MULTI, CONFIG SET {name} {value}: {reply!r}")
            self.was_set(name, value, reply)
        self.say(f"MULTI ... CONFIG SET {name} {value} ... EXEC")
        self.callers["config"].call(deed)

    def step_hangup(self):
        """There is no configuration file, so the settings of the start apply again."""
        if not self.callers["config"].is_idle():
            return
        before = self.mode.get("appendonly")
        for name in ("appendonly", "appendfsync", "save"):
            self.mode.set(name, None)
        done = self.daemon.log().count("reload: done")
        self.say("SIGHUP")
        self.daemon.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + seconds(PATIENCE)
        while self.daemon.log().count("reload: done") == done:
            self.check_alive()
            if time.monotonic() > end:
                raise Strange("SIGHUP is not answered in the log")
            self.pause(0.002)
        for name in ("appendfsync", "save"):
            self.mode.set(name, self.at_start[name])
        # After a reload there is no notice when the append-only file is complete.
        if self.at_start["appendonly"] in ("no", before):
            self.mode.set("appendonly", self.at_start["appendonly"])

    def step_upgrade(self):
        """The successor has the settings of the start: if appendonly differs from them, it refuses. On a failing disk
        the upgrade fails."""
        if not all(caller.is_idle() for caller in self.callers.values()):
            return
        names = ("appendonly", "appendfsync", "save")
        before = {name: self.mode.get(name) for name in names}
        for name in names:
            self.mode.set(name, None)
        log = len(self.daemon.log())
        self.say("SIGUSR2")
        self.daemon.process.send_signal(signal.SIGUSR2)
        outcome = None
        end = time.monotonic() + seconds(90)
        while not outcome:
            self.check_alive()
            if time.monotonic() > end:
                raise Strange("SIGUSR2 has no outcome")
            self.pause(0.005)
            outcome = re.search(r"upgrade: process (\d+) serves|upgrade failed|no upgrade", self.daemon.log()[log:])
        self.say(f"  {outcome.group()}")
        if outcome.group(1) is None:
            for name in names:
                self.mode.set(name, before[name])
            return
        self.pause(self.rng.choice((0, 0.01, 0.2)))
        self.daemon.process = Adopted(int(outcome.group(1)), self.daemon.process)
        for name in names:
            self.mode.set(name, self.at_start[name])
        self.meet()

    def step_abort(self):
        """A shutdown that is cancelled, or a snapshot that it interrupts."""
        replies = []
        self.call("end", "SHUTDOWN", "GRACE", "30")
        self.pause(self.rng.choice((0, 0.01, 0.1)))
        self.call("end", "SHUTDOWN", "ABORT", then=replies.append)
        end = time.monotonic() + seconds(PATIENCE)
        while not self.callers["end"].is_idle():
            if time.monotonic() > end:
                raise Strange("SHUTDOWN GRACE and ABORT get no reply")
            self.pause(0.005)
            if replies and isinstance(replies[-1], Error) and b"Cannot listen" in replies[-1].text:
                # Another process uses this port for a moment.
                replies.clear()
                self.call("end", "SHUTDOWN", "ABORT", then=replies.append)

    def step_busy(self):
        self.call("info", "DEBUG", "SLEEP", self.rng.choice(("0.01", "0.1", "0.3")))

    def step_observe(self):
        """The daemon must keep what it reports as written and synced, whatever appendfsync is."""
        before = self.mode.stamp()
        memory = {writer: writer.copy_memory() for writer in self.everyone}

        def then(reply):
            info = fields_of(reply)
            self.check_info(info, before)
            self.observe(info, before, memory)
        self.call("info", "INFO", "persistence", then=then)

    def observe(self, info, before, memory):
        if self.mode.stamp() != before or before[1] != "yes":
            self.observed = None
            return
        syncs = int(info["aof_fsyncs"])
        if self.observed is not None and self.observed[0] == before and syncs >= self.observed[1] + 2:
            for writer, numbers in self.observed[2].items():
                writer.log_synced |= numbers
            self.observed = None
        if info["aof_buffer_length"] == "0" and info["aof_last_write_status"] == "ok":
            for writer, numbers in memory.items():
                writer.log |= numbers
            if self.observed is None:
                self.observed = (before, syncs, memory)

    def check_info(self, info, before):
        for name in COUNTERS:
            value = int(info[name])
            if value < self.seen.get(name, 0):
                raise Strange(f"INFO: {name} fell from {self.seen[name]} to {value}")
            self.seen[name] = value
        if before == self.mode.stamp() and before[1] is not None:
            if info["aof_enabled"] != {"yes": "1", "no": "0"}[before[1]]:
                raise Strange(f"INFO: aof_enabled is {info['aof_enabled']}, appendonly was set to {before[1]}")

    # The disk works again

    def wait(self, condition, what):
        end = time.monotonic() + seconds(PATIENCE)
        while True:
            value = condition()
            if value:
                return value
            self.check_alive()
            if time.monotonic() > end:
                raise Strange(f"the disk works again, and not within {seconds(PATIENCE)} s: {what}")
            time.sleep(0.01)

    def settle(self):
        """After the faults every client gets a reply and everything works."""
        self.disk.heal()
        self.say("faults lifted; all has to go on")
        asked = time.monotonic()
        busy = [name for name, caller in self.callers.items() if not caller.is_idle()]
        self.wait(lambda: all(caller.is_idle() for caller in self.callers.values()),
                  f"replies to the admin: {', '.join(busy)}")
        for writer in self.everyone:
            self.wait(lambda: (writer.waiting_since or asked + 1e9) >= asked, f"a reply to {writer.name}")
        with Connection(self.daemon.address, timeout=PATIENCE) as client:
            self.settle_files(client)
            counts = {writer: writer.acknowledged for writer in self.writers}
            for writer in self.writers:
                self.wait(lambda: writer.acknowledged > counts[writer],
                          f"writes of {writer.name} are accepted; {self.state(client)}")
            self.check_quiet(client)
        self.is_healthy = True
        self.say("all goes on")

    def state(self, client):
        info = client.info("persistence")
        return {name: info[name] for name in ("aof_enabled", "aof_last_write_status", "rdb_last_bgsave_status",
                                              "aof_rewrite_in_progress", "rdb_bgsave_in_progress", "aof_buffer_length")}

    def settle_files(self, client):
        self.wait(lambda: client.info("persistence")["aof_last_write_status"] == "ok",
                  "aof_last_write_status is ok")
        self.wait_for_dumps(client)
        if self.rng.random() < 0.5:
            self.save(client)
        if self.rng.random() < 0.5:
            before = int(client.info("persistence")["aof_rewrites"])
            reply = client.call("BGREWRITEAOF")
            # A snapshot or rewrite by a rule may have begun meanwhile.
            if isinstance(reply, Error) and b"in progress" not in reply.text:
                raise Strange(f"the disk works again, BGREWRITEAOF answers {reply!r}")
            self.wait(lambda: int(client.info("persistence")["aof_rewrites"]) > before, "a rewrite")
        if client.info("persistence")["rdb_last_bgsave_status"] != "ok":
            self.save(client)

    def save(self, client):
        """A snapshot begun by a rule may prevent it for a while."""
        def saved():
            then = self.saves()
            reply = client.call("SAVE")
            then(reply)
            if reply != b"OK" and b"in progress" not in reply.text:
                raise Strange(f"the disk works again, SAVE answers {reply!r}")
            return reply == b"OK"
        self.wait(saved, "SAVE")

    def wait_for_dumps(self, client):
        def done():
            info = client.info("persistence")
            names = ("rdb_bgsave_in_progress", "aof_rewrite_in_progress", "aof_rewrite_scheduled")
            return all(info[name] == "0" for name in names)
        self.wait(done, "the end of snapshots and rewrites")

    def check_quiet(self, client):
        """While no client writes, INFO must be exact to the byte."""
        for writer in self.writers:
            writer.rest()
        self.wait(lambda: all(writer.is_resting for writer in self.writers), "the last replies of the writers")
        self.wait(lambda: client.info("persistence")["aof_buffer_length"] == "0", "an empty buffer")

        def is_true():
            info = client.info("persistence")
            size = (self.folder / AOF).stat().st_size if (self.folder / AOF).exists() else -1
            return info["aof_enabled"] == "0" or info["aof_rewrite_in_progress"] == "1" or \
                info["aof_current_size"] == str(size)
        self.wait(is_true, "aof_current_size is the size of the file")
        if self.mode.get("appendonly") == "yes":
            for writer in self.everyone:
                writer.log |= writer.copy_memory()
        for writer in self.writers:
            writer.go(self.daemon.address)

    # The end

    def end_round(self):
        """True if the power was lost."""
        rng = self.rng
        ends = ((self.end_kill, 9), (self.end_signal, 3), (self.end_shutdown, 5), (self.end_shutdown_killed, 2))
        rng.choices([one for one, _ in ends], [weight for _, weight in ends])[0]()
        self.disk.heal()
        for caller in self.callers.values():
            caller.end()
        self.daemon.process = None
        for writer in self.writers:
            writer.has_ended()
        self.check_failures()
        self.disk.take_records()
        if rng.random() < 0.6:
            self.say(f"power lost: {self.disk.lose_power(rng)}")
            return True
        return False

    def check_failures(self):
        for one in [*self.everyone, *self.callers.values()]:
            if one.failure:
                raise Strange(one.failure)
        self.daemon.check_log()

    def end_kill(self):
        self.say("kill -9")
        self.daemon.process.kill()
        self.daemon.process.wait()

    def end_shutdown_killed(self):
        """kill -9 during a normal shutdown."""
        self.ends_itself = True
        if self.rng.random() < 0.5:
            self.say("SIGTERM")
            self.daemon.process.send_signal(signal.SIGTERM)
        else:
            self.call("end", "SHUTDOWN", *self.rng.choice(((), ("SAVE",), ("NOW",), ("FORCE",), ("GRACE", "1"))))
        self.pause(self.rng.choice((0, 0.005, 0.05, 0.2)))
        self.end_kill()

    def end_signal(self):
        self.before_end()
        promise = self.orderly(saves=self.mode.get("save"))
        self.say("SIGTERM")
        self.ends_itself = True
        self.daemon.process.send_signal(signal.SIGTERM)
        twice = self.rng.random() < 0.2
        if twice:
            self.pause(self.rng.choice((0, 0.01, 0.1)))
            self.say("SIGTERM, the second")
            self.daemon.process.send_signal(signal.SIGTERM)
        self.await_end(promise if not twice else None)

    def end_shutdown(self):
        self.before_end()
        words = self.rng.choice(((), ("SAVE",), ("NOSAVE",), ("NOW",), ("FORCE",), ("SAVE", "NOW"), ("NOSAVE", "NOW"),
                                 ("NOW", "FORCE"), ("SAVE", "FORCE"), ("GRACE", "0"), ("GRACE", "1")))
        rules = self.mode.get("save")
        saves = "yes" if "SAVE" in words else "" if "NOSAVE" in words else rules
        promise = self.orderly(saves=saves)
        self.ends_itself = True
        self.call("end", "SHUTDOWN", *words)
        self.await_end(promise)

    def before_end(self):
        if self.rng.random() < 0.6:
            self.settle()

    def orderly(self, saves):
        """What a shutdown with status 0 keeps if it begins now."""
        if not self.is_healthy:
            return None
        appendonly = self.mode.get("appendonly")
        memory = {writer: writer.copy_memory() for writer in self.everyone}

        def keep():
            for writer, numbers in memory.items():
                if appendonly == "yes":
                    writer.log |= numbers
                    writer.log_synced |= numbers
                if saves:
                    writer.snapshot |= numbers
        return keep

    def await_end(self, promise):
        """Ends the process; faults are removed after a while at the latest."""
        if not self.is_healthy:
            self.pause(self.rng.choice((0, 0.1, 0.5)))
            self.disk.heal()
            self.say("faults lifted")
        process = self.daemon.process
        end = time.monotonic() + seconds(PATIENCE)
        look = time.monotonic() + 1.5
        while process.poll() is None and time.monotonic() < end:
            if time.monotonic() > look and not self.is_healthy and self.goes_on():
                self.say("the end was given up, for its snapshot failed")
                self.end_kill()
                return
            time.sleep(0.005)
        if process.poll() is None:
            raise Strange(f"the daemon does not end within {seconds(PATIENCE)} s")
        self.say(f"exit status {process.returncode}")
        # On a failing disk a shutdown may report that changes were lost.
        if process.returncode < 0 or (process.returncode != 0 and self.is_healthy):
            raise Strange(f"the daemon ended with {process.returncode}")
        if promise is not None:
            promise()

    def goes_on(self):
        """The last snapshot failed, so the daemon serves again."""
        try:
            with Connection(self.daemon.address, timeout=1) as client:
                return client.info("server")["lame_duck"] == "0"
        except (Closed, OSError):
            return False


class Adopted:
    """A successor, as a process of subprocess; its predecessor is killed. Its exit status is unknown."""

    def __init__(self, pid, predecessor):
        self.pid, self.returncode = pid, None
        predecessor.kill()
        predecessor.wait()

    def poll(self):
        if self.returncode is None and not is_alive(self.pid):
            self.returncode = 0
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def wait(self):
        wait_until(lambda: self.poll() is not None, f"the end of process {self.pid}", 30)


def shown(reply):
    """A reply for the list of events; of INFO only the useful fields."""
    if not isinstance(reply, bytes) or not reply.startswith(b"#"):
        return repr(reply)
    names = ("rdb_bgsave_in_progress", "rdb_last_bgsave_status", "rdb_saves", "aof_enabled", "aof_rewrite_in_progress",
             "aof_rewrites", "aof_last_write_status", "aof_current_size", "aof_buffer_length", "aof_fsyncs")
    info = fields_of(reply)
    return ", ".join(f"{name} {info.get(name)}" for name in names)


def fields_of(reply):
    return dict(line.split(":", 1) for line in reply.decode().splitlines() if ":" in line)


def run(shim, seed, duration):
    print(f"seed {seed}, {duration} s", flush=True)
    chaos = Chaos(shim, seed)
    chaos.run(duration)
    print(f"seed {seed}: {chaos.rounds} rounds, {sum(w.acknowledged for w in chaos.writers)} acknowledged changes",
          flush=True)

#!/usr/bin/python3 -B
"""soak.py LAUNCHER SERVER CLIENT [ROUNDS [SEED]]: hands over again and again under load, while things go wrong.

In each round one thing is done to the app, and nearly always something happens meanwhile: the command is killed,
interrupted or stopped for a while, the new version crashes, ignores its stop signal or does not exist, two deploys meet,
the registry is lost, a copy is killed. Both levels of steering are tried at the same time, each with a network and
processes of its own. At the end all is compared with the beginning: processes, listeners, descriptors, programs and maps
in the kernel, control groups, and the files of the registry.

ROUNDS is 500 for each level. Exits with 1 if a request is lost or something is left. What a copy was working on when it
was killed on purpose is lost with it, and counted apart. Needs root, and no other deploys on the host: programs and maps
are counted for all of it.
"""
import ctypes
import glob
import json
import os
import random
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
from common import enter_network  # noqa: E402

LEVELS = ("ebpf", "cbpf")
ADDRESS = "127.0.0.1:8080"
# Clients with short requests, and some whose requests last.
LOADS = (("/brief", 32), ("/slow?ms=200", 8))
PATIENCE = 120


def microseconds():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


class KernelObjects:
    """How many of the programs and maps in the kernel are ours."""
    BPF, OBJ_GET_INFO_BY_FD = 321, 15
    # The commands for the next id and for a descriptor, and where the name is in the information.
    KINDS = {"programs": (11, 13, 64), "maps": (12, 14, 24)}

    def __init__(self):
        self.libc = ctypes.CDLL(None, use_errno=True)

    def call(self, command, attribute):
        buffer = ctypes.create_string_buffer(attribute, 64)
        return self.libc.syscall(self.BPF, command, buffer, 64), buffer.raw

    def names(self, kind):
        next_id, open_id, offset = self.KINDS[kind]
        number = 0
        while True:
            result, answer = self.call(next_id, struct.pack("II", number, 0))
            if result != 0:
                return
            number = struct.unpack_from("I", answer, 4)[0]
            descriptor, _ = self.call(open_id, struct.pack("I", number))
            if descriptor < 0:
                continue
            info = ctypes.create_string_buffer(256)
            self.call(self.OBJ_GET_INFO_BY_FD, struct.pack("IIQ", descriptor, 256, ctypes.addressof(info)))
            os.close(descriptor)
            yield info.raw[offset:offset + 16].split(b"\0")[0].decode()

    def count(self):
        return {kind: sum(name.startswith("rpx_") for name in self.names(kind)) for kind in self.KINDS}


class Soak:
    def __init__(self, launcher, server, client, level, seed):
        self.folder = tempfile.mkdtemp(prefix="soak.")
        os.chmod(self.folder, 0o755)
        self.launcher, self.server, self.client = (shutil.copy(path, self.folder) for path in (launcher, server, client))
        self.level, self.random = level, random.Random(seed)
        self.run = f"{self.folder}/run"
        self.app = f"soak-{level}"
        self.done, self.odd = {}, []
        # From when until when a copy was killed.
        self.kills = []
        self.rounds = {
            "plain": self.plain, "killed": self.killed, "interrupted": self.interrupted, "paused": self.paused,
            "crash at boot": self.crash_at_boot, "crash while it listens": self.crash_while_listening,
            "no such program": self.no_such_program, "two at once": self.two_at_once, "scale": self.scale,
            "scale killed": self.scale_killed, "deaf": self.deaf, "suspend": self.suspend, "rollback": self.rollback,
            "watch": self.watch, "restart": self.restart, "copy killed": self.copy_killed,
        }
        if level == "ebpf":
            self.rounds["registry lost"] = self.registry_lost

    # Commands

    def start(self, *words, environment={}):
        return subprocess.Popen(
            [self.launcher, words[0], "--run-dir", self.run, *words[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"], **environment})

    def deploy(self, options={}, copies=None, command=None, **variables):
        variables.setdefault("SAMPLE_BOOT_MS", self.random.choice([0, 0, 150]))
        words = {
            "--steering": self.level, "--log": f"{self.folder}/log", "--user": "nobody", "--socket": f"http:{ADDRESS}",
            "--ready-timeout": "6s", "--stop-timeout": "8s", "--copies": copies or self.random.choice([1, 2, 3]),
            **options}
        return self.start(
            "deploy", self.app, *(str(word) for pair in words.items() for word in pair), "--", command or self.server,
            "soak",
            environment={name: str(value) for name, value in variables.items()})

    def end(self, process, *codes):
        """Waits for a command, which exits with one of these; without any it does not matter."""
        try:
            _, errors = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.odd.append(f"{process.args[1]} hung")
            return
        if codes and process.returncode not in codes:
            self.odd.append(f"{process.args[1]} exited with {process.returncode}: {errors.strip()}")

    def verb(self, *words, codes=(0,)):
        self.end(self.start(*words), *codes)

    def state(self):
        found = subprocess.run(
            [self.launcher, "state", self.app, "--json", "--run-dir", self.run], capture_output=True, text=True)
        return json.loads(found.stdout)[0]["generations"] if found.returncode == 0 else []

    def copies(self, state="live"):
        return [copy["pid"] for generation in self.state() if generation["state"] == state
                for copy in generation["copies"] if copy["state"] == "live"]

    def kill(self, pid):
        try:
            process = os.pidfd_open(pid)
        except OSError:
            return
        begin = microseconds()
        signal.pidfd_send_signal(process, signal.SIGKILL)
        select.select([process], [], [], PATIENCE)
        os.close(process)
        self.kills.append((begin, microseconds()))

    # Rounds

    def plain(self):
        self.end(self.deploy(), 0)

    def killed(self):
        process = self.deploy()
        time.sleep(self.random.random() * 0.6)
        process.kill()
        self.end(process)

    def interrupted(self):
        process = self.deploy()
        time.sleep(self.random.random() * 0.6)
        process.send_signal(signal.SIGINT)
        self.end(process)

    def paused(self):
        process = self.deploy()
        time.sleep(self.random.random() * 0.4)
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        process.send_signal(signal.SIGCONT)
        self.end(process, 0)

    def crash_at_boot(self):
        self.end(self.deploy(SAMPLE_CRASH="boot"), 1)

    def crash_while_listening(self):
        late = self.random.randrange(10, 60)
        options = {"--ready": "exec:/bin/false", "--ready-timeout": "1s"}
        self.end(self.deploy(options, SAMPLE_CRASH=f"after-ready-{late}"), 1)

    def no_such_program(self):
        self.end(self.deploy(command="/no/such/program"), 1)

    def two_at_once(self):
        for process in [self.deploy(), self.deploy()]:
            self.end(process, 0)

    def scale(self):
        self.verb("scale", self.app, str(self.random.choice([1, 2, 4])))

    def scale_killed(self):
        process = self.start("scale", self.app, str(self.random.choice([1, 2, 4])))
        time.sleep(self.random.random() * 0.2)
        process.kill()
        self.end(process)

    def deaf(self):
        self.end(self.deploy({"--stop-timeout": "1s"}, SAMPLE_IGNORE_TERM=1), 0)

    def suspend(self):
        self.verb("suspend", self.app, *self.random.choice([[], ["--in-place"]]))
        self.verb("resume", self.app)

    def rollback(self):
        # Where nothing else has served, or only the same, it refuses.
        self.verb("rollback", self.app, codes=(0, 1))

    def watch(self):
        """A copy of the new version is killed while the old one can still come back.

        Its listener is open until the deploy has seen that, and takes connections that nobody accepts.
        """
        process = self.deploy({"--watch": "20s"}, copies=2)
        killed = False
        while line := process.stderr.readline():
            if "is watched" in line:
                for pid in self.copies()[:1]:
                    self.kill(pid)
                    killed = True
            elif killed and "gets the connections again" in line:
                self.kills[-1] = (self.kills[-1][0], microseconds())
                return self.end(process, 1)
        self.end(process, 0)

    def restart(self):
        self.verb("restart", self.app)

    def copy_killed(self):
        """One of several; the others serve until all are there again."""
        live = self.copies()
        if len(live) < 2:
            return self.plain()
        self.kill(self.random.choice(live))
        self.verb("scale", self.app, str(len(live)))

    def registry_lost(self):
        shutil.rmtree(f"{self.run}/{self.app}", ignore_errors=True)
        self.plain()

    # What is there

    def processes(self):
        """Every process here but our own, by command."""
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) not in (1, os.getpid()):
                try:
                    with open(f"/proc/{name}/cmdline") as file:
                        words = file.read().split("\0")
                except OSError:
                    continue
                if words[0] and words[0] != self.client:
                    found.append(words[0])
        return sorted(found)

    def census(self):
        with open("/proc/net/tcp") as file:
            listeners = sum(line.split()[3] == "0A" for line in list(file)[1:])
        found = {"processes": self.processes(), "listeners": listeners}
        found["registry"] = sorted(os.listdir(self.run)) if os.path.isdir(self.run) else []
        found["groups"] = len(glob.glob(f"/sys/fs/cgroup/**/*reuseport-exec.{self.app}.*", recursive=True))
        if self.level == "ebpf":
            found.update(KernelObjects().count())
        return found

    def serving(self):
        """What one copy has, when nothing else is under way."""
        pid = self.copies()[0]
        return {
            "copies": len(self.copies()), "descriptors": sorted(os.listdir(f"/proc/{pid}/fd"), key=int)[:4],
            "files": len(os.listdir(f"{self.run}/{self.app}"))}

    def finish(self):
        self.verb("terminate", self.app)
        self.verb("forget", self.app)
        deadline = time.monotonic() + 15
        while (found := self.census()) != self.empty and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    # The soak

    def start_load(self):
        self.records, self.loads = [], []
        for index, (path, clients) in enumerate(LOADS):
            self.records.append(f"{self.folder}/record-{index}")
            self.loads.append(subprocess.Popen(
                [self.client, "--connections", str(clients), "--path", path, "--record", self.records[-1], "--timeout",
                 "20s", "--duration", "10000s", ADDRESS], stdout=subprocess.PIPE, text=True))

    def stop_load(self):
        for load in self.loads:
            load.send_signal(signal.SIGTERM)
        answers = [json.loads(load.communicate(timeout=PATIENCE)[0]) for load in self.loads]
        lost, with_a_copy = [], 0
        for record in self.records:
            with open(record) as file:
                for line in file:
                    start, took, outcome, _ = line.split()
                    if outcome == "ok":
                        continue
                    begin, end = int(start), int(start) + int(took)
                    if outcome in ("reset", "short") and any(begin <= b and end >= a for a, b in self.kills):
                        with_a_copy += 1
                    else:
                        lost.append((begin, end, outcome))
        return sum(answer["requests"] for answer in answers), lost, with_a_copy

    def placed(self, moments, begin, end, outcome):
        """When a request was lost: in which round, and how many milliseconds after that and the last kill began."""
        index = max([number for number, (moment, _) in enumerate(moments) if moment <= end] or [0])
        moment, what = moments[index]
        kills = [a for a, _ in self.kills if a <= end]
        after = f", {(end - kills[-1]) / 1000:.1f} after a kill" if kills else ""
        return (f"lost: {outcome} in round {index}, {what}, from {(begin - moment) / 1000:.1f} to "
                f"{(end - moment) / 1000:.1f} ms{after}")

    def play(self, rounds):
        self.empty = {"processes": [], "listeners": 0, "registry": [], "groups": 0}
        if self.level == "ebpf":
            self.empty.update(KernelObjects().count())
        self.end(self.deploy(copies=2, SAMPLE_BOOT_MS=0), 0)
        if self.odd:
            return {"level": self.level, "wrong": self.odd}
        first = self.serving()
        self.start_load()
        begin, moments = time.monotonic(), []
        for _ in range(rounds):
            what = self.random.choice(list(self.rounds))
            moments.append((microseconds(), what))
            self.rounds[what]()
            self.done[what] = self.done.get(what, 0) + 1
        for _ in range(4):
            # What failed or retired is forgotten after some deploys.
            self.end(self.deploy(copies=2, SAMPLE_BOOT_MS=0), 0)
        took = time.monotonic() - begin
        requests, lost, with_a_copy = self.stop_load()
        last = self.serving()
        wrong = [self.placed(moments, *one) for one in lost] + self.odd
        if last["descriptors"] != first["descriptors"] or last["copies"] != 2:
            wrong.append(f"serving: {first} at first, {last} at last")
        found = self.finish()
        if found["registry"] == [".lock"]:
            found["registry"] = []
        if found != self.empty:
            wrong.append(f"left: {found}, before: {self.empty}")
        return {"level": self.level, "rounds": rounds, "seconds": round(took), "requests": requests, "lost": len(lost),
                "with_a_copy": with_a_copy, "kills": len(self.kills), "done": self.done, "wrong": wrong}

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def play_here(programs, level, rounds, seed):
    """In this process, which has namespaces of its own."""
    enter_network()
    soak = Soak(*programs, level, seed)
    try:
        print(json.dumps(soak.play(rounds)), flush=True)
    finally:
        soak.close()
    os._exit(0)


def play(programs, level, rounds, seed):
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, __file__, *programs, str(rounds),
         str(seed), level], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        return {"level": level, "wrong": [f"it ended with {done.returncode}"]}
    return json.loads(done.stdout)


def show(found):
    if "requests" in found:
        print("{level}: {rounds} rounds in {seconds} s, {requests:,} requests, {lost} lost; {with_a_copy} with one of "
              "{kills} copies that were killed".format(**found))
        print("      " + ", ".join(f"{what} {count}" for what, count in sorted(found["done"].items())))
    for one in found["wrong"]:
        print(f"WRONG {one}")


def main(words):
    programs = [os.path.abspath(word) for word in words[:3]]
    rounds = int(words[3]) if len(words) > 3 else 500
    seed = int(words[4]) if len(words) > 4 else int(time.time())
    if len(words) > 5:
        return play_here(programs, words[5], rounds, seed)
    print(f"Linux {os.uname().release}, {time.strftime('%Y-%m-%d')}, seed {seed}", flush=True)
    found = []
    threads = [threading.Thread(target=lambda level=level: found.append(play(programs, level, rounds, seed)))
               for level in LEVELS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in sorted(found, key=lambda one: LEVELS.index(one["level"])):
        show(one)
    return 1 if any(one["wrong"] for one in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

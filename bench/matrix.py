#!/usr/bin/env python3
"""matrix.py BINARY [--jobs N] [WORD...]: what becomes of an app when something happens to its second generation.

For each mishap, way of steering, privilege and way to start: a first generation serves, a second one comes to which the
mishap happens, and a third one takes over, under load. Prints for each what clients have lost, who listens afterwards and
what `state` said of the second. Nothing of the app may be left after `terminate`. Needs root, and runit for --app.

Each case has a network and processes of its own. Exits with 1 if a case is not as it should be. WORDs choose those
cases that have all of them.
"""
import concurrent.futures
import ctypes
import glob
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
from common import enter_network  # noqa: E402

MISHAPS = ("crash", "hang", "daemonize", "double-fork", "re-exec", "wrapper", "leak", "heir")
STEERINGS = ("ebpf", "cbpf", "unix")
PRIVILEGES = ("root", "user", "container")
STARTS = ("deploy", "runit")
# A version that does not come up; the others take over.
FAILING = ("crash", "hang", "daemonize", "double-fork")
SAYS = {
    "crash": ["exited with 3"], "hang": ["was not accepted"], "daemonize": ["background", "foreground"],
    "double-fork": ["background", "foreground"], "leak": ["sleep"]}
NOBODY = 65534
PORT = 8080
CLIENTS = 6
# What moby leaves to root in a container.
CONTAINER = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)


def limit_capabilities():
    libc, pr_capbset_drop = ctypes.CDLL(None), 24
    for number in range(64):
        if number not in CONTAINER:
            libc.prctl(pr_capbset_drop, number, 0, 0, 0)


def connect(address):
    client = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
    client.settimeout(3)
    try:
        client.connect(address)
    except OSError:
        client.close()
        raise
    return client


def ask(address):
    """Who answers. OSError: nobody."""
    with connect(address) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while piece := client.recv(4096):
            answer += piece
    if b"\r\n\r\n" not in answer:
        raise OSError("no answer")
    return answer.split(b"\r\n\r\n")[1].decode().split()[0]


class Load:
    """Clients that ask again and again, and count what they lost."""

    def __init__(self, address):
        self.lost, self.asked, self.stopped = {}, 0, False
        self.threads = [threading.Thread(target=self.run, args=(address,)) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def run(self, address):
        while not self.stopped:
            try:
                ask(address)
            except OSError as error:
                why = "hung" if isinstance(error, TimeoutError) else "refused or reset"
                self.lost[why] = self.lost.get(why, 0) + 1
            self.asked += 1

    def stop(self):
        self.stopped = True
        for thread in self.threads:
            thread.join()
        return self


class Case:
    def __init__(self, binary, mishap, steering, privilege, start):
        self.mishap, self.steering = mishap, steering
        self.privilege, self.start = privilege, start
        self.folder = tempfile.mkdtemp(prefix="matrix.")
        os.chmod(self.folder, 0o755)
        # Where every user can reach it.
        self.binary = shutil.copy(binary, self.folder)
        self.program = shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), "mishap.py"), self.folder)
        if privilege == "user":
            os.chown(self.folder, NOBODY, NOBODY)
        self.run = f"{self.folder}/run"
        self.is_unix = steering == "unix"
        self.address = f"{self.folder}/web.sock" if self.is_unix else ("127.0.0.1", PORT)
        self.services = []
        self.lost, self.asked = {}, 0

    # Starting

    def limited(self):
        """How a process gets the privilege of the case."""
        if self.privilege == "user":
            return {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        return {"preexec_fn": limit_capabilities} if self.privilege == "container" else {}

    def tool(self, *words, timeout=30):
        return subprocess.run(
            [self.binary, *words, "--run-dir", self.run], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout, **self.limited())

    def options(self):
        words = ["--ready-timeout", "1500ms", "--stop-timeout", "1500ms"]
        words += ["--socket", f"http:unix:{self.address},mode=666" if self.is_unix else f"http:127.0.0.1:{PORT}"]
        if not self.is_unix:
            words += ["--steering", self.steering]
        return words + ([] if self.privilege == "user" else ["--user", "nobody"])

    def command(self, label):
        kind = self.mishap if label == "2" else ""
        words = ["/usr/bin/python3", "-S", "-E", self.program, label, kind]
        return ["/bin/sh", "-c", '"$@"; exit $?', "sh", *words] if kind == "wrapper" else words

    def bring(self, label):
        """Starts a generation; whether it has taken over."""
        copies = 1 if self.is_unix else 2
        if self.start == "deploy":
            done = subprocess.run(
                [self.binary, "deploy", "web", "--run-dir", self.run, "--generation", label, "--copies", str(copies),
                 "--log", f"{self.folder}/log", *self.options(), "--", *self.command(label)],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, **self.limited())
            return done.returncode == 0
        started = []
        for copy in range(copies):
            service = f"{self.folder}/{label}-{copy}"
            os.makedirs(f"{service}/supervise")
            words = [self.binary, "--app", "web", "--run-dir", self.run, "--generation", label,
                     "--copies", str(copies), "--copy", str(copy), *self.options(), "--", *self.command(label)]
            with open(f"{service}/run", "w") as file:
                file.write("#!/bin/sh\nexec " + " ".join("'" + word.replace("'", "'\\''") + "'" for word in words) + "\n")
            os.chmod(f"{service}/run", 0o755)
            if self.privilege == "user":
                for name in (service, f"{service}/supervise"):
                    os.chown(name, NOBODY, NOBODY)
            with open(f"{self.folder}/log", "a") as log:
                started.append(subprocess.Popen(
                    ["runsv", service], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self.limited()))
            self.services.append((started[-1], service))
        done = self.tool("wait", "web", "--generation", label, "--timeout", "6s")
        if done.returncode != 0:
            # As its owner does with a service that does not come up.
            for _, service in self.services[-copies:]:
                subprocess.run(["sv", "-w", "3", "force-stop", service], capture_output=True)
        return done.returncode == 0

    # Looking

    def said(self):
        """What `state` says of the second generation."""
        try:
            app = json.loads(self.tool("state", "web", "--json").stdout)[0]
        except (ValueError, IndexError):
            return "nothing"
        for generation in reversed(app["generations"]):
            if generation["generation"] == "2":
                reasons = [generation["reason"]] + [copy["reason"] for copy in generation["copies"]]
                reasons += [holder["name"] for copy in generation["copies"] for holder in copy["holders"]]
                running = [copy for copy in generation["copies"] if copy["state"] != "ended"]
                text = f"{generation['state']}, {len(running)} run"
                return text + "".join(f"; {reason}" for reason in dict.fromkeys(reasons) if reason)
        return "nothing of it"

    def processes(self):
        """Everything but this case's own processes and runit's, as pid and short name."""
        found = {}
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) in (1, os.getpid()):
                continue
            try:
                with open(f"/proc/{name}/cmdline") as file:
                    words = file.read().split("\0")[:-1]
            except OSError:
                continue
            if not words or words[0] in ("runsv", "unshare"):
                continue
            found[int(name)] = words[words.index(self.program) + 1] if self.program in words else words[0].split("/")[-1]
        return found

    def listening(self):
        """Who holds sockets that listen."""
        inodes = set()
        with open("/proc/net/tcp") as file:
            inodes.update(line.split()[9] for line in list(file)[1:] if line.split()[3] == "0A")
        with open("/proc/net/unix") as file:
            inodes.update(line.split()[6] for line in file if line.split()[3] == "00010000" and self.folder in line)
        found = set()
        for pid, name in self.processes().items():
            try:
                links = [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
            except OSError:
                continue
            if any(link == f"socket:[{inode}]" for link in links for inode in inodes):
                found.add(name)
        return sorted(found)

    def wait_until(self, holds, seconds=3):
        deadline = time.monotonic() + seconds
        while not holds() and time.monotonic() < deadline:
            time.sleep(0.02)

    # The case

    def loaded(self, body):
        load = Load(self.address)
        try:
            return body()
        finally:
            time.sleep(0.2)
            load.stop()
            self.asked += load.asked
            for why, count in load.lost.items():
                self.lost[why] = self.lost.get(why, 0) + count

    def happen(self):
        """What happens to the second generation once it serves."""
        pids = [pid for pid, name in self.processes().items() if name == "2"]
        if self.mishap == "re-exec":
            for pid in pids:
                os.kill(pid, signal.SIGUSR2)
            self.wait_until(lambda: not any(pid in self.processes() for pid in pids))
        if self.mishap == "leak":
            # One that is about to end has no command line any more, and counts as running.
            process = os.pidfd_open(min(pids))
            os.kill(min(pids), signal.SIGKILL)
            select.select([process], [], [])
            os.close(process)

    def replace(self, old, label):
        """As `bring`; returns when one is left: a launcher's helper goes on retiring the others."""
        came = self.bring(label)
        self.wait_until(lambda: self.listening() == [label if came else old], 8)
        return came

    def ought_to_be_said(self):
        """What `state` says of the second generation: one of these."""
        if self.mishap == "leak" and self.start == "runit":
            # It may have been started again already.
            return [""]
        if self.mishap == "leak" and self.privilege == "container":
            return ["it ended by itself"]
        return SAYS.get(self.mishap, [""])

    def may_lose(self):
        """How many connections may be lost."""
        if self.mishap == "heir":
            # Each copy has an heir, and what it has accepted is lost when it is killed. A client that comes back at once
            # may meet the other one.
            return 2 * CLIENTS
        # runsv starts the copy again, for which its successor makes room.
        return None if self.mishap == "re-exec" and self.start == "runit" else 0

    def play(self):
        wrong = []
        if not self.bring("1"):
            return {"wrong": ["the first generation did not come up"]}
        came = self.loaded(lambda: self.replace("1", "2"))
        if came == (self.mishap in FAILING):
            wrong.append("2 took over" if came else "2 did not take over")
        self.happen()
        said = self.said()
        if not any(word in said for word in self.ought_to_be_said()):
            wrong.append("state does not say what has happened")
        # A path leads to one copy: when that is killed, nobody is left to serve before the next generation.
        is_served = self.mishap != "leak" or not self.is_unix
        comes = self.loaded if is_served else lambda body: body()
        if not comes(lambda: self.replace("2", "3")):
            wrong.append("3 did not take over")
        listening = self.listening()
        if listening != ["3"]:
            wrong.append("others listen")
        try:
            strangers = {name for name in (ask(self.address) for _ in range(20)) if name != "3"}
        except OSError:
            strangers = {"nobody"}
        if strangers:
            wrong.append("answered by " + ", ".join(sorted(strangers)))
        self.tool("terminate", "web")
        self.wait_until(lambda: not self.processes() and not self.listening())
        left, processes = self.listening(), sorted(self.processes().values())
        if left or processes:
            wrong.append("left: " + ", ".join(left or processes))
        allowed = self.may_lose()
        if allowed is not None and sum(self.lost.values()) > allowed:
            wrong.append("lost")
        return {
            "lost": self.lost, "asked": self.asked, "listening": listening, "left": left, "processes": processes,
            "said": said, "wrong": wrong, "group": self.group()}

    def group(self):
        """The name of the app's control group."""
        registry = os.stat(f"{self.run}/web")
        return f"reuseport-exec.web.{registry.st_dev}-{registry.st_ino}"

    def close(self):
        # runsv ends with this namespace's first process; the files do not.
        shutil.rmtree(self.folder, ignore_errors=True)


def play_here(binary, names):
    """In this process, which has namespaces of its own."""
    enter_network()
    case = Case(binary, *names)
    try:
        print(json.dumps(case.play()), flush=True)
    finally:
        case.close()
    os._exit(0)


def play(binary, names):
    try:
        done = subprocess.run(
            ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, __file__, binary, "--case",
             *names], capture_output=True, text=True, timeout=150)
        found = json.loads(done.stdout) if done.stdout else {"wrong": [done.stderr.strip().split("\n")[-1]]}
        # What a case has left has ended with its processes, but for their groups.
        for group in glob.glob(f"/sys/fs/cgroup/**/{found['group']}", recursive=True) if "group" in found else []:
            for part in glob.glob(f"{group}/*/") + [group]:
                try:
                    os.rmdir(part)
                except OSError:
                    pass
        return names, found
    except subprocess.TimeoutExpired:
        return names, {"wrong": ["stuck"]}


def show(names, found):
    lost = sum(found.get("lost", {}).values())
    how = ", ".join(f"{count} {why}" for why, count in sorted(found.get("lost", {}).items()))
    print("{:7} {:11} {:4} {:9} {:6}  lost {} of {}{}; listens: {}; after terminate: {}; state: {}{}".format(
        "WRONG" if found["wrong"] else "right", *names, lost, found.get("asked", 0), f" ({how})" if how else "",
        ", ".join(found.get("listening", [])) or "nobody", ", ".join(found.get("left", [])) or "nobody",
        found.get("said", "-"), "".join(f"\n        {one}" for one in found["wrong"])), flush=True)


def main(words):
    binary = os.path.abspath(words.pop(0))
    if words[:1] == ["--case"]:
        return play_here(binary, words[1:])
    jobs = int(words.pop(words.index("--jobs") + 1)) if "--jobs" in words else (os.cpu_count() or 1)
    # The kernel gives eBPF to root only.
    cases = [
        (mishap, steering, privilege, start) for mishap in MISHAPS for steering in STEERINGS
        for privilege in PRIVILEGES for start in STARTS if steering != "ebpf" or privilege == "root"]
    chosen = [word for word in words if not word.startswith("--")]
    cases = [case for case in cases if all(word in case for word in chosen)]
    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for names, found in pool.map(lambda names: play(binary, names), cases):
            show(names, found)
            wrong += bool(found["wrong"])
    print(f"{len(cases) - wrong} of {len(cases)} are right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/python3 -B
"""bench-deploy.py LAUNCHER SERVER: how long a deploy takes until all copies serve, beside a loop in a shell.

The loop starts as many copies with the plain launcher (no app) and ends when each has written that it is ready; deploy
ends when it returns. Both take turns, in a network namespace. After each turn the benchmark checks that all copies run,
and that nothing else was left behind.

The bar applies to a program that takes time to start (Node). With one that starts in a millisecond the numbers show
what probing, registering and gating cost, which the loop does not do.

The registry is on a tmpfs, as /run is. How long one start of Node takes varies by a third, in two humps, so there are
many rounds, and their middle half is averaged: a median jumps between the humps.

Environment: ROUNDS (128) with one copy, and fewer with more; COPIES (1,8,64), TARGETS (sample,node). Exit code 1 if a
bar fails.
"""
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from common import Problem, enter_network

ROUNDS = int(os.environ.get("ROUNDS", "128"))
COPIES = [int(count) for count in os.environ.get("COPIES", "1,8,64").split(",")]
TARGETS = [name for name in os.environ.get("TARGETS", "sample,node").split(",") if name]
BAR = 1.15
PORT = 8080
SOCKET = f"http:127.0.0.1:{PORT}"
MARK = f"BENCH_DEPLOY={os.getpid()}"
NODE = """
const http = require('http')
http.createServer((request, response) => response.end('ok\\n'))
  .listen({ fd: Number(process.argv[2]) }, () => console.log('ready'))
"""


def marked():
    """Finds all processes that this benchmark started, directly or not: command lines by pid."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if MARK.encode() not in file.read().split(b"\0"):
                    continue
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().split(b"\0")[:-1]
            if words:
                found[int(name)] = words
        except OSError:
            pass
    return found


def end_all():
    deadline = time.monotonic() + 20
    while left := marked():
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if time.monotonic() > deadline:
            raise Problem(f"{len(left)} processes did not end after SIGKILL")
        time.sleep(0.005)


def check(copies, command):
    """Fails unless all copies run; returns how many other processes are left."""
    found = marked()
    wanted = [word.encode() for word in command[:1]]
    others = {pid: words for pid, words in found.items() if words[: len(wanted)] != wanted}
    if len(found) - len(others) != copies:
        raise Problem(f"{len(found) - len(others)} of {copies} copies run: {found}")
    return len(others)


class Bench:
    def __init__(self, launcher, folder):
        self.launcher = launcher
        self.folder = folder
        self.environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", MARK.split("=")[0]: MARK.split("=")[1]}
        self.resident = 0

    def deploy(self, copies, command):
        registry = f"{self.folder}/run"
        shutil.rmtree(registry, ignore_errors=True)
        words = [self.launcher, "deploy", "web", "--quiet", "--run-dir", registry, "--log", f"{self.folder}/log"]
        words += ["--copies", str(copies), "--socket", SOCKET, "--"] + command
        began = time.monotonic()
        result = subprocess.run(words, env=self.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        took = time.monotonic() - began
        if result.returncode != 0:
            raise Problem(result.stderr.decode())
        self.resident += check(copies, command)
        end_all()
        return took

    def loop(self, copies, command):
        words = " ".join(f"'{word}'" for word in [self.launcher, "--socket", SOCKET, "--"] + command)
        script = f"i=0; while [ $i -lt {copies} ]; do {words} & i=$((i + 1)); done"
        reader, writer = os.pipe()
        began = time.monotonic()
        shell = subprocess.Popen(
            ["/bin/sh", "-c", script], env=self.environment, stdin=subprocess.DEVNULL, stdout=writer,
            stderr=subprocess.DEVNULL)
        os.close(writer)
        text = b""
        # The sample server writes where it listens, and then `ready`.
        while text.count(b"ready") < copies:
            piece = os.read(reader, 65536)
            if not piece:
                raise Problem("a copy of the loop has ended")
            text += piece
        took = time.monotonic() - began
        shell.wait()
        check(copies, command)
        end_all()
        os.close(reader)
        return took


def middle(times):
    """Averages the middle half."""
    times = sorted(times)
    skipped = len(times) // 4
    return statistics.mean(times[skipped : len(times) - skipped])


def main():
    launcher, server = (os.path.abspath(path) for path in sys.argv[1:3])
    enter_network()
    folder = tempfile.mkdtemp(prefix="bench-deploy-", dir="/dev/shm")
    commands = {"sample": [server, "bench"]}
    if node := shutil.which("node"):
        with open(f"{folder}/server.js", "w", encoding="ascii") as file:
            file.write(NODE)
        commands["node"] = [node, f"{folder}/server.js", "{fd:http}"]
    isGood = True
    bench = Bench(launcher, folder)
    print(f"{'program':<10} {'copies':>6} {'deploy':>10} {'loop':>10} {'ratio':>7}   (means of the middle half)")
    try:
        for name in TARGETS:
            if name not in commands:
                print(f"{name:<10} is not installed: skipped")
                continue
            for copies in COPIES:
                times = {"deploy": [], "loop": []}
                rounds = max(5, ROUNDS * 2 // (copies + 1))
                for number in range(rounds + 1):
                    pair = [("deploy", bench.deploy), ("loop", bench.loop)]
                    for which, start in pair if number % 2 else reversed(pair):
                        took = start(copies, commands[name])
                        # The first round only warms the caches.
                        if number:
                            times[which].append(took)
                ours, theirs = (middle(times[which]) * 1000 for which in ("deploy", "loop"))
                ratio = ours / theirs
                isFine = ratio <= BAR or name == "sample"
                isGood = isGood and isFine
                print(
                    f"{name:<10} {copies:>6} {ours:>7.1f} ms {theirs:>7.1f} ms {ratio:>7.2f}"
                    f"{'' if isFine else f'   above {BAR}'}", flush=True)
    finally:
        end_all()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"processes afterwards that are not copies: {bench.resident} (bar 0)")
    return 0 if isGood and bench.resident == 0 else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Problem as problem:
        sys.exit(f"bench-deploy: {problem}")

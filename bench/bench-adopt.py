#!/usr/bin/python3 -B
"""bench-adopt.py LAUNCHER LOADGENERATOR: what --pass adopt costs a server that is started with it.

Starts an unmodified Node server twice, once as it is and once with the library, and sends requests to both in turn:
over kept-alive connections, and over a new connection for each request. The pair is restarted every few rounds, because
no two processes are equally fast. The bar applies to the median of the rounds' ratios over kept-alive connections.

New connections have no bar: two servers without the library already differ by up to 3 % there.

Also shows the time of one bind(2), and of a launch of true(1).

Environment: PAIRS (8), ROUNDS (25) of each pair, SECONDS (0.2) of each turn. Exit code 1 if the bar fails.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

from common import Problem, enter_network

PAIRS = int(os.environ.get("PAIRS", "8"))
ROUNDS = int(os.environ.get("ROUNDS", "25"))
SECONDS = float(os.environ.get("SECONDS", "0.2"))
BAR = 0.99
PORTS = {"plain": 8080, "adopt": 8081}
NODE = """
require('http').createServer((request, response) => response.end('ok\\n'))
  .listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'))
"""


class Bench:
    def __init__(self, launcher, load, folder):
        self.launcher, self.load, self.folder = launcher, load, folder

    def words(self, kind, port, command):
        return [self.launcher, "--socket", f"http:127.0.0.1:{port}", "--pass", kind, "--"] + command

    def start(self, kind):
        command = [shutil.which("node"), f"{self.folder}/server.js", str(PORTS[kind])]
        if kind == "adopt":
            command = self.words("adopt", PORTS[kind], command)
        server = subprocess.Popen(command, stdout=subprocess.PIPE)
        if server.stdout.readline() != b"ready\n":
            raise Problem(f"{kind}: the server has ended")
        with open(f"/proc/{server.pid}/maps", encoding="utf-8") as maps:
            if ("reuseport-adopt.so" in maps.read()) != (kind == "adopt"):
                raise Problem(f"{kind}: the library is loaded where it should not be, or missing where it should be")
        return server

    def ask(self, kind, each):
        """Sends requests for one turn; returns how many were answered."""
        result = subprocess.run(
            [self.load, "--connections", "32", "--requests-per-connection", str(each), "--duration",
             f"{int(SECONDS * 1000)}ms", f"127.0.0.1:{PORTS[kind]}"], stdout=subprocess.PIPE, check=True)
        return json.loads(result.stdout)["requests"]

    def ratios(self):
        results = {1000000: [], 1: []}
        rates = {(kind, each): [] for kind in PORTS for each in results}
        for pair in range(PAIRS):
            order = ["plain", "adopt"] if pair % 2 else ["adopt", "plain"]
            servers = [self.start(kind) for kind in order]
            try:
                # Warms up: Node has not compiled the code before the first requests.
                for kind in order:
                    self.ask(kind, 1000000)
                for number in range(ROUNDS):
                    for each, values in results.items():
                        asked = {}
                        for kind in order if number % 2 else reversed(order):
                            asked[kind] = self.ask(kind, each)
                            rates[kind, each].append(asked[kind] / SECONDS)
                        values.append(asked["adopt"] / asked["plain"])
            finally:
                for server in servers:
                    server.kill()
                    server.wait()
        return results, rates

    def binds(self):
        """Median times of bind(2) in nanoseconds: without the library, with it and another address, and adopted."""
        program = f"{self.folder}/bind"
        times = {"plain": [], "of another address": [], "adopted": []}
        for _ in range(9):
            for name, values in times.items():
                command = [program, "2000", "8082" if name == "adopted" else "0"]
                if name != "plain":
                    command = self.words("adopt", 8082, command)
                values.append(int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout))
        return {name: statistics.median(values) for name, values in times.items()}

    def starts(self):
        """Median times of a launch in microseconds."""
        command = ["100"]
        for name, kind in (("systemd", "systemd"), ("adopt", "adopt")):
            command += [] if len(command) == 1 else [":::"]
            command += [name] + self.words(kind, 8083, [shutil.which("true")])
        output = subprocess.run(
            [f"{self.folder}/interleave"] + command, stdout=subprocess.PIPE, check=True, text=True).stdout
        return {line.split("\t")[0]: float(line.split("\t")[1]) for line in output.splitlines()}


def compile_tools(folder):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise Problem("no C compiler")
    for name in ("bind", "interleave"):
        source = f"{os.path.dirname(os.path.abspath(__file__))}/{name}.c"
        subprocess.run([compiler, "-O2", "-o", f"{folder}/{name}", source, "-lm"], check=True)


def main():
    launcher, load = (os.path.abspath(path) for path in sys.argv[1:3])
    if not shutil.which("node"):
        raise Problem("node is not installed")
    enter_network()
    folder = tempfile.mkdtemp(prefix="bench-adopt-")
    try:
        compile_tools(folder)
        with open(f"{folder}/server.js", "w", encoding="ascii") as file:
            file.write(NODE)
        bench = Bench(launcher, load, folder)
        binds, starts = bench.binds(), bench.starts()
        results, rates = bench.ratios()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{'Node, requests per second':<34} {'plain':>9} {'adopt':>9} {'ratio':>7}   "
          f"(medians of {PAIRS * ROUNDS} interleaved rounds)")
    for each, name in ((1000000, "kept-alive connections"), (1, "a new connection for each")):
        plain, adopt = (statistics.median(rates[kind, each]) for kind in ("plain", "adopt"))
        print(f"{name:<34} {plain:>9.0f} {adopt:>9.0f} {statistics.median(results[each]):>7.3f}")
    print(f"\n{'one bind(2)':<34} " + ", ".join(f"{name} {time / 1000:.1f} us" for name, time in binds.items()))
    print(f"{'a launch of true':<34} " + ", ".join(f"--pass {name} {time:.0f} us" for name, time in starts.items()))
    ratio = statistics.median(results[1000000])
    isFine = ratio >= BAR
    print(f"\n{'pass' if isFine else 'FAIL'}  kept-alive connections: at least {BAR} of the requests: {ratio:.3f}")
    return 0 if isFine else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Problem, subprocess.CalledProcessError) as problem:
        sys.exit(f"bench-adopt: {problem}")

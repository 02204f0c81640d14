#!/usr/bin/python3 -B
"""bench-handoff.py LAUNCHER SERVER CLIENT: what a handoff costs the clients, with our launcher and with other tools.

Each contender serves a closed loop of clients, with a new connection for each request, while its program is replaced
again and again. Every request is recorded. Requests that overlap a handoff, from its beginning until the old process
has gone, are evaluated apart from the rest. As root each contender runs in its own network namespace, and all are
measured; an ordinary user sees less.

Environment: HANDOFFS (100), SLOW_HANDOFFS (10), BOOT_MS (2000), CONNECTIONS (64), PAUSE_MS (100, between handoffs, or
BOOT_MS if that is longer), ROUNDS (60, of the comparison of connections per second), COPIES (64), ONLY (names of
contenders, separated by ";").
Exit code 1 if a bar fails.
"""
import array
import bisect
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

from common import Problem, enter_network

HANDOFFS = int(os.environ.get("HANDOFFS", "100"))
SLOW_HANDOFFS = int(os.environ.get("SLOW_HANDOFFS", "10"))
BOOT_MS = int(os.environ.get("BOOT_MS", "2000"))
CONNECTIONS = int(os.environ.get("CONNECTIONS", "64"))
PAUSE = int(os.environ.get("PAUSE_MS", "100")) / 1000
ROUNDS = int(os.environ.get("ROUNDS", "60"))
COPIES = int(os.environ.get("COPIES", "64"))
ONLY = [name for name in os.environ.get("ONLY", "").split(";") if name]
PATIENCE = 40
NOBODY = 65534
PORT = 8080
ADDRESS = f"127.0.0.1:{PORT}"
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
IS_ROOT = os.geteuid() == 0


def microseconds():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def wait_until(what, condition, patience=PATIENCE):
    """Polls until the condition holds, where there is no descriptor to wait on."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise Problem(f"timed out waiting for {what}")
        time.sleep(0.001)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Place:
    """A folder with copies of the programs that an ordinary user may run."""

    def __init__(self, launcher, server, client):
        self.folder = tempfile.mkdtemp(prefix="bench-handoff.")
        os.chmod(self.folder, 0o755)
        self.launcher = self.copy(launcher, "reuseport-exec")
        self.server = self.copy(server, "sample-server")
        self.client = self.copy(client, "load-generator")

    def copy(self, path, name):
        copy = f"{self.folder}/{name}"
        shutil.copy(path, copy)
        os.chmod(copy, 0o755)
        return copy

    def write(self, name, text, mode=0o644):
        path = f"{self.folder}/{name}"
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        return path


class Handoff:
    """When a handoff began, when the old processes had gone, and their pids."""

    def __init__(self, old):
        self.start = microseconds()
        self.end = None
        self.old = set(map(str, old))
        # Times that the launcher's coordinator wrote, by name.
        self.moments = {}


class Contender:
    """A way to replace a running program."""
    name = ""
    boots = True
    settings = {}
    needs_root = False
    tool = None

    def __init__(self, place, boot_ms):
        self.place = place
        self.boot_ms = boot_ms
        self.processes = []
        self.number = 0

    def spawn(self, words, user=None, **options):
        environment = {"PATH": SEARCH, "LANG": "C.UTF-8", "SAMPLE_BOOT_MS": str(self.boot_ms)}
        options.setdefault("stderr", subprocess.STDOUT)
        as_user = {"user": user, "group": user, "extra_groups": []} if user and IS_ROOT else {}
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment, start_new_session=True,
            **as_user, **options)
        self.processes.append(process)
        return process

    @staticmethod
    def wait_for_line(process, word):
        """Reads lines of the output up to one that contains `word`, and returns them."""
        lines = []
        for line in process.stdout:
            lines.append(line.decode(errors="replace"))
            if word in lines[-1]:
                return lines
        raise Problem(f"{process.args[0]} ended: {''.join(lines[-5:])}")

    @staticmethod
    def wait_for_end(process):
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Problem(f"{process.args[0]} did not end: pid {process.pid}") from None

    def label(self):
        self.number += 1
        return str(self.number)

    def begin(self):
        """Starts the first process, and returns when it serves."""
        raise NotImplementedError

    def replace(self):
        """Replaces the process; returns the handoff when the old one has gone."""
        raise NotImplementedError

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            process.wait()
            if process.stdout:
                process.stdout.close()


class Ours(Contender):
    """The launcher with --app. Its coordinator writes a line `at N us: ...` for each moment, because of --debug."""
    moment = re.compile(r"at (\d+) us: (.*)")
    moments = [
        ("ready", re.compile(r"is ready")), ("cutover", re.compile(r"took over")),
        ("stop", re.compile(r"told to stop")), ("gone", re.compile(r"has gone|has closed")),
    ]
    options = []
    user = None
    copies = 1

    def begin(self):
        self.live = self.start()
        for process in self.live:
            self.wait_for_line(process, "the handoff is over")

    def start(self):
        label = self.label()
        home = f"{self.place.folder}/home"
        if not os.path.isdir(home):
            os.mkdir(home, 0o755)
            if self.user and IS_ROOT:
                os.chown(home, self.user, self.user)
        words = [self.place.launcher, "--app", "bench", "--run-dir", f"{home}/run", "--generation", label, "--debug",
                 "--socket", f"http:{ADDRESS}", "--copies", str(self.copies)] + self.options
        return [self.spawn(words + ["--copy", str(copy), "--", self.place.server, label], self.user)
                for copy in range(self.copies)]

    def replace(self):
        handoff = Handoff(process.pid for process in self.live)
        new = self.start()
        for process in new:
            for line in self.wait_for_line(process, "the handoff is over"):
                found = self.moment.search(line)
                for name, pattern in self.moments:
                    if found and pattern.search(found.group(2)):
                        # Of several copies, the last counts.
                        handoff.moments[name] = max(handoff.moments.get(name, 0), int(found.group(1)))
        for process in self.live:
            self.wait_for_end(process)
        handoff.end = microseconds()
        self.live = new
        return handoff


class EBPF(Ours):
    name = "ebpf"
    options = ["--steering", "ebpf", "--user", "nobody"]
    needs_root = True


class EBPFMany(EBPF):
    name = f"ebpf, {COPIES} copies"
    copies = COPIES
    boots = False


class CBPF(Ours):
    name = "cbpf"
    options = ["--steering", "cbpf"]
    user = NOBODY


class Plain(Contender):
    name = "plain"

    def begin(self):
        self.live = self.start()

    def start(self):
        label = self.label()
        words = [self.place.launcher, "--socket", f"http:{ADDRESS}"] + (["--user", "nobody"] if IS_ROOT else [])
        process = self.spawn(words + ["--", self.place.server, label])
        self.wait_for_line(process, "ready")
        return process

    def replace(self):
        handoff = Handoff([self.live.pid])
        new = self.start()
        self.live.terminate()
        self.wait_for_end(self.live)
        handoff.end = microseconds()
        self.live = new
        return handoff


class PlainMigrating(Plain):
    name = "plain+migrate_req"
    settings = {"tcp_migrate_req": "1"}
    needs_root = True


class StartServer(Contender):
    name = "start_server"
    tool = "start_server"

    def begin(self):
        script = self.place.write(
            "worker",
            "#!/bin/sh\neval exec \"3<&${SERVER_STARTER_PORT##*=}\"\n"
            f"export LISTEN_PID=$$ LISTEN_FDS=1\nexec {self.place.server} $$\n", 0o755)
        self.process = self.spawn([shutil.which(self.tool, path=SEARCH), f"--port={ADDRESS}", "--", script])
        self.live = self.next_pid()

    def next_pid(self):
        return int(self.wait_for_line(self.process, "ready ")[-1].split()[2])

    def replace(self):
        handoff = Handoff([self.live])
        self.process.send_signal(signal.SIGHUP)
        new = self.next_pid()
        wait_until("the old worker to go", lambda: not is_running(self.live))
        handoff.end = microseconds()
        self.live = new
        return handoff


class HAProxy(Contender):
    name = "haproxy -x -sf"
    tool = "haproxy"
    boots = False

    def begin(self):
        self.socket = f"{self.place.folder}/haproxy.sock"
        self.configuration = self.place.write("haproxy.cfg", f"""
global
    stats socket {self.socket} level admin expose-fd listeners
defaults
    mode http
    timeout client 30s
    timeout connect 30s
    timeout server 30s
frontend web
    bind {ADDRESS}
    http-request return status 200 content-type text/plain lf-string "label: haproxy\\npid: %pid\\n"
""")
        self.live = self.start([])
        wait_until("haproxy", lambda: os.path.exists(self.socket) and answers())

    def start(self, words):
        return self.spawn([shutil.which(self.tool, path=SEARCH), "-db", "-f", self.configuration] + words)

    def replace(self):
        handoff = Handoff([self.live.pid])
        new = self.start(["-x", self.socket, "-sf", str(self.live.pid)])
        self.wait_for_end(self.live)
        handoff.end = microseconds()
        self.live = new
        return handoff


class Nginx(Contender):
    name = "nginx reload"
    tool = "nginx"
    boots = False

    def begin(self):
        folder = f"{self.place.folder}/nginx"
        os.mkdir(folder, 0o777)
        os.chmod(folder, 0o777)
        temporary = "".join(f"{name}_temp_path {folder}/{name}; "
                            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        configuration = self.place.write("nginx.conf", f"""
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off; {temporary}
    server {{ listen {ADDRESS} backlog=4096; return 200 "label: nginx\\npid: $pid\\n"; }}
}}
""")
        self.process = self.spawn([shutil.which(self.tool, path=SEARCH), "-e", "stderr", "-c", configuration])
        wait_until("nginx", lambda: self.workers() and answers())

    def workers(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            return {int(word) for word in file.read().split() if is_running(word)}

    def replace(self):
        old = self.workers()
        handoff = Handoff(old)
        self.process.send_signal(signal.SIGHUP)
        wait_until("the old workers to go", lambda: not old & self.workers())
        handoff.end = microseconds()
        return handoff


def answers():
    try:
        with socket.create_connection(("127.0.0.1", PORT), 1) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return client.recv(100).startswith(b"HTTP/1.")
    except OSError:
        return False


class Load:
    def __init__(self, place, name="record"):
        self.record = f"{place.folder}/{name}"
        self.process = subprocess.Popen(
            [place.client, "--connections", str(CONNECTIONS), "--path", "/brief", "--record", self.record,
             "--duration", "7200s", "--timeout", "20s", ADDRESS], stdout=subprocess.PIPE)
        wait_until("the first answers", lambda: os.path.exists(self.record) and os.path.getsize(self.record) > 0)

    def stop(self):
        self.process.terminate()
        output, _ = self.process.communicate(timeout=PATIENCE)
        return json.loads(output)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def quantiles(values):
    if not values:
        return [None] * 3
    values = sorted(values)
    return [values[min(len(values) - 1, int(len(values) * part))] / 1000 for part in (0.5, 0.99, 0.999)]


def evaluate(record, handoffs):
    """Returns latencies inside and outside of handoffs, and when the last request to each old process began."""
    starts = [handoff.start for handoff in handoffs]
    inside, outside = array.array("q"), array.array("q")
    last_old = [0] * len(handoffs)
    with open(record) as file:
        for line in file:
            start, latency, outcome, pid = line.split()
            if outcome != "ok":
                continue
            start, latency = int(start), int(latency)
            # The last handoff that began before the answer came.
            index = bisect.bisect_right(starts, start + latency) - 1
            if index >= 0 and start <= handoffs[index].end:
                inside.append(latency)
                if pid in handoffs[index].old and start > last_old[index]:
                    last_old[index] = start
            else:
                outside.append(latency)
    switched = [max(0, last - handoff.start) for last, handoff in zip(last_old, handoffs)]
    return inside, outside, switched


def middle(values):
    values = sorted(values)
    return values[len(values) // 2] / 1000 if values else None


def run(kind, place, boot_ms, count):
    """Measures one contender under load; returns the results as a dictionary."""
    enter_network(kind.settings)
    contender = kind(place, boot_ms)
    # As long as a handoff: the rarest latencies of a shorter time tell nothing.
    pause = max(PAUSE, boot_ms / 1000)
    load = None
    try:
        contender.begin()
        load = Load(place)
        time.sleep(pause)
        handoffs = []
        for _ in range(count):
            handoffs.append(contender.replace())
            time.sleep(pause)
        summary = load.stop()
    finally:
        if load:
            load.kill()
        contender.end()
    inside, outside, switched = evaluate(load.record, handoffs)
    shares = {}
    for name, first, second in [("ready to cutover", "ready", "cutover"), ("cutover to stop", "cutover", "stop")]:
        spans = [handoff.moments[second] - handoff.moments[first] for handoff in handoffs
                 if first in handoff.moments and second in handoff.moments]
        if spans:
            shares[name] = [middle(spans), max(spans) / 1000]
    return {
        "handoffs": len(handoffs), "requests": summary["requests"], "lost": summary["lost"],
        "first_loss": summary.get("first_loss"), "per_second": summary["per_second"],
        "inside": quantiles(inside), "outside": quantiles(outside), "longest": max(inside, default=0) / 1000,
        "switched": middle(switched), "gone": middle([handoff.end - handoff.start for handoff in handoffs]),
        "shares": shares,
    }


def compare_rates(kinds, place):
    """Compares connections per second: the ratio of each to the first, as the median of many short rounds."""
    global PORT, ADDRESS
    enter_network({})
    contenders = []
    try:
        for index, kind in enumerate(kinds):
            PORT = 8080 + index
            ADDRESS = f"127.0.0.1:{PORT}"
            contender = kind(Place(place.launcher, place.server, place.client), 0)
            contender.begin()
            contenders.append((contender, ADDRESS))

        def rate(address):
            output = subprocess.run(
                [place.client, "--connections", str(CONNECTIONS), "--path", "/brief", "--duration", "300ms", address],
                stdout=subprocess.PIPE, check=True).stdout
            return json.loads(output)["per_second"]

        rates = [[] for _ in contenders]
        for number in range(ROUNDS + 1):
            # Alternates the order, so that none is always first.
            order = list(enumerate(contenders))
            for index, (_, address) in order if number % 2 else reversed(order):
                value = rate(address)
                if number > 0:
                    rates[index].append(value)
    finally:
        for contender, _ in contenders:
            contender.end()
            shutil.rmtree(contender.place.folder, ignore_errors=True)
    result = {}
    for kind, own in zip(kinds, rates):
        ratios = sorted(one / first for one, first in zip(own, rates[0]))
        result[kind.name] = {"per_second": sorted(own)[len(own) // 2], "ratio": ratios[len(ratios) // 2]}
    return result


def in_child(body, *arguments):
    """Calls `body` in a child process, which may enter another network namespace; returns its result."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reader)
            with os.fdopen(writer, "w") as file:
                json.dump(body(*arguments), file)
            code = 0
        except Problem as problem:
            print(f"bench-handoff: {problem}", file=sys.stderr)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    _, status = os.waitpid(child, 0)
    return json.loads(text) if status == 0 else None


class Report:
    def __init__(self):
        self.has_failed = False

    def judge(self, name, passed, detail):
        print(f"{'pass' if passed else 'FAIL'}  {name:<58} {detail}")
        self.has_failed |= not passed


def number(value, digits=1):
    return "-" if value is None else f"{value:.{digits}f}"


def table(title, results):
    print(f"\n{title}\n")
    print(f"{'':<22}{'hand-':>6}{'requests':>10}{'':>7}{'outside, ms':^24}{'in handoffs, ms':^32}{'cut-':>8}{'old':>8}")
    print(f"{'':<22}{'offs':>6}{'':>10}{'lost':>7}" + f"{'p50':>8}{'p99':>8}{'p99.9':>8}" * 2
          + f"{'longest':>8}{'over':>8}{'gone':>8}")
    for name, result in results.items():
        if result is None:
            print(f"{name:<22} failed")
            continue
        print(f"{name:<22}{result['handoffs']:>6}{result['requests']:>10}{result['lost']:>7}"
              + "".join(f"{number(value, 2):>8}" for value in result["outside"] + result["inside"])
              + f"{number(result['longest'], 0):>8}{number(result['switched'], 0):>8}{number(result['gone'], 0):>8}")


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: bench-handoff.py LAUNCHER SERVER CLIENT")
    place = Place(*sys.argv[1:])
    try:
        sys.exit(bench(place))
    finally:
        shutil.rmtree(place.folder, ignore_errors=True)


def bench(place):
    report = Report()

    def measure(kinds, boot_ms, count):
        results = {}
        for kind in kinds:
            if ONLY and kind.name not in ONLY:
                continue
            if kind.needs_root and not IS_ROOT:
                print(f"bench-handoff: {kind.name}: skipped, needs root", file=sys.stderr)
                continue
            if kind.tool and not shutil.which(kind.tool, path=SEARCH):
                print(f"bench-handoff: {kind.name}: skipped, {kind.tool} is not installed", file=sys.stderr)
                continue
            own = Place(place.launcher, place.server, place.client)
            try:
                results[kind.name] = in_child(run, kind, own, boot_ms, count)
            finally:
                shutil.rmtree(own.folder, ignore_errors=True)
        return results

    kinds = [EBPF, CBPF, Plain, PlainMigrating, StartServer, HAProxy, Nginx]
    print(f"{CONNECTIONS} clients in a closed loop, a new connection for each request")
    print("cut-over: median ms from the beginning of a handoff to the last request that the old process got")
    print("old gone: median ms from the beginning of a handoff to the end of the old process")
    quick = measure(kinds, 0, HANDOFFS)
    table("A program that serves at once", quick)
    slow = measure([kind for kind in kinds if kind.boots], BOOT_MS, SLOW_HANDOFFS)
    table(f"A program that needs {BOOT_MS} ms to start", slow)
    many = measure([EBPFMany], 0, max(3, HANDOFFS // 10))
    if many:
        table("Many copies", many)

    print("\nWhat the launcher itself adds to a handoff, ms\n")
    for name, result in {**quick, **many}.items():
        for share, (median, longest) in (result["shares"] if result else {}).items():
            print(f"{name:<22} {share:<20} median {median:7.2f}  longest {longest:7.2f}")

    with_programs = [kind for kind in [Plain, EBPF, CBPF] if not kind.needs_root or IS_ROOT]
    rates = in_child(compare_rates, with_programs, place) if not ONLY else {}
    print("\nConnections per second, and the ratio to a listener without a BPF program\n")
    for name, rate in (rates or {}).items():
        print(f"{name:<22} {rate['per_second']:>8}  {rate['ratio']:.3f}")

    print()
    for kind in [EBPF, CBPF]:
        for title, results in [("quick", quick), ("slow", slow)]:
            if kind.name not in results:
                continue
            result = results[kind.name]
            name = f"{kind.name}, {title} program"
            if result is None:
                report.judge(name, False, "the run failed")
                continue
            report.judge(f"{name}: nothing lost", result["lost"] == 0, f"{result['lost']} {result['first_loss'] or ''}")
            ratio = result["inside"][2] / result["outside"][2] if result["outside"][2] and result["inside"][2] else 99
            report.judge(f"{name}: p99.9 in handoffs <= 1.5 x outside", ratio <= 1.5, f"{ratio:.2f}")
        settle = 200 if kind is CBPF else 0
        if quick.get(kind.name):
            for share, (median, _) in quick[kind.name]["shares"].items():
                own = median - (settle if share == "cutover to stop" else 0)
                extra = f" beyond the {settle} ms to settle" if settle and share == "cutover to stop" else ""
                report.judge(f"{kind.name}: {share} <= 50 ms{extra}", own <= 50, f"{own:.1f}")
        if rates and kind.name in rates:
            report.judge(
                f"{kind.name}: the BPF program costs <= 2 % of connections", rates[kind.name]["ratio"] >= 0.98,
                f"{100 - 100 * rates[kind.name]['ratio']:.1f} %")
    for name, result in many.items():
        report.judge(f"{name}: nothing lost", bool(result) and result["lost"] == 0, result["lost"] if result else "-")
        for share, (median, _) in (result["shares"] if result else {}).items():
            report.judge(f"{name}: {share} <= 150 ms", median <= 150, f"{median:.1f}")
    return 1 if report.has_failed else 0


main()

"""half_open.py HOST PORT COUNT: clients that leave their handshake unfinished in the server's SYN queue.

They connect, and on SIGUSR1 they ask. Prints a line `open` when all are in the queue, and `answered N` at the end.
"""
import signal
import socket
import sys
import time

SYN_RECEIVED = "03"


def queued(port):
    count = 0
    with open("/proc/thread-self/net/tcp") as table:
        next(table)
        for line in table:
            fields = line.split()
            count += fields[3] == SYN_RECEIVED and int(fields[1].split(":")[1], 16) == port
    return count


host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
clients = [socket.create_connection((host, port), timeout=20) for _ in range(count)]
deadline = time.monotonic() + 20
while queued(port) < count:
    if time.monotonic() > deadline:
        raise SystemExit(f"only {queued(port)} of {count} are in the SYN queue")
    time.sleep(0.01)
print("open", flush=True)
signal.sigwait({signal.SIGUSR1})
for client in clients:
    try:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    except OSError:
        pass
answered = 0
deadline = time.monotonic() + 20
for client in clients:
    client.settimeout(max(0.01, deadline - time.monotonic()))
    try:
        answered += client.recv(65536).startswith(b"HTTP/1.1 200 ")
    except OSError:
        pass
print("answered", answered)

"""forking.py FD: a parent that forks three workers, each of which accepts on the inherited descriptor."""
import os
import signal
import socket
import sys

listener = socket.socket(fileno=int(sys.argv[1]))
workers = []


def stop(*_):
    for worker in workers:
        os.kill(worker, signal.SIGTERM)


def work():
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    listener.settimeout(0.05)
    while not stopping:
        try:
            connection, _ = listener.accept()
        except (socket.timeout, InterruptedError):
            continue
        with connection:
            connection.settimeout(5)
            try:
                connection.recv(4096)
                body = f"label: forking\npid: {os.getpid()}\n".encode()
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
                connection.sendall(head + body)
            except OSError:
                pass


for _ in range(3):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    workers.append(pid)
signal.signal(signal.SIGTERM, stop)
for _ in workers:
    os.wait()

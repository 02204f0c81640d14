"""heir.py KIND FD LABEL: a server whose process and listener part. TERM closes the listener and ends it.

leak: it has started a process that holds the listener, and never accepts.
parcel: its listener is in a message that nobody takes, and that goes 0.3 s after it, as what an io_uring holds does.
successor: another process of it serves, as after it has executed itself anew; the first one only waits.
daemon: it has put itself into the background.
late: so has it, and whoever of it is told to stop leaves that to a child, which stops at the second signal.
thread: its first thread has ended; the others do so half a second after a request for /end.
deaf: USR1 closes the listener, and it goes on.
"""
import ctypes
import os
import platform
import select
import signal
import socket
import subprocess
import sys
import threading
import time

kind, number, label = sys.argv[1:]
listener = socket.socket(fileno=int(number))


def answer(connection):
    with connection:
        connection.settimeout(5)
        try:
            request = connection.recv(4096)
            body = f"label: {label}\npid: {os.getpid()}\n".encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
            connection.sendall(head + body)
            if b" /end " in request:
                time.sleep(0.5)
                os._exit(0)
        except OSError:
            pass


def serve():
    listener.settimeout(0.02)
    while listener.fileno() >= 0:
        try:
            connection, _ = listener.accept()
        except (socket.timeout, OSError):
            continue
        answer(connection)


if kind == "leak":
    subprocess.Popen(["sleep", "1000"], close_fds=False)
if kind == "parcel":
    near, far = socket.socketpair()
    if os.fork() == 0:
        listener.close()
        near.close()
        end = select.poll()
        end.register(far, 0)
        end.poll()
        time.sleep(0.3)
        os._exit(0)
    far.close()
    socket.send_fds(near, [b"x"], [listener.fileno()])
if kind == "successor" and os.fork():
    while True:
        signal.pause()
if kind in ("daemon", "late"):
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
if kind == "thread":
    threading.Thread(target=serve).start()
    # Only the thread: SYS_exit.
    ctypes.CDLL(None).syscall(93 if platform.machine() == "aarch64" else 60, 0)
if kind == "late":
    def leave(*_):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.fork():
            os._exit(0)
        while True:
            signal.pause()
    signal.signal(signal.SIGTERM, leave)
    serve()
signal.signal(signal.SIGTERM, signal.SIG_IGN if label == "deaf" else lambda *_: listener.close())
if kind == "deaf":
    signal.signal(signal.SIGUSR1, lambda *_: listener.close())
serve()
while kind == "deaf":
    time.sleep(1)

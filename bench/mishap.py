"""mishap.py LABEL [KIND]: a small HTTP server on descriptor 3 to which something happens, for matrix.py.

It answers with its label, and ends by itself on TERM, when it has answered what it has accepted.
"""
import ctypes
import os
import select
import signal
import socket
import struct
import sys
import threading
import time

label, kind = sys.argv[1], (sys.argv + [""])[2]
told, serves = os.pipe(), os.pipe()


def serve(name):
    """Until a byte comes through `told`."""
    listener = socket.socket(fileno=3)
    listener.setblocking(False)
    clients = []
    while not select.select([told[0], listener], [], [])[0].count(told[0]):
        try:
            client = listener.accept()[0]
        except OSError:
            continue
        clients.append(threading.Thread(target=answer, args=(client, name), daemon=True))
        clients[-1].start()
    os.close(listener.detach())
    for client in clients:
        client.join(5)


def answer(client, name):
    client.settimeout(5)
    try:
        if client.recv(4096):
            time.sleep(0.005)
            client.sendall(b"HTTP/1.0 200 OK\r\n\r\n%s %d\n" % (name.encode(), os.getpid()))
    except OSError:
        pass
    client.close()


def detach():
    """A process that is nobody's child."""
    if os.fork():
        return False
    os.setsid()
    if os.fork():
        os._exit(0)
    return True


def take_back():
    """What a hostile heir does when its parent has gone: everything but let the listener go."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    os.close(serves[1])
    os.read(serves[0], 1)
    listener = socket.socket(fileno=os.dup(3))
    first = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))  # always the first of the group
    program = struct.pack("HxxxxxxQ", 1, ctypes.addressof(first))
    reuseport, attach_cbpf = 15, 51
    listener.setblocking(False)
    while True:
        for option, value in ((attach_cbpf, program), (reuseport, 0)):
            try:
                listener.setsockopt(socket.SOL_SOCKET, option, value)
            except OSError:
                pass
        try:
            listener.listen(64)
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0], "heir"), daemon=True).start()
        except OSError:
            time.sleep(0.01)


def replace(*_):
    """Starts the program again on the same listener, and ends when the other one is about to serve."""
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, *sys.argv[:2], "again"])
    time.sleep(0.3)
    os.write(told[1], b"x")


os.set_inheritable(3, True)
if kind == "crash":
    time.sleep(0.1)
    sys.exit(3)
if kind == "hang":
    while True:
        signal.pause()
if kind in ("daemonize", "double-fork"):
    parent = os.pidfd_open(os.getpid())
    if os.fork() if kind == "daemonize" else not detach():
        os._exit(0)
    # Else it might answer the probe before its parent ends, on a busy machine.
    select.select([parent], [], [])
    os.close(parent)
if kind == "daemonize":
    os.setsid()
if kind == "leak" and os.fork() == 0:
    os.execv("/bin/sleep", ["sleep", "1000"])
if kind == "heir" and os.fork() == 0:
    if detach():
        take_back()
    os._exit(0)
os.close(serves[0])
signal.signal(signal.SIGUSR2, replace)
signal.signal(signal.SIGTERM, lambda *_: os.write(told[1], b"x"))
serve(label)

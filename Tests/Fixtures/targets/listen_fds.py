"""A server written for the LISTEN_* contract: every inherited socket, by its name, until it is ended.

Each connection or datagram is answered with one line: name, pid, uid, and what was received.
"""
import os
import selectors
import socket

if os.environ.pop("LISTEN_PID") != str(os.getpid()):
    raise SystemExit("the descriptors are another process's")
count = int(os.environ.pop("LISTEN_FDS"))
names = os.environ.pop("LISTEN_FDNAMES").split(":")
assert len(names) == count

selector = selectors.DefaultSelector()
for number, name in enumerate(names, 3):
    inherited = socket.socket(fileno=number)
    inherited.setblocking(False)
    selector.register(inherited, selectors.EVENT_READ, name)

while True:
    for key, _ in selector.select():
        if key.fileobj.type == socket.SOCK_DGRAM:
            data, peer = key.fileobj.recvfrom(65536)
            key.fileobj.sendto(f"{key.data} {os.getpid()} {os.getuid()} {data.decode()}".encode(), peer)
        else:
            connection, _ = key.fileobj.accept()
            with connection:
                connection.setblocking(True)
                data = connection.recv(65536)
                connection.sendall(f"{key.data} {os.getpid()} {os.getuid()} {data.decode()}".encode())

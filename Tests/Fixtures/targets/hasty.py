"""hasty.py FD LABEL [SECONDS]: takes connections at once, and reads them 1 s later, or as much as is said.

SIGTERM ends it, and what it has not read by then is dropped: as by servers that take a connection without a request
for an idle one.
"""
import heapq
import os
import select
import signal
import socket
import sys
import time

LATER = float(sys.argv[3]) if len(sys.argv) > 3 else 1

listener = socket.socket(fileno=int(sys.argv[1]))
listener.setblocking(False)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("ready", sys.argv[2], os.getpid(), flush=True)

body = f"label: {sys.argv[2]}\npid: {os.getpid()}\n".encode()
answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
waiting = []
while True:
    pause = max(0, waiting[0][0] - time.monotonic()) if waiting else None
    if select.select([listener], [], [], pause)[0]:
        try:
            connection, _ = listener.accept()
            heapq.heappush(waiting, (time.monotonic() + LATER, id(connection), connection))
        except BlockingIOError:
            pass
    while waiting and waiting[0][0] <= time.monotonic():
        with heapq.heappop(waiting)[2] as connection:
            connection.settimeout(5)
            try:
                connection.recv(65536)
                connection.sendall(answer)
            except OSError:
                # A probe, which says nothing.
                pass

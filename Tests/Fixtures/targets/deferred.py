"""deferred.py FD LABEL: an HTTP server whose listener takes no connection before its request is there.

TCP_DEFER_ACCEPT leaves connections in the SYN queue until then. SIGTERM closes the listener.
"""
import os
import selectors
import signal
import socket
import sys

DEFER_SECONDS = 60

listener = socket.socket(fileno=int(sys.argv[1]))
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, DEFER_SECONDS)
listener.setblocking(False)
wake, waker = socket.socketpair()
waker.setblocking(False)
signal.set_wakeup_fd(waker.fileno())
signal.signal(signal.SIGTERM, lambda number, frame: None)
selector = selectors.DefaultSelector()
selector.register(listener, selectors.EVENT_READ)
selector.register(wake, selectors.EVENT_READ)
print("ready", sys.argv[2], os.getpid(), flush=True)

body = f"label: {sys.argv[2]}\npid: {os.getpid()}\n".encode()
answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
while True:
    ready = [key.fileobj for key, _ in selector.select()]
    if wake in ready:
        raise SystemExit(0)
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        continue
    with connection:
        connection.setblocking(True)
        connection.recv(65536)
        connection.sendall(answer)

"""einhorn.py LABEL: a worker written for einhorn: descriptors by number, SIGUSR2 to end, and an ACK.

The ACK goes to the master's socket if there is one, and is a newline on 9 otherwise.
"""
import os
import select
import signal
import socket
import sys

count = int(os.environ["EINHORN_FD_COUNT"])
listeners = [socket.socket(fileno=int(os.environ[f"EINHORN_FD_{number}"])) for number in range(count)]
wake, signaled = os.pipe()
for descriptor in (wake, signaled):
    os.set_blocking(descriptor, False)
signal.set_wakeup_fd(signaled)
signal.signal(signal.SIGUSR2, lambda *_: None)
if "EINHORN_SOCK_PATH" in os.environ:
    if int(os.environ["EINHORN_MASTER_PID"]) != os.getppid():
        sys.exit("this is not a worker")
    with socket.socket(socket.AF_UNIX) as master:
        master.connect(os.environ["EINHORN_SOCK_PATH"])
        master.sendall(b'{"command": "worker:ack", "pid": %d}\n' % os.getpid())
else:
    os.write(9, b"\n")
    os.close(9)

while True:
    ready, _, _ = select.select([wake, *listeners], [], [])
    if wake in ready:
        break
    for listener in ready:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            try:
                connection.recv(4096)
                body = f"label: {sys.argv[1]}\npid: {os.getpid()}\n".encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            except OSError:
                pass

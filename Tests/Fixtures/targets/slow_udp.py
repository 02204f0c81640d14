"""slow_udp.py FD LABEL: answers a datagram each 5 ms. SIGTERM ends it behind that, with all that it has not read."""
import os
import select
import signal
import socket
import sys
import time

server = socket.socket(fileno=int(sys.argv[1]))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("ready", sys.argv[2], os.getpid(), flush=True)
while not signal.sigtimedwait([signal.SIGTERM], 0):
    if select.select([server], [], [], 0.02)[0]:
        content, client = server.recvfrom(2048)
        time.sleep(0.005)
        server.sendto(content, client)

"""slow_udp.py FD LABEL: answers a datagram each 5 ms. SIGTERM ends it at once, with all that it has not read."""
import os
import socket
import sys
import time

server = socket.socket(fileno=int(sys.argv[1]))
print("ready", sys.argv[2], os.getpid(), flush=True)
while True:
    content, client = server.recvfrom(2048)
    time.sleep(0.005)
    server.sendto(content, client)

"""datagrams.py HOST PORT COUNT: sends so many datagrams at once, and tells how many were answered."""
import socket
import sys

host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(3)
for number in range(count):
    client.sendto(b"%d" % number, (host, port))
print("sent", flush=True)
answered = set()
try:
    while len(answered) < count:
        answered.add(client.recv(2048))
except (TimeoutError, ConnectionRefusedError):
    pass
print("answered", len(answered))

"""An inetd service of the "wait" kind: the listener is standard input."""
import os
import socket

listener = socket.socket(fileno=0)
while True:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(f"inetd {os.getpid()} {connection.recv(65536).decode()}".encode())

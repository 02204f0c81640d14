"""A minimal HTTP server on an inherited Unix socket, whose number is the argument."""
import os
import socket
import sys

listener = socket.socket(fileno=int(sys.argv[1]))
while True:
    connection, _ = listener.accept()
    with connection:
        request = connection.recv(65536).decode().split(" ")
        body = f"unix {os.getpid()} {request[1]}".encode()
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

"""careless.py FD LABEL [SECONDS]: a server without a handler for SIGTERM, with a thread for each connection.

An answer takes a second, or as long as is said.
"""
import http.server
import os
import socket
import sys
import time

LATER = float(sys.argv[3]) if len(sys.argv) > 3 else 1


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(LATER)
        body = f"label: {sys.argv[2]}\npid: {os.getpid()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "client"

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def server_bind(self):
        pass

    def server_activate(self):
        pass


server = Server(None, Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=int(sys.argv[1]))
print("ready", sys.argv[2], os.getpid(), flush=True)
server.serve_forever()

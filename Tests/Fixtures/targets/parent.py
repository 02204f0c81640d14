"""parent.py FD LABEL: a threaded server that starts a child before it serves, which inherits the listener.

SIGTERM closes the listener; what is asked for under /slow is answered after 2 s, also then.
"""
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            print("slow", flush=True)
            time.sleep(2)
        body = f"label: {sys.argv[2]}\npid: {os.getpid()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, number):
        http.server.ThreadingHTTPServer.__init__(self, ("", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(fileno=number)


child = subprocess.Popen(["sleep", "1000"], close_fds=False)
server = Server(int(sys.argv[1]))
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print("ready", sys.argv[2], os.getpid(), flush=True)
server.serve_forever(0.01)
server.server_close()

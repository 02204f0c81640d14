"""reload.py PORT LABEL: a server that on SIGHUP closes its listener, reads its configuration, and binds again.

On SIGTERM it closes its listener and finishes. It has a thread for each connection, and waits for all of them.
"""
import http.server
import os
import signal
import sys
import threading

port, label = int(sys.argv[1]), sys.argv[2]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"label: {label}\npid: {os.getpid()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False


def heed(number, _):
    global goes_on
    goes_on = number == signal.SIGHUP
    threading.Thread(target=server.shutdown).start()


goes_on = True
while goes_on:
    server = Server(("127.0.0.1", port), Handler)
    print("bound", os.getpid(), flush=True)
    for number in signal.SIGHUP, signal.SIGTERM:
        signal.signal(number, heed)
    server.serve_forever(0.01)
    server.server_close()

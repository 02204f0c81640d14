"""server.py [LABEL]: a Python server on the inherited descriptor 3 that hands over well.

docs/handing-over-well.md says why each line is there.

reuseport-exec deploy web --socket http:0.0.0.0:80 --user app -- python3 server.py
"""
import http.server
import os
import signal
import socket
import sys
import threading

label = sys.argv[1] if len(sys.argv) > 1 else ""
stopping = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept
    timeout = 5  # a connection is closed after so many seconds without a request

    def do_GET(self):
        body = f"label: {label}\npid: {os.getpid()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if stopping.is_set():
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False  # server_close() waits for them

    def server_bind(self):
        os.set_inheritable(3, False)
        self.socket.close()
        self.socket = socket.socket(fileno=3)

    def server_activate(self):
        pass  # it listens already


def stop(*_):
    stopping.set()
    limit = threading.Timer(25, os._exit, [1])
    limit.daemon = True
    limit.start()
    # In a thread: shutdown() waits for serve_forever(), which this signal handler has interrupted.
    threading.Thread(target=server.shutdown).start()


server = Server(None, Handler)
signal.signal(signal.SIGTERM, stop)
server.serve_forever(poll_interval=0.05)
server.server_close()

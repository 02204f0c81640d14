# Python's http.server on an inherited socket. As root, in this folder, for each new version:
#
#     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data -- python3 python-listen-fds.py
#
# Without a handoff, under a supervisor or by hand:
#
#     reuseport-exec --socket http:0.0.0.0:80 --user www-data -- python3 python-listen-fds.py
import os
import signal
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(1)
        body = b"pid: %d\n" % os.getpid()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(None, Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=3)  # --pass systemd, the default: LISTEN_FDS=1, and they start at 3
# The stop signal: shutdown() takes no more connections, and server_close() waits for the requests' threads.
server.daemon_threads = False
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()

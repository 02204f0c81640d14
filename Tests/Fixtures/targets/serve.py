"""serve.py PORT|PATH LABEL: a threaded server that binds by itself, and on SIGTERM closes its listener and finishes."""
import http.server
import os
import signal
import socketserver
import sys
import threading

where, label = sys.argv[1:]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"label: {label}\npid: {os.getpid()}\nuid: {os.getuid()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "client"

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False


class PathServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = False


if where.isdigit():
    server = Server(("127.0.0.1", int(where)), Handler)
else:
    # What every such program does: somebody may have left it there.
    try:
        os.unlink(where)
    except FileNotFoundError:
        pass
    server = PathServer(where, Handler)
    os.chmod(where, 0o666)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print("ready", label, os.getpid(), flush=True)
server.serve_forever(0.01)
server.server_close()
if not where.isdigit():
    os.remove(where)

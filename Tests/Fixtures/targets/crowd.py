"""crowd.py PORT LABEL KIND: a server of many processes that binds by itself, and on SIGTERM finishes what it is at.

prefork: four workers, each of which binds for itself with SO_REUSEPORT and has a thread for each connection.
forking: one listener, and a process for each connection.
"""
import http.server
import os
import signal
import socket
import socketserver
import sys
import threading

port, label, kind = sys.argv[1:]
workers = []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"label: {label}\npid: {os.getpid()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "client"

    def log_message(self, *_):
        pass


class ForkingServer(socketserver.ForkingMixIn, http.server.HTTPServer):
    pass


class WorkerServer(http.server.ThreadingHTTPServer):
    daemon_threads = False

    def server_bind(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Another worker may be quicker to accept.
        self.socket.setblocking(False)
        super().server_bind()


def serve(server_class):
    server = server_class(("127.0.0.1", int(port)), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    server.serve_forever(0.01)
    server.server_close()


# What comes before there is a server to stop is delivered later.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
if kind == "forking":
    serve(ForkingServer)
else:
    for _ in range(4):
        worker = os.fork()
        if worker == 0:
            serve(WorkerServer)
            os._exit(0)
        workers.append(worker)
    signal.sigwait({signal.SIGTERM})
    for worker in workers:
        os.kill(worker, signal.SIGTERM)
    sys.exit(any(os.waitpid(worker, 0)[1] for worker in workers))

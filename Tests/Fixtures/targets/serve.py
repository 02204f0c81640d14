"""serve.py PORT|PATH LABEL [KIND]: a server that binds by itself, and on SIGTERM closes its listener and finishes.

It has a thread for each connection. With KIND, which goes with a port, it is one of many processes:
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

where, label, *kind = sys.argv[1:]


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


class ForkingServer(socketserver.ForkingMixIn, http.server.HTTPServer):
    pass


class WorkerServer(Server):
    def server_bind(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Another worker may be quicker to accept.
        self.socket.setblocking(False)
        super().server_bind()


def serve(server):
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    print("ready", label, os.getpid(), flush=True)
    server.serve_forever(0.01)
    server.server_close()


def work(count):
    workers = []
    for _ in range(count):
        worker = os.fork()
        if worker == 0:
            serve(WorkerServer(("127.0.0.1", int(where)), Handler))
            os._exit(0)
        workers.append(worker)
    signal.sigwait({signal.SIGTERM})
    for worker in workers:
        os.kill(worker, signal.SIGTERM)
    sys.exit(any(os.waitpid(worker, 0)[1] for worker in workers))


# What comes before there is a server to stop is delivered later.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
if kind == ["prefork"]:
    work(4)
elif kind == ["forking"]:
    serve(ForkingServer(("127.0.0.1", int(where)), Handler))
elif where.isdigit():
    serve(Server(("127.0.0.1", int(where)), Handler))
else:
    # What every such program does: somebody may have left it there.
    try:
        os.unlink(where)
    except FileNotFoundError:
        pass
    server = PathServer(where, Handler)
    os.chmod(where, 0o666)
    serve(server)
    os.remove(where)

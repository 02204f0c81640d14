# gunicorn, with any WSGI application: Flask, Django. As root, in this folder, for each new version:
#
#     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --ready http:http:/ \
#         -- gunicorn --workers 2 --threads 8 wsgi:app
#
# Without a handoff, under a supervisor or by hand:
#
#     reuseport-exec --socket http:0.0.0.0:80 --user www-data -- gunicorn --workers 2 --threads 8 wsgi:app
#
# gunicorn knows LISTEN_FDS, the default of --pass, and then ignores --bind: leave it out. (--bind fd://3 fails.) On
# TERM, the stop signal, it finishes requests in flight, for --graceful-timeout (30 s) at most.
import os
import time


def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(1)
    body = b"pid: %d\n" % os.getpid()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]

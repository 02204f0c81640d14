"""The same small application for ASGI (uvicorn) and WSGI (gunicorn)."""
import os


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    body = f"asgi {os.getpid()} {os.getuid()} {scope['path']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"wsgi {os.getppid()} {os.getuid()} {environ['PATH_INFO']}".encode()]

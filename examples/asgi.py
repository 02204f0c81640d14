# uvicorn, with any ASGI application: FastAPI, Starlette, Django. As root, in this folder; again, for each new version:
#
#     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --ready http:http:/ \
#         --settle 500ms -- uvicorn asgi:app --fd {fd:http}
#
# Without a handoff, under a supervisor or by hand:
#
#     reuseport-exec --socket http:0.0.0.0:80 --user www-data -- uvicorn asgi:app --fd {fd:http}
#
# {fd:http} becomes the number of the descriptor. More processes are --copies 4 of deploy, not --workers of uvicorn.
# uvicorn drops connections that it has accepted, and that have said nothing yet, when it is told to stop: with --settle
# there are none. On the stop signal, TERM, it finishes what is in flight. It keeps the descriptor until it ends: if
# requests take longer than 30s, say so with --stop-timeout.
import asyncio
import os


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(2)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"pid: %d\n" % os.getpid()})

# uvicorn, with any ASGI application: FastAPI, Starlette, Django. As root, in this folder; again, for each new version:
#
#     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --ready http:http:/ \
#         -- uvicorn asgi:app --fd {fd:http}
#
# Without a handoff, under a supervisor or by hand:
#
#     reuseport-exec --socket http:0.0.0.0:80 --user www-data -- uvicorn asgi:app --fd {fd:http}
#
# {fd:http} becomes the number of the descriptor. More processes are --copies 4 of deploy, not --workers of uvicorn.
# On the stop signal, TERM, uvicorn finishes what is in flight. It keeps the descriptor until it ends: if requests take
# longer than 30s, say so with --stop-timeout.
import asyncio
import os


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(1)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"pid: %d\n" % os.getpid()})

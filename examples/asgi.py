# uvicorn, with any ASGI application: FastAPI, Starlette, Django. As root, in this folder, for each new version:
#
#     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --ready http:http:/ \
#         --settle 500ms -- uvicorn asgi:app --fd {fd:http}
#
# Without a handoff, under a supervisor or by hand:
#
#     reuseport-exec --socket http:0.0.0.0:80 --user www-data -- uvicorn asgi:app --fd {fd:http}
#
# {fd:http} becomes the number of the descriptor. For more processes use --copies 4 of deploy, not --workers of uvicorn.
# On TERM, the stop signal, uvicorn finishes requests in flight, but drops accepted connections on which nothing has
# come yet: --settle makes sure that there are none. It keeps the descriptor until it ends: if requests take longer than
# 30 s, set a longer --stop-timeout.
import asyncio
import os


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(2)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"pid: %d\n" % os.getpid()})

"""The server of the driver for Solara: in a FastAPI app with the middleware, or on its own."""

import os

os.environ["SOLARA_APP"] = "page.py"

import solara.server.starlette
from fastapi import FastAPI

from jupyter_session_user import SessionUserMiddleware

LOGINS = {"a-token": "alice", "b-token": "bob"}


def login(scope):
    return LOGINS.get(dict(scope["headers"]).get(b"x-login", b"").decode())


server = solara.server.starlette.app
if os.environ["MODE"] == "mounted":
    server = FastAPI()
    server.mount("/", solara.server.starlette.app)
server.add_middleware(SessionUserMiddleware, user=login)

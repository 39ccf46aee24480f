"""The server of the driver for Panel inside FastAPI.

python panel_mounted_app.py PORT APP
"""

import sys

import uvicorn
from fastapi import FastAPI
from panel.io.fastapi import add_applications
from shared import say

from jupyter_session_user import SessionUserMiddleware

LOGINS = {"a-token": "alice", "b-token": "bob"}


def login(scope):
    return LOGINS.get(dict(scope["headers"]).get(b"x-login", b"").decode())


say("in advance", "warm")
app = FastAPI()
add_applications({"/main": sys.argv[2]}, app=app)
app.add_middleware(SessionUserMiddleware, user=login)
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")

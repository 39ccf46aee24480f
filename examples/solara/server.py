"""Serves visitors.py and names the visitor. To start it, see docs/hosts/solara.md."""

import os
import secrets

os.environ.setdefault("SOLARA_APP", "visitors.py")

import solara.server.starlette
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse

from jupyter_session_user import SessionUserMiddleware, User

PEOPLE = {"alice": User("alice", "Alice Adams"), "bob": User("bob", "Bob Brown")}
LOGINS = {}  # from the login cookie to the user; a real app uses a database

app = FastAPI()


def login(scope):
    return LOGINS.get(Request({**scope, "type": "http"}).cookies.get("visitors_login", ""))


@app.get("/as/{name}")
def log_in(name: str) -> RedirectResponse:
    """Log in without a password: this page is for a demo only."""
    token = secrets.token_urlsafe()
    LOGINS[token] = PEOPLE[name]
    answer = RedirectResponse("/")
    answer.set_cookie("visitors_login", token, httponly=True, samesite="lax")
    return answer


app.mount("/", solara.server.starlette.app)
app.add_middleware(SessionUserMiddleware, user=login)

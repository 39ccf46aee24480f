"""Solara behind uvicorn or Werkzeug; ``MODE`` selects the server and the layer around it."""

import os

os.environ["SOLARA_APP"] = "page.py"

if os.environ["MODE"] != "flask":
    import solara.server.starlette

from jupyter_session_user import SessionUserMiddleware, SessionUserWSGIMiddleware

LOGINS = {"a-token": "alice", "b-token": "bob"}


def login(scope):
    return LOGINS.get(dict(scope["headers"]).get(b"x-login", b"").decode())


def login_of_environ(environ):
    import flask

    return LOGINS.get(flask.request.headers.get("x-login", ""))


if os.environ["MODE"] == "flask":
    from solara.server.flask import app as server

    server.wsgi_app = SessionUserWSGIMiddleware(server.wsgi_app, user=login_of_environ)
    if __name__ == "__main__":
        server.run("127.0.0.1", int("{port}"), threaded=True)
else:
    server = solara.server.starlette.app
    if os.environ["MODE"] == "starlette":
        server.add_middleware(SessionUserMiddleware, user=login)

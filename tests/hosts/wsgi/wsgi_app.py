"""The app of these tests: each path asks in another place. Runs in the server's process."""

import logging
import sys
import threading
from http import HTTPStatus

import flask
from werkzeug.serving import run_simple
from who import who

from jupyter_session_user import (
    SessionUserWSGIMiddleware,
    bind_current_user,
    get_cookies,
    get_current_user,
    identity_from_cookie,
)

LOGINS = {"a": "alice", "b": "bob"}
NOTES = {}
ARRIVED = set()
inside = threading.Condition()

app = flask.Flask(__name__)
app.secret_key = "of these tests"


@app.before_request
def log_in():
    """Log in by a query argument; Flask's own signed cookie keeps it."""
    if "login" in flask.request.args:
        flask.session["user"] = LOGINS[flask.request.args["login"]]


@app.get("/who")
def view():
    return flask.jsonify(who())


@app.get("/both/<name>")
def both(name):
    """Wait until the other visitor is in here as well, then ask."""
    with inside:
        ARRIVED.add(name)
        inside.notify_all()
        inside.wait_for(lambda: len(ARRIVED) >= 2)
    return flask.jsonify(who())


@app.get("/stream")
def stream():
    """Answer in pieces; Flask's own session is there in them only with its context."""

    def lines():
        yield '["'
        yield who()
        yield '"]'

    return flask.Response(flask.stream_with_context(lines()), mimetype="application/json")


@app.get("/stream-without-flask")
def stream_without_flask():
    """Answer in pieces that are made when Flask's context is gone; the view has asked before."""
    get_current_user()
    return flask.Response((part for part in ('["', who(), '"]')), mimetype="application/json")


@app.get("/abandoned")
def abandoned():
    """Keep a generator that is closed in the middle of its work, and see who it was then."""

    get_current_user()

    def lines():
        try:
            while True:
                yield b"x" * 65536
        finally:
            NOTES["abandoned"] = who()

    return flask.Response(lines())


@app.get("/thread")
def threads():
    """Ask in a bare thread, in one that was handed the identity, and in one that outlives us."""
    name, said = get_current_user().username, []
    for target in (who, bind_current_user(who)):
        thread = threading.Thread(target=lambda t=target: said.append(t()))
        thread.start()
        thread.join()
    threading.Timer(0.2, lambda: NOTES.update({name: who()})).start()
    return flask.jsonify(said)


@app.get("/leaves-a-binding-open")
def leaves_open():
    bind_current_user().__enter__()
    return flask.jsonify(who())


@app.get("/fails")
def fails():
    flask.abort(HTTPStatus.IM_A_TEAPOT)


@app.get("/cookies")
def cookies():
    return flask.jsonify([who(), get_current_user().name, get_cookies().get("theme")])


@app.get("/notes")
def notes():
    return flask.jsonify(NOTES)


def in_dash():
    """Return a Dash app on a Flask of its own, whose callback says who it runs for."""
    import dash

    page = dash.Dash(__name__, requests_pathname_prefix="/dash/")
    page.layout = dash.html.Div([dash.html.Button(id="button"), dash.html.P(id="said")])

    @page.callback(
        dash.Output("said", "children"),
        dash.Input("button", "n_clicks"),
        prevent_initial_call=True,
    )
    def clicked(_):
        return who()

    page.server.secret_key = app.secret_key
    return page.server.wsgi_app


def from_flask(_environ):
    """Return what Flask's signed session says; only a request context has one."""
    return flask.session.get("user")


def bare(environ, start_response):
    """Answer without any middleware."""
    start_response("200 OK", [("Content-Type", "application/json")])
    return [f'"{who()}"'.encode()]


identity_from_cookie("numerous_user_info", username="user_id", name="user_full_name")

ours = SessionUserWSGIMiddleware(app.wsgi_app, user=from_flask)
proxied = SessionUserWSGIMiddleware(
    app.wsgi_app, trusted_header="X-Forwarded-User", trusted_proxies=["127.0.0.1"]
)
elsewhere = SessionUserWSGIMiddleware(
    app.wsgi_app, trusted_header="X-Forwarded-User", trusted_proxies=["10.0.0.0/8"]
)
by_server = SessionUserWSGIMiddleware(app.wsgi_app)
APPS = {"bare": bare, "proxied": proxied, "elsewhere": elsewhere, "server": by_server}
if "dash" in sys.argv:
    APPS["dash"] = SessionUserWSGIMiddleware(in_dash(), user=from_flask)


def application(environ, start_response):
    """Hand each path to its app."""
    prefix, _, rest = environ["PATH_INFO"].removeprefix("/").partition("/")
    if prefix in APPS:
        environ["PATH_INFO"] = f"/{rest}"
    return APPS.get(prefix, ours)(environ, start_response)


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    run_simple("127.0.0.1", int(sys.argv[1]), application, threaded="threaded" in sys.argv)

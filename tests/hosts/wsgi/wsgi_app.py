"""The app of these tests: each path returns the user of another place. Runs in the server."""

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
    require_user,
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
    """Wait until the other visitor's request is here as well; then return the user."""
    with inside:
        ARRIVED.add(name)
        inside.notify_all()
        inside.wait_for(lambda: len(ARRIVED) >= 2)
    return flask.jsonify(who())


@app.get("/stream")
def stream():
    """Stream the body; Flask's own session is available there only with its context."""

    def lines():
        yield '["'
        yield who()
        yield '"]'

    return flask.Response(flask.stream_with_context(lines()), mimetype="application/json")


def said_late():
    """Make the body after the view has returned."""
    yield '["'
    yield who()
    yield '"]'


@app.get("/stream-without-flask")
def stream_without_flask():
    """Stream the body after the end of Flask's context; the view has asked before."""
    get_current_user()
    return flask.Response(said_late(), mimetype="application/json")


@app.get("/stream-asked-late")
def stream_asked_late():
    """Ask in the stream alone, after the end of Flask's context."""
    return flask.Response(said_late(), mimetype="application/json")


@app.get("/staff")
@require_user(usernames=["alice"])
def staff():
    return flask.jsonify(who())


@app.get("/abandoned")
def abandoned():
    """Keep a generator that is closed in the middle of its work, and record its user then."""

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
    """Get the user in a bare thread, in a bound one, and in one that outlives the request."""
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
    """Return a Dash app on a separate Flask; its callback returns its user."""
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
    """Return the user in Flask's signed session; only a request context has one."""
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
    """Route each path to its app."""
    prefix, _, rest = environ["PATH_INFO"].removeprefix("/").partition("/")
    if prefix in APPS:
        environ["PATH_INFO"] = f"/{rest}"
    return APPS.get(prefix, ours)(environ, start_response)


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    run_simple("127.0.0.1", int(sys.argv[1]), application, threaded="threaded" in sys.argv)

"""The app of the driver for Flask."""

import functools
import threading
from concurrent.futures import ThreadPoolExecutor

import flask
from outcome import outcome
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from jupyter_session_user import SessionUserWSGIMiddleware, bind_current_user

LOGINS = {"a-token": "alice", "b-token": "bob"}
POOL = ThreadPoolExecutor(1)
POOL.submit(int).result()  # its only thread starts without a user
AT_IMPORT = outcome()
said = {}
app = flask.Flask(__name__)


def login(environ):
    return LOGINS.get(environ.get("HTTP_X_LOGIN"))


def in_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


@functools.lru_cache
def cached():
    return outcome()


CASES = {
    "page": outcome,
    "callback": outcome,
    "thread": lambda: in_thread(outcome),
    "bound_thread": lambda: in_thread(bind_current_user(outcome)),
    "pool": lambda: POOL.submit(bind_current_user(outcome)).result(),
    "warm": lambda: AT_IMPORT,
}


@app.get("/<case>")
def answer(case):
    return flask.jsonify(CASES[case]())


@app.get("/outliving")
def outliving():
    """Start a thread with this request's context, and ask in it after the request."""
    import contextvars

    key, over = flask.request.args["key"], threading.Event()
    context = contextvars.copy_context()

    def later():
        over.wait()
        said[key] = outcome()

    said[key + " task"] = threading.Thread(target=context.run, args=(later,))
    said[key + " task"].start()
    said[key + " over"] = over
    return flask.jsonify("begun")


@app.get("/said")
def what_was_said():
    key = flask.request.args["key"]
    said[key + " over"].set()
    said[key + " task"].join()
    return flask.jsonify(said[key])


@app.get("/generator")
def generator():
    def parts():
        yield '"'
        yield outcome()
        yield '"'

    return flask.Response(parts(), mimetype="application/json")


inner = flask.Flask("inner")
inner.add_url_rule("/page", view_func=lambda: flask.jsonify(outcome()))
app.wsgi_app = SessionUserWSGIMiddleware(
    DispatcherMiddleware(app.wsgi_app, {"/inner": inner.wsgi_app}), user=login
)

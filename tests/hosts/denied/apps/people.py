"""The people of these apps, known by a cookie, and what only one of them may see."""

import base64
import json
import os
from http.cookies import SimpleCookie

from jupyter_session_user import User, require_user

#: Bob's name is hostile: it must come out as text.
PEOPLE = {
    "alice": User("alice", groups=("finance",)),
    "bob": User("bob<i>*x*</i>", groups=("sales", "of-bob-alone")),
}
IN_CALLBACK = os.environ["MODE"] == "callback"
WHOLE = os.environ["MODE"] == "whole"
REPORT = "The report: 42"

finance = require_user(groups="finance")


def of_cookies(text):
    """Return the user of a request's cookies."""
    cookie = SimpleCookie(text).get("numerous_user_info")
    name = json.loads(base64.b64decode(cookie.value))["user_id"] if cookie else ""
    return PEOPLE.get(name)


def of_scope(scope):
    return of_cookies(dict(scope["headers"]).get(b"cookie", b"").decode("latin-1"))


def of_environ(environ):
    return of_cookies(environ.get("HTTP_COOKIE", ""))


@finance
def report():
    return REPORT

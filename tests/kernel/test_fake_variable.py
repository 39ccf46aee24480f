"""JUPYTER_SESSION_USER_FAKE makes up the user of a laptop, and never replaces a real one."""

from __future__ import annotations

import json

import pytest

VARIABLE = "JUPYTER_SESSION_USER_FAKE"
WHO = """
import json, threading
from jupyter_session_user import *

def who():
    try:
        session, user = get_session(), get_current_user()
    except SessionUserError as error:
        return getattr(error, "reason", error.code)
    return [user.username, list(user.groups), session.source, session.verified, dict(get_cookies())]

def in_thread():
    seen = []
    thread = threading.Thread(target=lambda: seen.append(who()))
    thread.start()
    thread.join()
    return seen[0]
"""
ADA = ["ada", [], "fake", False, {}]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ada", ADA),
        (" ada ", ADA),
        ("", "not_in_kernel"),
        (
            '{"username": "bob", "groups": ["finance"], "cookies": {"theme": "dark"}}',
            ["bob", ["finance"], "fake", False, {"theme": "dark"}],
        ),
        ('{"username": "bob", "expires_in": 0}', "session_expired"),
    ],
)
def test_a_script(python, value, expected):
    """A plain script has the user of the variable, and says once that it is made up."""
    told = "import logging; logging.basicConfig(format='%(message)s', stream=open('log', 'w'))\n"
    code = f"{told}{WHO}\nfirst = who()\nprint(json.dumps([first == who(), who()]))"
    code += "\nprint(json.dumps(open('log').read().count('makes up the user')))"
    same, warned = map(json.loads, python("-c", code, **{VARIABLE: value}).splitlines())
    assert same == [True, expected]
    assert warned == (value != "")


@pytest.mark.parametrize(
    "value",
    [
        *('{"username": "ada"', "{}", '{"username": 1}', '{"username": ""}', " "),
        '{"username": "ada", "admin": true}',
        '{"username": "ada", "groups": 5}',
        '{"username": "ada", "cookies": ["a"]}',
        '{"username": "ada", "expires_in": NaN}',
    ],
)
def test_what_cannot_be_read(python, value):
    """Such a value is an error that says what to write, and names nobody."""
    code = (
        "import jupyter_session_user as j\n"
        "try: j.get_current_user()\n"
        "except j.ConfigurationError as error: print(error)"
    )
    assert "Set it to a username, or to a JSON object" in python("-c", code, **{VARIABLE: value})


def test_a_kernel_without_a_server(new_kernel):
    """A notebook that a program runs has the user in its cells; its bare threads have none."""
    cells = new_kernel(**{VARIABLE: "ada"}).client()
    cells.run(WHO)
    assert cells.run("who()").value == ADA
    assert cells.run("in_thread()").value == "no_context"  # as it will be on a server


def test_a_kernel_whose_server_names_its_users(new_kernel):
    """Alice and bob keep their names; threads, forks and direct clients have no user."""
    kernel = new_kernel(**{VARIABLE: "ada"})
    alice, bob, direct = kernel.person("alice"), kernel.person("bob"), kernel.client()
    alice.run(WHO)
    for person, name in ((alice, "alice"), (bob, "bob")):
        assert person.run("get_current_user().username").value == name
        assert person.run("in_thread()").value == "no_context"
    assert direct.run("who()").value == "direct_client"
    forked = (
        "import os\nr, w = os.pipe()\nchild = os.fork()\n"
        "if not child:\n    os.write(w, str(who()).encode()); os._exit(0)\n"
        "_ = os.waitpid(child, 0)"
    )
    assert alice.run(forked).reply["status"] == "ok"
    assert alice.run("os.read(r, 100).decode()").value == "forked_process"
    assert alice.run("__import__('contextvars').Context().run(who)").value != ADA


def test_a_server_that_comes_later(new_kernel):
    """The user is made up until the first stamp, and a context from before names nobody then."""
    kernel = new_kernel(**{VARIABLE: "ada"})
    direct, alice = kernel.client(), kernel.person("alice")
    direct.run(f"{WHO}\nimport contextvars\nearly = contextvars.copy_context()")
    assert direct.run("early.run(who)").value == ADA
    assert alice.run("get_current_user().username").value == "alice"
    assert alice.run("early.run(who)").value == "direct_client"
    assert direct.run("who()").value == "direct_client"

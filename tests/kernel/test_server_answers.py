"""A real kernel asks, and a scripted server answers on the control channel while a cell runs."""

from __future__ import annotations

import pytest

from jupyter_session_user.core.cookies import cookies_to_wire, parse_cookie_headers
from jupyter_session_user.core.protocol import Reply
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.user import User

CANARY = "canary7d21"


@pytest.fixture
def server(new_kernel):
    """A test that acts as the server of a new kernel, since a kernel keeps fetched data."""
    kernel = new_kernel()
    kernel.person("alice").run("from jupyter_session_user import *")
    end = kernel.server()
    end.kernel = kernel
    return end


def cookies(header: str) -> dict:
    """Return the answer to a question for cookies."""
    return cookies_to_wire(parse_cookie_headers([header]))


def serve(server, result=None, **error) -> str:
    """Answer the next request, and return its session id."""
    comm_id, request = server.next_request()
    server.send_answer(comm_id, Reply(request.id, result or {}, **error).to_wire())
    return request.session_id


def test_cookies_while_the_cell_runs(server):
    """A sync cell waits for its cookies and gets them: the cell does not block the answer."""
    alice, bob = server.kernel.person("alice"), server.kernel.person("bob")
    for person, name in ((alice, "alice"), (bob, "bob")):
        cell = person.start("get_cookies()['a']")
        assert serve(server, cookies(f"a={name}")) == f"session-of-{name}"
        assert person.result(cell).value == name
    assert alice.run("get_cookies()['a']").value == "alice"  # from the cache: no answer comes now
    assert bob.run("get_cookies()['a']").value == "bob"


def test_cookies_are_not_shown(server):
    """Neither the repr nor the cell's output holds a value that the code did not reveal."""
    alice = server.kernel.person("alice")
    cell = alice.start("jar = get_cookies(); print(jar); jar")
    serve(server, cookies(f"a={CANARY}"))
    result = alice.result(cell)
    assert CANARY not in result.stdout + "".join(result.shown.values())
    assert alice.run("jar['a']").value == CANARY


def test_signed_cookie(server):
    """The server verifies a signed cookie; it gets the name and the maximum age."""
    alice = server.kernel.person("alice")
    cell = alice.start("get_cookies().get_signed('who', max_age_days=2)")
    serve(server, cookies("who=signed"))
    comm_id, request = server.next_request()
    assert (request.operation, request.name, request.max_age_days) == ("signed", "who", 2)
    server.send_answer(comm_id, Reply(request.id, {"value": "alice"}).to_wire())
    assert "alice" in alice.result(cell).shown["text/plain"]


def test_refresh(server):
    """A refreshed session has the server's current data, and equals the former session."""
    alice = server.kernel.person("alice")
    cell = alice.start("s = get_session().refresh(); (s.user.username, s.kernel_id, s.revision)")
    known = Session("session-of-alice", User("alice"), "test", True, kernel_id="k1", revision=7)
    assert serve(server, {"session": known.to_wire()}) == "session-of-alice"
    assert alice.result(cell).value == ("alice", "k1", 7)


def test_refresh_with_another_session(server):
    """An answer about another session is refused."""
    alice = server.kernel.person("alice")
    cell = alice.start("get_session().refresh()")
    of_bob = Session("session-of-bob", User("bob"), "test", verified=True)
    serve(server, {"session": of_bob.to_wire()})
    reply = alice.result(cell).reply
    assert reply["ename"] == "RemoteProtocolError"
    assert "bob" not in reply["evalue"]


@pytest.mark.parametrize(
    ("error", "name", "code"),
    [
        ("no_session", "IdentityUnavailable", "identity_unavailable.unknown_at_server"),
        ("rate_limited", "SessionUserError", "rate_limited"),
    ],
)
def test_refused(server, error, name, code):
    """If the server refuses, the error has its code and its text."""
    alice = server.kernel.person("alice")
    cell = alice.start(
        "try: get_cookies()\n"
        "except SessionUserError as e: seen = (type(e).__name__, e.code, str(e))\nseen"
    )
    serve(server, error=error, message="not now")
    seen = alice.result(cell).value
    assert seen[:2] == (name, code)
    assert "not now" in seen[2]


def test_forged_answer(server):
    """Another user's message on control with the right ids is not taken for the answer."""
    kernel = server.kernel
    alice, bob = kernel.person("alice"), kernel.person("bob")
    cell = alice.start("get_cookies()['a']")
    comm_id, request = server.next_request()
    forged = {"comm_id": comm_id, "data": Reply(request.id, cookies("a=forged")).to_wire()}
    bob.settle(bob.send("jupyter_session_user_reply", forged, "control"))
    server.send_answer(comm_id, Reply(request.id, cookies("a=true")).to_wire())
    assert alice.result(cell).value == "true"


def test_asking_leaves_the_identity(server):
    """The server's message, handled while Alice's cell waits, does not become a parent."""
    alice, bob = server.kernel.person("alice"), server.kernel.person("bob")
    cell = alice.start("get_cookies(); (get_current_user().username, get_session().id)")
    serve(server, cookies("a=1"))
    assert alice.result(cell).value == ("alice", "session-of-alice")
    assert bob.run("get_current_user().username").value == "bob"


def test_cookies_of_a_thread(server):
    """A bound thread gets its binder's cookies; a bare thread gets an error."""
    alice, bob = server.kernel.person("alice"), server.kernel.person("bob")
    alice.run(
        "from concurrent.futures import ThreadPoolExecutor; pool = ThreadPoolExecutor(1)\n"
        "hers = bind_current_user(lambda: get_cookies()['a'])"
    )
    assert bob.run("pool.submit(get_cookies).result(30)").reply["ename"] == "IdentityUnavailable"
    cell = bob.start("pool.submit(hers).result(30)")
    assert serve(server, cookies("a=1")) == "session-of-alice"
    assert bob.result(cell).value == "1"

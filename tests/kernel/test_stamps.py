"""A missing, empty or broken stamp gives an error with the reason, and no name."""

from __future__ import annotations

import copy

import pytest

REASON = """
def why():
    from jupyter_session_user import IdentityUnavailable, get_current_user
    try: return get_current_user().username
    except IdentityUnavailable as error: return error.reason, error.code, str(error)
"""
#: The program that started the kernel is a hint, too; here it is the one that runs pytest.
NO_HINTS = "import sys; sys.modules['psutil'] = None\n"

MALFORMED = {
    "number": 3,
    "text": "alice",
    "list": [],
    "empty": {},
    "future version": {"version": 99},
    "true is no version": {"version": "1"},
    "the server's own": {"version": 1, "server": True},
    "no user": {"version": 1, "session_id": "s", "source": "x", "user": None},
    "nameless": {"version": 1, "session_id": "s", "source": "x", "user": {"username": ""}},
    "no session": {"version": 1, "source": "x", "user": {"username": "mallory"}},
    "bad time": {
        "version": 1,
        "session_id": "s",
        "source": "x",
        "user": {"username": "mallory"},
        "expires_at": "soon",
    },
}


@pytest.fixture
def why(alice):
    """Make ``why()`` known in the shared kernel."""
    alice.run(REASON)


@pytest.fixture
def past_the_server(kernel, alice):
    """A client without a stamp, on a kernel where stamps have been seen."""
    return kernel.client()


def test_direct_client(alice, bob, why, past_the_server):
    """After stamped messages, one without a stamp comes from a direct client and has no user."""
    bob.run("who()")
    reason, code, text = past_the_server.run("why()").value
    assert (reason, code) == ("direct_client", "identity_unavailable.direct_client")
    assert "jupyter console --existing" in text
    assert alice.run("why()").value == "alice"


def test_direct_client_in_between(alice, bob, past_the_server):
    """Threads, tasks and awaits of a direct client's cell have no user, either."""
    alice.run("who()")
    code = (
        "(who(), await asyncio.sleep(0, who()), await asyncio.to_thread(who),\n"
        " ThreadPoolExecutor(1).submit(who).result(30))"
    )
    unstamped = "direct_client"
    assert past_the_server.run(code).value == (unstamped, unstamped, unstamped, "no_context")
    assert bob.run("who()").value == "bob"


def test_unknown_at_the_server(kernel, alice, bob, why):
    """If the server does not know the user, the error repeats the server's reason."""
    unknown = kernel.client({"version": 1, "unknown": "no request is live"})
    reason, _, text = unknown.run("why()").value
    assert reason == "unknown_at_server"
    assert "no request is live" in text
    assert (alice.run("who()").value, bob.run("who()").value) == ("alice", "bob")


@pytest.mark.parametrize("stamp", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed(alice, bob, why, past_the_server, stamp):
    """An unreadable stamp names no user, and the error names the package to install."""
    past_the_server.client.session.metadata = {"jupyter_session_user": stamp}
    reason, _, text = past_the_server.run("why()").value
    assert reason == "malformed_stamp"
    assert "same release" in text
    assert "mallory" not in text
    assert (alice.run("who()").value, bob.run("who()").value) == ("alice", "bob")


def test_first_message_without_server(new_kernel):
    """Without any stamp, and without a sign of a server, the reason is ``headless``."""
    client = new_kernel().client()
    client.run(NO_HINTS + REASON)
    reason, _, text = client.run("import jupyter_session_user; why()").value
    assert reason == "headless"
    assert "default=" in text


def test_first_message_from_a_server_without_us(new_kernel):
    """If a server started the kernel but adds no stamps, the error names the missing package."""
    client = new_kernel(JPY_SESSION_NAME="notebook.ipynb").client()
    client.run(NO_HINTS + REASON)
    reason, _, text = client.run("import jupyter_session_user; why()").value
    assert reason == "server_without_extension"
    assert "pip install jupyter-session-user" in text


def test_stamps_change_the_diagnosis(new_kernel):
    """The same client is ``headless`` before the first stamp, and ``direct_client`` after it."""
    kernel = new_kernel()
    console, alice, bob = kernel.client(), kernel.person("alice"), kernel.person("bob")
    console.run(NO_HINTS + REASON)
    assert console.run("import jupyter_session_user; why()").value[0] == "headless"
    assert (alice.run("why()").value, bob.run("why()").value) == ("alice", "bob")
    assert console.run("why()").value[0] == "direct_client"


def test_stamp_is_read_per_message(kernel, alice, bob):
    """If the login on a connection changes, the next message has the new session."""
    person = kernel.person("dora")
    assert person.run("(who(), get_session().revision)").value == ("dora", 0)
    stamp = copy.deepcopy(person.client.session.metadata["jupyter_session_user"])
    stamp["user"]["username"], stamp["revision"] = "erin", 4
    person.client.session.metadata = {"jupyter_session_user": stamp}
    assert person.run("(who(), get_session().revision)").value == ("erin", 4)


def test_session_fields(kernel, alice, bob):
    """The session has the fields of the stamp, nothing more; asking twice gives the same object."""
    code = (
        "s = get_session(); u = s.user; (s.id, s.source, s.verified, s.kernel_id, s.revision,\n"
        " s.expires_at, u.username, u.groups, u.admin, u.is_anonymous, s is get_session())"
    )
    for person, name, group in ((alice, "alice", "finance"), (bob, "bob", "sales")):
        assert person.run(code).value == (
            f"session-of-{name}", "test", True, None, 0,
            None, name, (group,), False, False, True,
        )  # fmt: skip


def test_user_fields(kernel, bob):
    """All fields of the user arrive, claims included."""
    person = kernel.person(
        "fay", name="Fay K.", display_name="Fay", initials="FK", admin=True, claims={"level": 3}
    )
    code = (
        "u = get_current_user(); (u.name, u.display_name, u.initials, u.admin, u.claims['level'])"
    )
    assert person.run(code).value == ("Fay K.", "Fay", "FK", True, 3)
    assert bob.run("(lambda u: (u.name, u.admin, len(u.claims)))(get_current_user())").value == (
        "bob",
        False,
        0,
    )


def test_expiry_arrives(kernel, alice):
    """The time of expiry is an aware time in UTC."""
    person = kernel.person("gil")
    stamp = person.client.session.metadata["jupyter_session_user"]
    late = {**stamp, "expires_at": "2026-11-22T05:00:00.000000Z"}
    person.client.session.metadata = {"jupyter_session_user": late}
    assert person.run("get_session().expires_at.isoformat()").value == "2026-11-22T05:00:00+00:00"
    assert alice.run("get_session().expires_at is None").value is True

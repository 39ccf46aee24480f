"""Code that runs for an ended login gets an error; code of other users does not.

The server's part is played by its real messages on the control channel of a real kernel.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from logins import login_of

from jupyter_session_user.core.protocol import UPDATE_TYPE, Reply, Update

PRELUDE = """
import time
from jupyter_session_user import *

def asked(function=get_current_user, **how):
    try:
        return getattr(function(**how), "username", None)
    except SessionExpired as error:
        return type(error).__name__, error.code, error.state

def until(session, state):
    end = time.time() + 10
    while session.state != state and time.time() < end:
        pass
    return time.time()
"""
REVOKED = ("SessionRevoked", "session_revoked", "revoked")
EXPIRED = ("SessionExpired", "session_expired", "expired")


def soon(seconds: float) -> datetime:
    """Return a moment shortly from now."""
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)


@pytest.fixture
def kernel(new_kernel):
    """A new kernel with the package, and a test that acts as its server."""
    fresh = new_kernel()
    fresh.person("alice").run(PRELUDE)
    fresh.end = fresh.server()
    return fresh


@pytest.fixture
def alice(kernel):
    """The user whose login ends."""
    return kernel.person("alice")


@pytest.fixture
def bob(kernel):
    """The user whose login continues."""
    return kernel.person("bob")


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ("revoked", REVOKED),
        ("expired", EXPIRED),
        ("signed_out", ("SessionRevoked", "session_revoked", "signed_out")),
    ],
)
def test_a_running_cell_learns_that_its_login_is_over(kernel, alice, bob, event, error):
    """The user gets the error within a second, in a cell that does not yield."""
    bob.run("his = get_session()")
    cell = alice.start(
        f"s = get_session(); before = asked(); input(); seen_at = until(s, {event!r})\n"
        "(before, asked(), s.state, s.seconds_left, get_session().state, seen_at)"
    )
    alice.until_input()
    alice.answer()
    sent_at = kernel.end.tell(event, login_of("alice", state=event, revision=1))
    *seen, seen_at = alice.result(cell).value
    assert seen == ["alice", error, event, 0.0, event]
    assert seen_at - sent_at < 1
    assert bob.run("(asked(), his.state, get_session().state)").value == ("bob", "active", "active")
    assert alice.run("asked()").value == error  # the stamp of a message that was on its way


def test_what_is_refused_and_what_goes_on(kernel, alice, bob):
    """Name, guarded function and cookies are refused; the session can still be read."""
    alice.run("asked(); guarded = require_user(lambda: 'let in')")
    kernel.end.tell("revoked", login_of("alice", state="revoked", revision=1))
    code = (
        "(asked(default='nobody'), asked(default=None), asked(allow_expired=True),"
        " asked(get_cookies), asked(guarded), get_session().user.username)"
    )
    assert alice.run(code).value == (None, None, "alice", REVOKED, REVOKED, "alice")
    assert alice.run("get_current_user(default='nobody')").value == "nobody"
    assert bob.run("(asked(), guarded())").value == ("bob", "let in")


def test_the_sentence(kernel, alice):
    """The error names the fix."""
    alice.run("asked()")
    kernel.end.tell("expired", login_of("alice", state="expired", revision=1))
    reply = alice.run("get_current_user()").reply
    assert reply["ename"] == "SessionExpired"
    assert "Log in again, then run the cell again" in reply["evalue"]
    assert "allow_expired=True" in reply["evalue"]


def test_a_bound_thread_and_a_task_learn_it_too(kernel, alice, bob):
    """Code that continues after its cell is refused as well, separately for each user."""
    code = (
        "import asyncio; from concurrent.futures import ThreadPoolExecutor\n"
        "pool = ThreadPoolExecutor(1)\nasync def later():\n"
        "    while not gate: await asyncio.sleep(0.01)\n    return asked()\n"
        "{0}, {0}_task = bind_current_user(asked), asyncio.ensure_future(later())"
    )
    alice.run("gate = []")
    alice.run(code.format("hers"))
    bob.run(code.format("his"))
    kernel.end.tell("revoked", login_of("alice", state="revoked", revision=1))
    seen = bob.run("gate.append(1)\n(pool.submit(hers).result(30), pool.submit(his).result(30))")
    assert seen.value == (REVOKED, "bob")
    assert bob.run("(await hers_task, await his_task)").value == (REVOKED, "bob")


def test_updates_are_the_server_s_alone(kernel, alice, bob):
    """An update that Bob sends, or that is unreadable, changes nothing."""
    alice.run("asked()")
    update = Update("revoked", login_of("alice", state="revoked", revision=9)).to_wire()
    bob.settle(bob.send(UPDATE_TYPE, update, "control"))
    for broken in (
        {},
        {**update, "event": "x"},
        {**update, "session": None},
        {**update, "version": 2},
    ):
        kernel.end.settle(kernel.end.send(UPDATE_TYPE, broken, "control"))
    assert alice.run("(asked(), get_session().state)").value == ("alice", "active")


def test_older_updates_change_nothing(kernel, alice):
    """The highest revision counts, also against a stamp that was on its way."""
    alice.run("asked()")
    kernel.end.tell("renewed", login_of("alice", revision=5))
    kernel.end.tell("revoked", login_of("alice", state="revoked", revision=4))
    assert alice.run("asked()").value == "alice"


def test_an_exact_end_comes_by_itself(kernel, bob):
    """Behind a gateway there are no updates, so the clock alone ends the session."""
    carol = kernel.login("carol", expires_at=soon(1.5), expiry_source="jwt")
    seen = carol.run(
        "s = get_session(); before = (asked(), s.state, 0 < s.seconds_left <= 1.5)\n"
        "until(s, 'expired'); (before, asked(), s.state, s.seconds_left)"
    ).value
    assert seen == (("carol", "active", True), EXPIRED, "expired", 0.0)
    assert bob.run("(asked(), get_session().seconds_left)").value == ("bob", None)


def test_an_estimated_end_ends_nothing(kernel):
    """If a provider renews its cookie, a running job continues."""
    carol = kernel.login("carol", expires_at=soon(-5), expiry_source="estimated")
    assert carol.run("s = get_session(); (asked(), s.state, s.seconds_left)").value == (
        "carol",
        "active",
        0.0,
    )


def test_a_renewed_session_goes_on(kernel, alice):
    """An update or a stamp with a later end makes a session valid again."""
    end = soon(0.01)
    carol = kernel.login("carol", expires_at=end, expiry_source="jwt")
    assert carol.run("s = get_session(); until(s, 'expired'); asked()").value == EXPIRED
    later = {"expires_at": soon(60), "expiry_source": "jwt"}
    kernel.end.tell("renewed", login_of("carol", revision=1, **later))
    assert carol.run("(asked(), s.state, s.seconds_left > 50)").value == ("carol", "active", True)
    kernel.end.tell("expired", login_of("carol", revision=2, state="expired", **later))
    assert carol.run("(asked(), s.state)").value == (EXPIRED, "expired")
    again = kernel.login("carol", revision=3, **later)
    assert again.run("(asked(), s.state)").value == ("carol", "active")


def test_a_stamp_may_say_that_it_is_over(kernel, bob):
    """Under the policy ``flag`` messages of a login that is over reach the kernel."""
    carol = kernel.login("carol", state="signed_out", revision=2)
    assert carol.run("(asked(), get_session().state)").value[1] == "signed_out"
    assert bob.run("asked()").value == "bob"


def test_the_kernel_asks_for_updates_until_it_is_answered(kernel, alice, bob):
    """A new login makes the kernel ask for updates again, and the answer's state is stored.

    That may be the first login that it sees of a server that was started anew.
    """
    code = "for _ in range(100):\n    time.sleep(0.01)\n    asked()"
    alice.run(code)
    alice.run("asked()")
    first, again = (kernel.end.next_request(watch=True) for _ in range(2))
    assert first == again
    over = login_of("alice", state="revoked", revision=1)
    reply = Reply(first[1].id, {"sessions": [over.to_wire()]})
    kernel.end.send_answer(first[0], reply.to_wire())
    cell = alice.start("s = get_session(); until(s, 'revoked'); asked()")
    assert alice.result(cell).value == REVOKED
    assert bob.run("asked()").value == "bob"
    kernel.end.next_request(watch=True)
    kernel.end.send_answer(first[0], Reply(first[1].id, {"sessions": []}).to_wire())
    assert alice.run("asked()").value == REVOKED


def test_a_restarted_kernel_asks_anew(kernel, alice):
    """A new process has not asked yet."""
    alice.run("asked()")
    before = kernel.end.next_request(watch=True)
    kernel.restart()
    end, alice = kernel.server(), kernel.person("alice")
    alice.run(PRELUDE)
    alice.run("asked()")
    assert end.next_request(watch=True) != before


# ----------------------------------------------------------------------------------- callbacks

LISTEN = """
told = globals().setdefault("told", [])
def callback(session, name={0!r}):
    told.append((name, session.user.username, session.state, time.time(),
                 asked(), asked(allow_expired=True), get_session().user.username))
    print({0!r}, "heard", session.state)
cancel_{0} = on_session_change(callback)
"""


def heard(person, count: int) -> list:
    """Return the callbacks' events, once there are that many and a moment has passed."""
    code = (
        f"end = time.time() + 5\nwhile len(told) < {count} and time.time() < end:\n"
        "    time.sleep(0.01)\n"
        "time.sleep(0.7); told"
    )
    return person.run(code).value


def test_callbacks_in_the_context_of_whoever_registered_them(kernel, alice, bob):
    """Alice's callback is called within a second, as Alice, while Bob's cell runs."""
    cell = alice.start(LISTEN.format("hers"))
    alice.result(cell)
    bob.run(LISTEN.format("his"))
    blocking = bob.start("input(); time.sleep(1.5); asked()")
    bob.until_input()
    bob.answer()
    sent_at = kernel.end.tell("revoked", login_of("alice", state="revoked", revision=1))
    (call,) = heard(bob, 1)
    assert bob.result(blocking).value == "bob"
    assert call[:3] == ("hers", "alice", "revoked")
    assert call[3] - sent_at < 1
    assert call[4:] == (REVOKED, "alice", "alice")
    assert "hers heard revoked" in alice.printed_later(cell, "heard")


def test_a_callback_that_fails_harms_nobody(kernel, alice, bob):
    """Any error is logged with its traceback, and the next callback is called."""
    cell = alice.start(
        "import sys\ndef broken(session): raise KeyError('my mistake')\n"
        "def leaving(session): sys.exit(1)\n"
        "on_session_change(broken); on_session_change(leaving)"
    )
    alice.result(cell)
    alice.run(LISTEN.format("hers"))
    for revision, event in ((1, "expiring"), (2, "expired")):
        kernel.end.tell(event, login_of("alice", state=event, revision=revision))
        assert [call[2] for call in heard(bob, revision)][-1] == event
    printed = alice.printed_later(cell, "KeyError: 'my mistake'")
    assert "a callback of on_session_change failed" in printed
    assert "in broken" in printed
    assert bob.run("asked()").value == "bob"


def test_cancelled(kernel, alice, bob):
    """After cancelling, once or twice, nothing is called any more."""
    alice.run(LISTEN.format("first"))
    alice.run(LISTEN.format("second"))
    alice.run("cancel_first(); cancel_first()")
    kernel.end.tell("expiring", login_of("alice", state="expiring", revision=1))
    assert [call[0] for call in heard(bob, 1)] == ["second"]


def test_every_event_once(kernel, alice, bob):
    """Each change is reported once and in order, also a renewal and the same user's new login.

    A renewal without a change is not reported, nor is the end of an ended login.
    """
    alice.run(LISTEN.format("hers"))
    changes = [
        ("expiring", "expiring"),
        ("renewed", "active"),
        ("renewed", "active"),
        ("expiring", "expiring"),
        ("expired", "expired"),
        ("expired", "expired"),
        ("renewed", "active"),
        ("signed_out", "signed_out"),
    ]
    for revision, (event, state) in enumerate(changes, 1):
        later = {"expires_at": soon(600 + 60 * revision), "expiry_source": "estimated"}
        kernel.end.tell(event, login_of("alice", state=state, revision=revision, **later))
        heard(bob, 0)
        kernel.end.tell(event, login_of("alice", state=state, revision=revision, **later))
    kernel.end.tell("started", login_of("alice", id="another"))
    kernel.end.tell("started", login_of("bob", id="a third"))
    states = [call[2] for call in heard(bob, 8)]
    expected = [state for _, state in changes]
    del expected[5]
    assert states == [*expected, "active"]


def test_one_story_for_the_logins_of_one_person(kernel, alice, bob):
    """She signs in again before the end, and once more after it; the best login counts.

    Another user of the same name has events of his own, and so has Bob.
    """
    first = {"expires_at": soon(300), "expiry_source": "jwt"}
    second = {"id": "second", "expires_at": soon(600), "expiry_source": "jwt"}
    other = {"id": "other", "principal": "claimed"}
    kernel.end.tell("renewed", login_of("alice", revision=1, **first))
    alice.run(LISTEN.format("hers"))
    bob.run(LISTEN.format("his"))
    for event, session in (
        ("expiring", login_of("alice", state="expiring", revision=2, **first)),
        ("started", login_of("alice", **second)),
        ("started", login_of("alice", **other)),
        ("expiring", login_of("alice", state="expiring", revision=1, **second)),
        ("expired", login_of("alice", state="expired", revision=3, **first)),
        ("revoked", login_of("alice", state="revoked", revision=1, **other)),
        ("expired", login_of("alice", state="expired", revision=2, **second)),
        ("started", login_of("alice", id="third")),
    ):
        kernel.end.tell(event, session)
        heard(bob, 0)
    told = heard(bob, 5)
    assert {call[:2] for call in told} == {("hers", "alice")}
    assert [call[2] for call in told] == ["expiring", "active", "expiring", "expired", "active"]
    assert [call[4] for call in told[2:]] == ["alice", EXPIRED, "alice"]


def test_an_exact_end_is_told_without_updates_and_once(kernel, bob):
    """The clock ends it for the callbacks too; the server's word that follows is no second end."""
    end = {"expires_at": soon(1.5), "expiry_source": "jwt"}
    carol = kernel.login("carol", **end)
    carol.run(LISTEN.format("hers"))
    (call,) = heard(bob, 1)
    assert call[2] == "expired"
    assert call[3] - end["expires_at"].timestamp() < 1
    kernel.end.tell("expired", login_of("carol", state="expired", revision=1, **end))
    assert len(heard(bob, 2)) == 1


def test_what_the_answer_says_is_told(kernel, alice, bob):
    """The answer to the request for updates reports a change that happened before."""
    alice.run(LISTEN.format("hers"))
    comm_id, request = kernel.end.next_request(watch=True)
    over = login_of("alice", state="revoked", revision=1)
    kernel.end.send_answer(comm_id, Reply(request.id, {"sessions": [over.to_wire()]}).to_wire())
    assert [call[:3] for call in heard(bob, 1)] == [("hers", "alice", "revoked")]


def test_registered_when_it_is_over_already(kernel, alice, bob):
    """A state from before the registration is not reported; a later one is."""
    alice.run("asked()")
    kernel.end.tell("expired", login_of("alice", state="expired", revision=1))
    alice.run(LISTEN.format("hers"))
    assert heard(bob, 1) == []
    kernel.end.tell("renewed", login_of("alice", revision=2))
    assert [call[2] for call in heard(bob, 1)] == ["active"]


def test_one_thread_for_all(kernel, alice, bob):
    """Callbacks run one after another, in one thread that does not keep the process alive."""
    alice.run("import threading; threads = set()")
    code = "for _ in range(3): on_session_change(lambda s: threads.add(threading.current_thread()))"
    for person in (alice, bob):
        person.run(code)
    for name in ("alice", "bob"):
        kernel.end.tell("expiring", login_of(name, state="expiring", revision=1))
    alice.run("time.sleep(0.5)")
    assert alice.run("[(t.name, t.daemon) for t in threads]").value == [
        ("jupyter_session_user.updates", True)
    ]


@pytest.mark.parametrize("argument", ["None", "'x'", "coroutine"])
def test_only_plain_functions(kernel, alice, argument):
    """An object that cannot be called is refused at once, not in a thread later."""
    alice.run("async def coroutine(session): ...")
    reply = alice.run(f"on_session_change({argument})").reply
    assert reply["ename"] == "WrongArgument"


def test_no_user_no_callback(python):
    """Without a current user there is no login to follow."""
    code = (
        "from jupyter_session_user import *\ntry: on_session_change(print)\n"
        "except IdentityUnavailable as error: print(error.reason)"
    )
    assert python("-c", code) == "not_in_kernel"

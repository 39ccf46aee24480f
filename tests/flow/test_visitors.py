"""The user of a visitor: on a kernel that a runner made, and at the first request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from local_server import LocalServer
from people import Person
from servers import json_lines, kernel_of, opened, own_server, username

from jupyter_session_user.core.cookies import parse_cookie_headers
from jupyter_session_user.core.policy import CookiePolicy
from jupyter_session_user.core.protocol import OPERATIONS, Reply, Request
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.stamp import session_stamp
from jupyter_session_user.core.user import User
from jupyter_session_user.server.messages.bridge import Answers
from jupyter_session_user.store.base import Record
from jupyter_session_user.store.memory import MemoryStore

TOKEN = "t" * 48


def record(name: str, kernel_id: str) -> Record:
    """Return the record of a user's session on a kernel."""
    session = Session(f"session of {name}", User(name), "test", verified=True, kernel_id=kernel_id)
    cookies = parse_cookie_headers([f"colour={name}s"])
    return Record(session, f"key {name}", f"user:{name}", session_stamp(session), cookies)


ALICE, BOB = record("alice", "made for alice"), record("bob", "shared")


@pytest.fixture
def answers() -> Answers:
    """Return the answers of a server: one kernel made for alice, one that bob started."""
    store = MemoryStore(10)
    for known in (ALICE, BOB):
        store.put(known)
    owners = {("user:alice", "made for alice"), ("user:bob", "shared")}
    made = Answers(
        store,
        CookiePolicy(),
        lambda person, kernel_id: (person, kernel_id) in owners,
        {"made for alice": ALICE}.get,
        lambda: "secret",
    )
    made.issue = lambda record, *_: {"token": record.session.user.username}

    async def lend(record, *_):
        return {"user": record.session.user.username}

    made.lend = made.exchange = lend
    return made


def test_a_runners_kernel_may_ask_who_its_visitor_is(answers):
    """Without a session id, the kernel gets its visitor's session; an id makes no difference."""
    for claimed in ("", "session of bob", "unknown"):
        reply = answers.answer("made for alice", Request("1", "visitor", claimed))
        assert Session.from_wire(reply.result["session"]).user.username == "alice"
        assert "cookies" not in reply.result


@pytest.mark.parametrize("claimed", ["", "session of bob", "session of alice"])
@pytest.mark.parametrize("kernel_id", ["shared", "unknown"])
def test_no_other_kernel_has_a_visitor(answers, kernel_id, claimed):
    """A shared or removed kernel gets no session by asking."""
    reply = answers.answer(kernel_id, Request("1", "visitor", claimed))
    assert (reply.error, reply.result) == ("no_session", {})


@pytest.mark.parametrize("operation", sorted(OPERATIONS - {"visitor", "watch"}))
async def test_a_session_of_another_kernel_is_refused(answers, operation):
    """A kernel gets answers about its own sessions only, with every operation."""
    for kernel_id, theirs in (("shared", ALICE), ("made for alice", BOB)):
        request = Request("1", operation, theirs.session.id, name="colour")
        reply = answers.answer(kernel_id, request)
        assert (reply.error, reply.result) == ("no_session", {})
        own = answers.answer(theirs.session.kernel_id, request)
        own = own if isinstance(own, Reply) else await own
        assert own.error == "" and own.result


def test_updates_are_of_the_sessions_on_this_kernel_whichever_is_named(answers):
    """``watch`` names no session; the id of another kernel's session reveals nothing."""
    for kernel_id, theirs in (("shared", ALICE), ("made for alice", BOB)):
        reply = answers.answer(kernel_id, Request("1", "watch", theirs.session.id))
        assert theirs.session.id not in json.dumps(reply.result)


def test_a_visitor_who_moved_on_is_not_another_kernels(answers):
    """A session of another kernel is never in the answer, whatever the store returns."""
    wrong = Answers(MemoryStore(1), CookiePolicy(), lambda *_: True, lambda _: BOB, lambda: "s")
    assert wrong.answer("made for alice", Request("1", "visitor", "")).error == "no_session"


@pytest.fixture(scope="module")
def token_server() -> Iterator[LocalServer]:
    """Run a server with Jupyter's defaults: the token is enough, and names no user."""
    xsrf = "--ServerApp.disable_check_xsrf=True"
    with own_server(f"--IdentityProvider.token={TOKEN}", xsrf) as running:
        yield running


ME = f"api/session-user/me?{urlencode({'token': TOKEN})}"
NAVIGATION = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def first_visit(server: LocalServer) -> tuple[Person, dict]:
    """Return a browser that opened an address with the token, and its session."""
    browser = Person(server.url, NAVIGATION)
    return browser, await browser.json(ME)


async def test_the_first_visit_is_of_the_session_that_the_cookie_continues(token_server):
    """A page with ``?token=`` sets a login cookie; its kernel belongs to that session.

    The trap: the request itself shows the token alone, so that its session would be another
    than the next request's, and a page's kernel not its visitor's.
    """
    browser, first = await first_visit(token_server)
    assert any(name.startswith("username-") for name in browser.cookies)
    for path in ("api/session-user/me", ME):
        later = await browser.json(path)
        assert (later["id"], later["user"]) == (first["id"], first["user"])
    async with kernel_of(browser) as kernel_id, opened(browser, kernel_id) as socket:
        assert await username(socket) == first["user"]["username"]
        mine = await browser.json("api/session-user/sessions")
        assert [m["owns_kernel"] for m in mine if m["kernel_id"] == kernel_id] == [True]


async def test_two_browsers_with_one_token_are_two_people(token_server):
    """Each browser has its own session and name, and owns only its own kernel."""
    (one, first), (two, second) = [await first_visit(token_server) for _ in range(2)]
    assert first["id"] != second["id"]
    assert first["user"]["username"] != second["user"]["username"]
    async with kernel_of(one) as kernel_id:
        async with opened(one, kernel_id) as hers, opened(two, kernel_id) as his:
            assert await username(hers) == first["user"]["username"]
            assert await username(his) == second["user"]["username"]
        for person, owns in ((one, True), (two, False)):
            mine = await person.json("api/session-user/sessions")
            assert [m["owns_kernel"] for m in mine if m["kernel_id"] == kernel_id] == [owns]


class Script(Person):
    """A program that calls the API and keeps no cookies."""

    def keep_cookies(self, response: object) -> None:
        """Store nothing."""


@pytest.mark.parametrize("accept", ["", "application/json", "*/*"])
async def test_a_program_without_cookies_keeps_one_session(token_server, accept):
    """The program sends its token with every request, and is one user without cookies."""
    headers = {"Authorization": f"token {TOKEN}", **({"Accept": accept} if accept else {})}
    script, twin = Script(token_server.url, headers), Script(token_server.url, headers)
    seen = [await p.json("api/session-user/me") for p in (script, twin, script)]
    assert len({s["id"] for s in seen}) == len({s["user"]["username"] for s in seen}) == 1
    _, visit = await first_visit(token_server)
    assert visit["id"] != seen[0]["id"] == (await script.json("api/session-user/me"))["id"]


async def test_a_plain_kernels_cells_have_their_own_person_and_no_visitor(token_server):
    """On a kernel without a runner, both browsers' cells have their own users."""
    (one, first), (two, second) = [await first_visit(token_server) for _ in range(2)]
    code = (
        "import json; from jupyter_session_user import get_session\n"
        "s = get_session().refresh(); print(json.dumps([s.user.username, s.verified]))"
    )
    async with kernel_of(one) as kernel_id:
        for person, session in ((one, first), (two, second)):
            async with opened(person, kernel_id) as socket:
                assert await json_lines(socket, code) == [[session["user"]["username"], True]]

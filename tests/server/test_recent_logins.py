"""A login is found once for the same credentials, and anew as soon as anything differs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_server.auth.identity import IdentityProvider, User
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.web import Application, RequestHandler

from jupyter_session_user.core.login import Login
from jupyter_session_user.core.user import User as OurUser
from jupyter_session_user.server.auth import recent_logins
from jupyter_session_user.server.auth.recent_logins import RecentLogins


class GroupUser(User):
    """A user with more fields."""


def user(name: str, **fields: Any) -> User:
    """Return the provider's user, a new object for each request."""
    made = GroupUser(name)
    vars(made).update(fields)
    return made


PROVIDER = IdentityProvider()


def request(**headers: str) -> Any:
    """Return the handler of a request with these headers."""
    connection: Any = SimpleNamespace(set_close_callback=lambda _: None, context=None)
    sent = HTTPServerRequest(
        start_line=RequestStartLine("GET", "/", "HTTP/1.1"),
        headers=HTTPHeaders({"Host": "h", **headers}),
        connection=connection,
    )
    handler: Any = RequestHandler(Application(identity_provider=PROVIDER), sent)
    handler.identity_provider = handler.settings["identity_provider"]
    return handler


class Finds:
    """Counts how often a login was found."""

    def __init__(self, *resolvers: Any) -> None:
        self.found: list[str] = []
        self.recent = RecentLogins(resolvers, self._find)

    def _find(self, handler: Any, user: User) -> Login:
        del handler
        self.found.append(user.username)
        return Login(f"{len(self.found)}", f"user:{user.username}", OurUser(user.username), True)


COOKIE, ITS_RESOLVER = {"Cookie": "login=a"}, SimpleNamespace(by_login_cookie=True)


def test_the_same_credentials_are_read_once():
    """Requests of two browsers in turns: each gets its own login, which was found once."""
    finds = Finds(ITS_RESOLVER)
    for _ in range(3):
        for name in ("alice", "bob"):
            login = finds.recent.of(request(Cookie=f"login={name}"), user(name, groups=("x",)))
            assert login.principal == f"user:{name}"
    assert finds.found == ["alice", "bob"]


@pytest.mark.parametrize(
    ("headers", "who"),
    [
        (COOKIE, user("bob")),
        (COOKIE, user("alice", groups=("admins",))),
        (COOKIE, user("alice", admin=1)),
        (COOKIE, User("alice")),
        ({"Cookie": "login=b"}, user("alice")),
        ({}, user("alice")),
        ({**COOKIE, "Authorization": "token t"}, user("alice")),
        ({**COOKIE, "Host": "other"}, user("alice")),
    ],
    ids=["user", "groups", "type", "class", "cookie", "no cookie", "token", "host"],
)
def test_anything_else_is_another_login(headers, who):
    """Two requests that differ in one thing do not share a login, in either order."""
    finds = Finds()
    first = (
        request(**COOKIE),
        user("alice", admin=True) if "admin" in vars(who) else user("alice"),
    )
    logins = [finds.recent.of(*first), finds.recent.of(request(**headers), who)]
    assert len({login.key for login in logins}) == 2
    assert finds.recent.of(*first) is logins[0]


def test_a_user_that_can_change_in_place_is_read_each_time():
    """A provider may keep one user, and change the list of groups in it."""
    finds, alice = Finds(), user("alice", groups=["x"])
    for _ in range(2):
        finds.recent.of(request(**COOKIE), alice)
    assert len(finds.found) == 2


def test_a_response_with_a_cookie_is_read_each_time():
    """It may begin a login."""
    finds = Finds()
    for _ in range(2):
        handler = request(**COOKIE)
        handler.set_cookie("login", "b")
        finds.recent.of(handler, user("alice"))
    assert len(finds.found) == 2


def test_other_resolvers_are_asked_each_time():
    """They may read anything in a request."""
    finds = Finds(ITS_RESOLVER, SimpleNamespace())
    for _ in range(2):
        finds.recent.of(request(**COOKIE), user("alice"))
    assert len(finds.found) == 2


def test_it_is_bounded_in_time_and_number(monkeypatch):
    """A signed cookie becomes too old some day, and a client may send any number of cookies."""
    finds, limit = Finds(), recent_logins._MOST
    monkeypatch.setattr(recent_logins, "_KEPT_S", 0.0)
    for _ in range(2):
        finds.recent.of(request(**COOKIE), user("alice"))
    assert len(finds.found) == 2
    for number in range(limit + 5):
        finds.recent.of(request(Cookie=f"login={number}"), user("bob"))
    assert len(finds.recent._logins) == limit

"""A server extension for the tests: sets the clocks, and removes users at the provider.

``GET  api/clock``         both clocks, in seconds
``POST api/clock``         moves them: ``wall`` and ``monotonic`` in seconds; ``look`` has the
                           server notice at once, instead of within a quarter of a second
``POST api/clock/people``  ``removed``: whom the identity provider lets in no more; then the
                           authority is asked again about all logins with open websockets

The clocks stand still otherwise, so that a model can say exactly what they show.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import secrets
import time
from typing import Any

from jupyter_server.auth.identity import User
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from jupyter_session_user.core.lifecycle import Moment
from jupyter_session_user.server.auth.revalidation import Authority, Pace, Revalidation
from jupyter_session_user.testing.demo_identity import DemoIdentityProvider

OBSERVER = "observer"
AHEAD_S = 1_000_000.0


class RemovingIdentityProvider(DemoIdentityProvider):
    """The demo users; a test can remove them, and each login has a cookie of its own.

    A client with the server's token is the observer: no timeout ends its login.
    """

    removed: frozenset[str] = frozenset()

    def user_to_cookie(self, user: User) -> str:
        """Return a cookie that differs from that of a login within the same second."""
        fields = json.loads(super().user_to_cookie(user))
        return json.dumps({**fields, "nonce": secrets.token_hex(8)})

    def user_from_cookie(self, cookie_value: str) -> User | None:
        """Return the user that the signed cookie names, unless the user was removed."""
        user = super().user_from_cookie(cookie_value)
        return None if user is None or user.username in self.removed else user

    def process_login_form(self, handler: Any) -> User | None:
        """Return the user of the form's name and password, unless the user was removed."""
        user = super().process_login_form(handler)
        return None if user is None or user.username in self.removed else user

    def generate_anonymous_user(self, handler: Any) -> User:
        """Return the observer."""
        del handler
        return User(OBSERVER)


class Clock:
    """Two clocks that stand still.

    The wall clock is days ahead of the kernel's own, which is the true one: a kernel never
    finds a login over before the server does.
    """

    def __init__(self) -> None:
        self.now = Moment(float(int(time.time())) + AHEAD_S, float(int(time.monotonic())))

    def __call__(self) -> Moment:
        """Return the times of the clocks."""
        return self.now


CLOCK = Clock()


class ClockHandler(APIHandler):
    """The clocks."""

    @web.authenticated
    async def get(self) -> None:
        """Answer with their times."""
        self.finish(json.dumps(dataclasses.asdict(CLOCK.now)))

    @web.authenticated
    async def post(self) -> None:
        """Move the clocks."""
        body: Any = self.get_json_body()
        now = CLOCK.now
        CLOCK.now = Moment(now.wall + body["wall"], now.monotonic + body["monotonic"])
        if body["look"]:
            self.settings["jupyter_session_user"].logins.tick()
        self.finish(json.dumps(dataclasses.asdict(CLOCK.now)))


class PeopleHandler(APIHandler):
    """The users that the provider accepts."""

    @web.authenticated
    async def post(self) -> None:
        """Set the users, validate all logins again, and answer afterwards."""
        body: Any = self.get_json_body()
        self.identity_provider.removed = frozenset(body["removed"])
        context = self.settings["jupyter_session_user"]
        authority = Authority(lambda: self.application, context.gate, context.capture, ())
        pace = Pace(interval=None, timeout=10, concurrency=4, rate=30)
        asking = Revalidation(
            context.logins, authority, pace, monotonic=time.monotonic, log=self.log
        )
        with_sockets = [login for login in context.logins if login.sockets]
        await asyncio.gather(*(asking._ask(login) for login in with_sockets))
        self.finish("{}")


ROUTES = [(r"api/clock", ClockHandler), (r"api/clock/people", PeopleHandler)]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "clock_extension"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    """Add the routes."""
    base = serverapp.web_app.settings["base_url"]
    serverapp.web_app.add_handlers(".*$", [(url_path_join(base, p), cls) for p, cls in ROUTES])


async def _start_jupyter_server_extension(serverapp: Any) -> None:
    """Replace the server's clocks, after all extensions have loaded."""
    logins = serverapp.web_app.settings["jupyter_session_user"].logins
    logins._clock = logins.ended._clock = CLOCK

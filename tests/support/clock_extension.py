"""A server extension for the tests: they set the clocks, and throw people out at the provider.

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
from jupyter_session_user.server.revalidation import Authority, Revalidation
from jupyter_session_user.testing.demo_identity import DemoIdentityProvider

OBSERVER = "observer"
AHEAD_S = 1_000_000.0


class RemovingIdentityProvider(DemoIdentityProvider):
    """The demo people; they can be removed, and each login has a cookie of its own.

    Who shows the server's token is the observer: a client whose login no timeout ends.
    """

    removed: frozenset[str] = frozenset()

    def user_to_cookie(self, user: User) -> str:
        """Return a cookie that differs from that of a login within the same second."""
        fields = json.loads(super().user_to_cookie(user))
        return json.dumps({**fields, "nonce": secrets.token_hex(8)})

    def user_from_cookie(self, cookie_value: str) -> User | None:
        """Return the person whom the signed cookie names, unless he has been removed."""
        user = super().user_from_cookie(cookie_value)
        return None if user is None or user.username in self.removed else user

    def process_login_form(self, handler: Any) -> User | None:
        """Return the person whose name and password stand in the form, unless removed."""
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
        """Return what they show."""
        return self.now


CLOCK = Clock()


class ClockHandler(APIHandler):
    """The clocks."""

    @web.authenticated
    async def get(self) -> None:
        """Answer with what they show."""
        self.finish(json.dumps(dataclasses.asdict(CLOCK.now)))

    @web.authenticated
    async def post(self) -> None:
        """Move them."""
        body: Any = self.get_json_body()
        now = CLOCK.now
        CLOCK.now = Moment(now.wall + body["wall"], now.monotonic + body["monotonic"])
        if body["look"]:
            self.settings["jupyter_session_user"].logins.tick()
        self.finish(json.dumps(dataclasses.asdict(CLOCK.now)))


class PeopleHandler(APIHandler):
    """Whom the provider lets in."""

    @web.authenticated
    async def post(self) -> None:
        """Set it, and ask about everybody who is there; answer when that is through."""
        body: Any = self.get_json_body()
        self.identity_provider.removed = frozenset(body["removed"])
        context = self.settings["jupyter_session_user"]
        authority = Authority(lambda: self.application, context.gate, context.capture)
        asking = Revalidation(
            context.logins,
            authority,
            interval=None,
            timeout=10,
            concurrency=4,
            monotonic=time.monotonic,
            log=self.log,
        )
        with_sockets = [login for login in context.logins if login.sockets]
        await asyncio.gather(*(asking._ask(login) for login in with_sockets))
        self.finish("{}")


ROUTES = [(r"api/clock", ClockHandler), (r"api/clock/people", PeopleHandler)]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "clock_extension"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    """Serve the routes."""
    base = serverapp.web_app.settings["base_url"]
    serverapp.web_app.add_handlers(".*$", [(url_path_join(base, p), cls) for p, cls in ROUTES])


async def _start_jupyter_server_extension(serverapp: Any) -> None:
    """Give the server our clocks, now that all extensions have loaded."""
    serverapp.web_app.settings["jupyter_session_user"].logins._clock = CLOCK

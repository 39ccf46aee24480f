"""Jupyter Server's ``CallContext``: a request's handler is not that of another request."""

from __future__ import annotations

import asyncio
from contextvars import Context

import pytest
from jupyter_server.base.call_context import CallContext

from jupyter_session_user.server.auth.origin import in_no_request
from jupyter_session_user.upstream.jupyter_server import keep_contexts_apart

NAME = CallContext.JUPYTER_HANDLER


class Shared:
    """As ``CallContext`` of jupyter_server 2.16: it changes the dictionary that it inherited."""

    _name_value_map = CallContext._name_value_map

    @classmethod
    def get(cls, name):
        """Return a value."""
        return cls._name_value_map.get({}).get(name)

    @classmethod
    def set(cls, name, value):
        """Set it, in the dictionary of the context that had one first."""
        if not cls._name_value_map.get(None):
            cls._name_value_map.set({})
        cls._name_value_map.get()[name] = value


async def two_requests(call_context):
    """Return what two requests at once read after they have set their handlers."""

    async def request(name):
        call_context.set(NAME, name)
        await asyncio.sleep(0)
        return call_context.get(NAME)

    # The server listens in a context that has a dictionary already.
    call_context.set(NAME, None)
    return await asyncio.gather(request("alice"), request("bob"))


@pytest.mark.parametrize("kind", ["installed", "shared"])
def test_two_requests_have_handlers_of_their_own(kind):
    """The obvious use of a release that shares the dictionary gives bob to both."""
    call_context = CallContext if kind == "installed" else type("Own", (Shared,), {})
    if kind == "shared":
        assert Context().run(asyncio.run, two_requests(call_context)) == ["bob", "bob"]
    for _ in range(2):
        keep_contexts_apart(call_context)
    assert Context().run(asyncio.run, two_requests(call_context)) == ["alice", "bob"]


def test_code_outside_a_request_leaves_the_request_alone():
    """A server that starts to listen inside a request takes nothing from it."""

    def in_a_request():
        CallContext.set(NAME, "alice")
        assert in_no_request(CallContext.get, NAME) is None
        return CallContext.get(NAME)

    keep_contexts_apart(CallContext)
    assert Context().run(in_a_request) == "alice"

"""The access token of Panel's own login: in clear, the renewed one, and none of another visitor."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_session_user import (
    AccessTokenUnavailable,
    ConsentRequired,
    User,
    bind_current_user,
    get_access_token,
)
from jupyter_session_user.hosts import panel
from jupyter_session_user.hosts.base import HostRequest, Visitor


@pytest.fixture
def state(need) -> Iterator[Any]:
    """Return Panel's state, with a key as ``--oauth-encryption-key`` sets it."""
    need(importlib.util.find_spec("panel"), "panel is missing")
    from cryptography.fernet import Fernet
    from panel.io.state import state as found

    found.encryption = Fernet(Fernet.generate_key())
    yield found
    found.encryption = None
    found._oauth_user_overrides.clear()


def visitor(state: Any, name: str, *, ends_in: float = 600, verified: bool = True) -> Any:
    """Return the session of a visitor with the cookies of Panel's login."""
    token = state.encryption.encrypt(f"token-of-{name}".encode()).decode()
    signed = {"user": name, "access_token": token, "oauth_expiry": str(int(time.time() + ends_in))}
    headers = ["; ".join(f"{each}=x" for each in signed)]
    request = HostRequest(headers, signed=lambda cookie, _days: signed[cookie])
    request.own_token = panel._own_token
    return Visitor("panel", User(name), verified=verified, request=request).session()


def token_of(session: Any) -> str:
    """Return what this visitor's code gets."""
    with bind_current_user(session=session):
        return str(get_access_token("trino"))


def test_each_visitor_has_the_own_token_in_clear(state):
    """The cookie of the token is ciphertext; a renewed token is its visitor's alone."""
    alice, bob = visitor(state, "alice"), visitor(state, "bob")
    assert (token_of(alice), token_of(bob)) == ("token-of-alice", "token-of-bob")
    renewed = {"access_token": "newer-of-alice", "expiry": time.time() + 900}
    state._oauth_user_overrides["alice"] = renewed
    assert (token_of(alice), token_of(bob)) == ("newer-of-alice", "token-of-bob")
    assert not {"token-of-alice", "newer-of-alice"} & {repr(alice), str(alice.request)}


def test_an_ended_token(state):
    """The cookie's end counts, until Panel has a renewed token."""
    alice, bob = visitor(state, "alice", ends_in=-5), visitor(state, "bob")
    with pytest.raises(ConsentRequired, match="log in again"):
        token_of(alice)
    assert token_of(bob) == "token-of-bob"
    state._oauth_user_overrides["alice"] = {"access_token": "newer", "expiry": None}
    assert token_of(alice) == "newer"
    state._oauth_user_overrides["alice"] = {}  # Panel is asking for it
    with pytest.raises(ConsentRequired):
        token_of(alice)


def test_who_is_not_verified_has_none(state):
    """A visitor whom no login has named gets no token, whatever the cookies say."""
    for name in ("alice", "bob"):
        with pytest.raises(AccessTokenUnavailable) as caught:
            token_of(visitor(state, name, verified=False))
        assert caught.value.reason == "no_server"

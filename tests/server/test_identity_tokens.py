"""The server's decision on identity tokens, without a server: agents, names, ends."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_session_user import (
    IdentityTokenUnavailable,
    SessionExpired,
    User,
    verify_identity_token,
)
from jupyter_session_user.server.auth.identity_tokens import IdentityTokens, Terms
from jupyter_session_user.tokens.keys import SigningKeys, make_file

ISSUER, AUDIENCE = "https://jupyter.example.org/api/session-user", "https://data.example.org"


@pytest.fixture
def tokens(tmp_path) -> IdentityTokens:
    """Return the issuer of a server."""
    make_file(tmp_path / "keys.json", time.time())
    terms = Terms(ISSUER, frozenset({AUDIENCE}))
    return IdentityTokens(SigningKeys(tmp_path / "keys.json"), terms)


def record(name: str, principal: str = "", **session: Any) -> Any:
    """Return what the issuer reads of a record."""
    fields = {"verified": True, "expires_at": None, "expiry_source": "", "actor": None, **session}
    return SimpleNamespace(
        session=SimpleNamespace(user=User(name), **fields),
        principal=principal or f"user:{name}",
        credential="cookie",
        key=f"key of {name}",
    )


def issue(tokens: IdentityTokens, of: Any, lifetime: float = 300, *, alone: bool = True) -> Any:
    """Return the verified claims of a new token."""
    result = tokens.issue(of, AUDIENCE, lifetime, alone=alone, spoke=True)
    return verify_identity_token(result["token"], tokens.public(), AUDIENCE, issuer=ISSUER)


def test_an_agent_is_named_by_its_id(tokens):
    """``act`` has the id of the agent, since names are not unique; the person stays the subject."""
    for person, agent in (("alice", "agent-1"), ("bob", "agent-2")):
        actor = SimpleNamespace(kind="agent", client_id=agent, name="helper", verified=True)
        said = issue(tokens, record(person, actor=actor))
        assert (said.username, said.actor) == (person, agent)
        assert issue(tokens, record(person)).actor is None


@pytest.mark.parametrize(
    ("principal", "changes"),
    [
        ("service:alice", {}),
        ("platform:alice", {}),
        ("claimed:user:alice", {}),
        ("user:bob", {}),
        ("token:0", {}),
        ("", {"verified": False}),
    ],
)
def test_a_name_without_an_account_is_refused(tokens, principal, changes):
    """A service, a platform's cookie or an unverified name may look like alice, and is not."""
    assert issue(tokens, record("alice")).username == "alice"
    with pytest.raises(IdentityTokenUnavailable) as caught:
        issue(tokens, record("alice", principal, **changes))
    assert caught.value.reason == "not_verified"


def test_an_exact_end_bounds_the_token(tokens):
    """It ends at an exact end of the login, and not at an estimated or a moving one."""
    end = datetime.fromtimestamp(int(time.time()) + 50, timezone.utc)
    for source in ("jwt", "absolute", "custom"):
        assert (
            issue(tokens, record("alice", expires_at=end, expiry_source=source)).expires_at == end
        )
    for source in ("estimated", "idle", ""):
        later = issue(tokens, record("bob", expires_at=end, expiry_source=source)).expires_at
        assert later > end
    past = datetime.fromtimestamp(time.time() - 1, timezone.utc)
    with pytest.raises(SessionExpired):
        issue(tokens, record("alice", expires_at=past, expiry_source="jwt"))


def test_two_issuers_do_not_share_the_name_of_a_login(tmp_path, tokens):
    """``sid`` of the same login differs between issuers, so services cannot link it."""
    make_file(tmp_path / "other.json", time.time())
    other = IdentityTokens(
        SigningKeys(tmp_path / "other.json"), Terms("https://b.example.org", frozenset({AUDIENCE}))
    )
    first = issue(tokens, record("alice"))
    second = other.issue(record("alice"), AUDIENCE, 300, alone=True, spoke=True)["token"]
    said = verify_identity_token(second, other.public(), AUDIENCE, issuer="https://b.example.org")
    assert first.session_id != said.session_id
    assert issue(tokens, record("alice")).session_id == first.session_id

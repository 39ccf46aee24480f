"""The logins that a server knows, by the identity provider's names."""

from __future__ import annotations

from jupyter_session_user.core.lifecycle import Moment, begin
from jupyter_session_user.server.auth.known_login import KnownLogin
from jupyter_session_user.server.auth.known_logins import KnownLogins


def login(key: str, principal: str) -> KnownLogin:
    """Return a login."""
    names = (f"name of {key}", f"name of {principal}")
    return KnownLogin(key, principal, "cookie", begin(Moment(1e6, 0.0)), names=names)


def test_repeated_names_stand_for_the_login_and_for_no_other():
    """Alice's JWTs share her names; new ones replace the old ones, and bob has his own."""
    known = KnownLogins(10)
    alice, bob = login("a", "alice"), login("b", "bob")
    known.add(alice)
    known.add(bob)
    known.name(bob, ("sub bob", "sid 2"))
    for names in (("sub alice", "sid 1"), ("sub alice", "sid 1", "sub alice", "sid 3"), ("sid 3",)):
        known.name(alice, names)
        assert known.named_by_provider(names) == [alice]
    assert known.named_by_provider(["sub alice", "sid 1"]) == []
    assert known.named_by_provider(["sid 2", "sid 3"]) == [bob, alice]


def test_a_forgotten_login_leaves_nothing_behind():
    """Beyond the limit, alice's login is forgotten with its repeated names; bob's is known."""
    known = KnownLogins(1)
    alice, bob = login("a", "alice"), login("b", "bob")
    known.add(alice)
    known.name(alice, ("sub alice", "sid 1", "sub alice"))
    known.add(bob)
    assert list(known) == [bob]
    assert known.of_principal("alice") == []
    assert known.named_by_provider(["sub alice", "sid 1"]) == []
    assert list(known.named(["name of a", "name of alice"])) == []

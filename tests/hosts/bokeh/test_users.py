"""Results of an auth module, and the users that they name."""

import json
from types import SimpleNamespace

import pytest

from jupyter_session_user.hosts.tornado import user_from


@pytest.mark.parametrize(
    ("said", "username", "name"),
    [
        ("alice", "alice", "alice"),
        (b"alice", "alice", "alice"),
        ('"alice"', "alice", "alice"),  # tornado.escape.json_encode("alice")
        (json.dumps({"email": "a@x.org", "name": "Alice"}), "a@x.org", "Alice"),
        ({"username": "alice", "name": "Alice Adams"}, "alice", "Alice Adams"),
        ({"login": "alice"}, "alice", "alice"),
        (SimpleNamespace(username="alice", name="Alice"), "alice", "Alice"),
        ({"id": 7}, "7", "7"),
        (7, "7", "7"),
        ("{not JSON", "{not JSON", "{not JSON"),
    ],
)
def test_somebody(said, username, name):
    """Text, bytes, JSON, a mapping and an object are all accepted."""
    user = user_from(said)
    assert (user.username, user.name) == (username, name)


@pytest.mark.parametrize("said", [None, "", b"", {}, "{}", '""', {"colour": "red"}])
def test_nobody(said):
    """An answer without a name makes no user."""
    assert user_from(said) is None


def test_groups_and_claims():
    """Groups count if they are a list of text; claims keep only JSON values."""
    user = user_from({"username": "a", "groups": ["x", 3], "more": object(), "n": 1})
    assert user.groups == ("x",)
    assert dict(user.claims) == {"username": "a", "groups": ["x", 3], "n": 1}

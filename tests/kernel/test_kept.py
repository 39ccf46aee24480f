"""What a kernel keeps: by key, until its end by either clock, and never in a forked child."""

from __future__ import annotations

import os
import time

import pytest

from jupyter_session_user.kernel.kept import Kept


class Server:
    """Counts what it gives."""

    def __init__(self, seconds: int = 100) -> None:
        self.given = 0
        self.seconds = seconds

    def __call__(self) -> tuple[int, int]:
        """Return a new value and its lifetime."""
        self.given += 1
        return self.given, self.seconds


def always(left: float, lifetime: int) -> bool:
    """Use a value until its end."""
    return left > 0


def test_a_value_is_used_again_by_its_own_key_alone():
    """Another session's key gets another value."""
    kept, server = Kept(always, most=9), Server()
    assert kept.get(("alice", "trino"), server) == (1, True)
    assert kept.get(("bob", "trino"), server) == (2, True)
    assert kept.get(("alice", "trino"), server) == (1, False)
    kept.forget(("alice", "trino"))
    assert kept.get(("alice", "trino"), server) == (3, True)
    assert kept.get(("bob", "trino"), server) == (2, False)


@pytest.mark.parametrize("clock", ["time", "monotonic"])
def test_either_clock_ends_it(monkeypatch, clock):
    """A wall clock that was set back, or a monotonic one that slept, prolongs nothing."""
    kept, server = Kept(always, most=9), Server()
    kept.get("alice", server)
    now = getattr(time, clock)()
    monkeypatch.setattr(time, clock, lambda: now + 101)
    assert kept.get("alice", server) == (2, True)


def test_the_rule_decides_how_long():
    """It gets the seconds that are left, and the lifetime."""
    seen = []

    def rule(left: float, lifetime: int) -> bool:
        seen.append((left, lifetime))
        return False

    kept, server = Kept(rule, most=9), Server()
    assert [kept.get("alice", server)[0] for _ in range(2)] == [1, 2]
    ((left, lifetime),) = seen
    assert 90 < left <= 100 and lifetime == 100


def test_a_failed_request_keeps_nothing():
    """The next call asks again."""
    kept = Kept(always, most=9)

    def failing() -> tuple[int, int]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        kept.get("alice", failing)
    assert kept.get("alice", Server()) == (1, True)


def test_the_first_goes_first():
    """No more values are kept than that."""
    kept, server = Kept(always, most=2), Server()
    for name in ("alice", "bob", "carol"):
        kept.get(name, server)
    assert kept.get("carol", server) == (3, False)
    assert kept.get("alice", server) == (4, True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_keeps_nothing():
    """Not even while a thread of the parent holds the lock."""
    kept, server = Kept(always, most=9), Server()
    kept.get("alice", server)
    with kept._lock:
        child = os.fork()
        if not child:
            os._exit(0 if kept.get("alice", server) == (2, True) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert kept.get("alice", server) == (1, False)

"""One suite for every list of ended logins: the contract of ``EndedStore``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_session_user.store.base import MAX_RENEWALS, Ended, EndedStore
from jupyter_session_user.store.ended import MemoryEnded
from jupyter_session_user.store.redis import RedisJournal
from jupyter_session_user.store.shared import SharedEnded
from jupyter_session_user.store.sqlite import SqliteJournal


def _redis(request: pytest.FixtureRequest) -> EndedStore:
    return SharedEnded(RedisJournal(request.getfixturevalue("redis_server").url))


def _sqlite(request: pytest.FixtureRequest) -> EndedStore:
    folder: Path = request.getfixturevalue("tmp_path")
    return SharedEnded(SqliteJournal(folder / "ended.sqlite3"))


#: A new implementation needs one more line.
STORES: dict[str, Callable[[pytest.FixtureRequest], EndedStore]] = {
    "memory": lambda _: MemoryEnded(),
    "sqlite": _sqlite,
    "redis": _redis,
}
FAR = 1e12
ALICE, BOB = "user:alice", "user:bob"


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Iterator[EndedStore]:
    """Return each implementation in turn."""
    made = STORES[request.param](request)
    yield made
    made.close()


def test_a_login_is_over_until_nobody_would_accept_it_anyway(store):
    """The end of Bob's login does not end Alice's."""
    store.end("key-b", Ended("signed_out", 10.0, 1_000.0))
    assert [store.ended("key-b", now) for now in (0.0, 999.0)] == [
        ("signed_out", 10.0, 1_000.0)
    ] * 2
    assert store.ended("key-b", 1_000.0) is None
    assert store.ended("key-a", 0.0) is None


def test_the_latest_end_counts(store):
    """A login that is revoked after it expired is revoked."""
    store.end("key-a", Ended("expired", 1.0, FAR))
    store.end("key-a", Ended("revoked", 2.0, FAR))
    assert store.ended("key-a", 3.0) == Ended("revoked", 2.0, FAR)


def test_a_login_can_be_taken_off_the_list(store):
    """Only the named login is removed; an unknown login is no error."""
    for key in ("key-a", "key-b"):
        store.end(key, Ended("expired", 0.0, FAR))
    store.reopen("key-a", 1.0)
    store.reopen("key-c", 1.0)
    assert [store.ended(key, 0.0) is None for key in ("key-a", "key-b", "key-c")] == [1, 0, 1]


def test_the_latest_time_of_a_person_counts(store):
    """If the clock was set back, earlier logins stay ended; Bob's logins are not affected."""
    for seconds in (100, 300, 200):
        store.end_before(ALICE, seconds, FAR)
    assert (store.not_before(ALICE), store.not_before(BOB)) == (300, -1)


def test_a_renewed_cookie_is_that_of_the_same_login(store):
    """The latest cookies of a login are known; Bob's are not Alice's."""
    for number in range(MAX_RENEWALS + 20):
        store.renew("key-a", f"new-{number}", FAR)
    store.renew("key-b", "new-b", FAR)
    assert list(store.renewals("key-a")) == [f"new-{n}" for n in range(20, MAX_RENEWALS + 20)]
    assert store.canonical("new-19") == "new-19"
    assert store.canonical("new-20") == "key-a"
    assert (store.canonical("new-b"), store.canonical("key-b")) == ("key-b", "key-b")
    assert list(store.renewals("key-c")) == []


def test_what_is_long_past_is_forgotten_and_nothing_else(store):
    """Entries are removed by time, not because of the number of logins."""
    for number in range(20_000):
        store.end(f"key-{number}", Ended("revoked", 0.0, 50.0 if number % 2 else 500.0))
    for until in (50.0, 500.0):
        store.end_before(f"user:{until}", 7, until)
        store.renew("key-a", f"new-{until}", until)
    store.forget(100.0)
    assert [store.ended(f"key-{number}", 0.0) is None for number in (0, 1, 19_998, 19_999)] == [
        False,
        True,
        False,
        True,
    ]
    assert [store.not_before(f"user:{until}") for until in (50.0, 500.0)] == [-1, 7]
    assert list(store.renewals("key-a")) == ["new-500.0"]
    assert store.canonical("new-50.0") == "new-50.0"


def test_saving_ends(store):
    """``saved`` also returns if there is nothing to save, and several times."""

    async def save() -> None:
        await store.saved()
        store.end("key-a", Ended("revoked", 0.0, FAR))
        await store.saved()
        await asyncio.gather(*(store.saved() for _ in range(20)))

    asyncio.run(asyncio.wait_for(save(), 10))
    store.close()
    store.close()

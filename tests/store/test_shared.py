"""Servers that share the list of ended logins: one suite for every journal."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from jupyter_session_user.errors import ConfigurationError, StoreUnavailable
from jupyter_session_user.store.base import MAX_RENEWALS, Ended
from jupyter_session_user.store.journal import Change, JournalError
from jupyter_session_user.store.redis import RedisJournal
from jupyter_session_user.store.shared import SharedEnded
from jupyter_session_user.store.sqlite import SqliteJournal

FAR = 1e12
ALICE, BOB = "user:alice", "user:bob"
PATIENCE_S = 20.0
WRONG = '["ended", "x", ["revoked", "now", null]]'


class Server:
    """The list as one server sees it, and the names that other servers changed."""

    def __init__(self, journal):
        self.problems = []
        self.store = SharedEnded(journal, self.problems.append)
        self.told = []
        self.store.follow(self.told.extend, lambda function: function())

    def save(self):
        """Wait until all changes are in the journal."""

        async def wait():
            await self.store.saved()

        asyncio.run(wait())


def eventually(condition):
    """Wait until a condition holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def rows_of(journal):
    """Return all rows of a journal."""
    opened = journal()
    rows = opened.load()
    opened.close()
    return rows


@pytest.fixture(params=["sqlite", "redis"])
def journal(request, tmp_path):
    """Return a function that opens each kind of journal."""
    if request.param == "sqlite":
        return lambda: SqliteJournal(tmp_path / "ended.sqlite3")
    url = request.getfixturevalue("redis_server").url
    return lambda: RedisJournal(url)


@pytest.fixture
def servers(journal):
    """Return a function that starts a server; all of them share a list."""
    running = []

    def start():
        running.append(Server(journal()))
        return running[-1]

    yield start
    for server in running:
        server.store.close()


def test_an_end_on_one_server_is_one_on_the_other(servers):
    """Alice's login ends on both servers, and bob's on none; a server that starts later knows."""
    one, other = servers(), servers()
    one.store.end("key-a", Ended("revoked", 5.0, FAR))
    eventually(lambda: other.store.ended("key-a", 6.0) == Ended("revoked", 5.0, FAR))
    assert other.told == [other.store.name("key-a")]
    assert [server.store.ended("key-b", 6.0) for server in (one, other)] == [None, None]
    one.save()
    assert servers().store.ended("key-a", 6.0) == Ended("revoked", 5.0, FAR)
    assert one.told == []


def test_a_login_is_reopened_on_both_servers(servers):
    """An end that a server noted earlier does not come back."""
    one, other = servers(), servers()
    one.store.end("key-a", Ended("expired", 5.0, FAR))
    eventually(lambda: other.store.ended("key-a", 6.0))
    other.store.reopen("key-a", 7.0)
    eventually(lambda: not one.store.ended("key-a", 8.0))
    assert other.store.ended("key-a", 8.0) is None
    other.save()
    assert servers().store.ended("key-a", 8.0) is None


def state_in(journal, now=9.0):
    """Return how alice's login ended, as a server knows it that starts now; None if it did not."""
    store = SharedEnded(journal)
    ended = store.ended("key-a", now)
    state = None if ended is None else ended.state
    store.close()
    return state


@pytest.mark.parametrize("first", ["revoked", "expired"])
def test_a_revoked_login_stays_revoked(journal, first):
    """The other server does not know yet, and finds that the login has expired."""
    stores = [SharedEnded(journal()) for _ in range(2)]
    states = ["revoked", "expired"] if first == "revoked" else ["expired", "revoked"]
    for number, (store, state) in enumerate(zip(stores, states, strict=True)):
        store.end("key-a", Ended(state, 5.0 + number, FAR))
    for store in stores:
        store.follow(lambda _: None, lambda function: function())
    eventually(lambda: all(store.ended("key-a", 9.0).state == "revoked" for store in stores))
    eventually(lambda: state_in(journal()) == "revoked")  # the row is written again
    for store in stores:
        store.close()
    assert state_in(journal()) == "revoked"


@pytest.mark.parametrize("later", ["expired", "signed_out", "reopened"])
def test_a_revocation_is_not_lost_if_its_server_dies_while_another_one_writes(journal, later):
    """The other server, which does not know yet, writes its row in place of the revocation."""
    one, other = (SharedEnded(journal()) for _ in range(2))
    if later == "reopened":  # a proxy's user came back to the other server
        other.end("key-a", Ended("signed_out", 4.0, FAR))
        other._writer.flush().result(10)
    one.end("key-a", Ended("revoked", 5.0, FAR))
    one._writer.flush().result(10)
    if later == "reopened":
        other.reopen("key-a", 6.0)
    else:
        other.end("key-a", Ended(later, 6.0, FAR))
    other._writer.flush().result(10)
    one.close()  # it has not read the other one's row
    other.follow(lambda _: None, lambda function: function())
    eventually(lambda: state_in(journal()) == "revoked")
    eventually(lambda: (ended := other.ended("key-a", 9.0)) and ended.state == "revoked")
    other.close()


def test_a_revocation_whose_time_has_passed_counts_no_more(journal):
    """A server that still remembers it does not write it over a later end."""
    one, other = (SharedEnded(journal()) for _ in range(2))
    for store in (one, other):
        store.follow(lambda _: None, lambda function: function())
    one.end("key-a", Ended("revoked", 5.0, 605.0))
    eventually(lambda: other.ended("key-a", 9.0))
    other.end("key-a", Ended("expired", 700.0, FAR))
    other.end("key-b", Ended("expired", 700.0, FAR))
    eventually(lambda: one.ended("key-b", 701.0))
    time.sleep(1.0)  # a row that comes back would be here
    assert [store.ended("key-a", 701.0).state for store in (one, other)] == ["expired"] * 2
    assert state_in(journal(), 701.0) == "expired"
    one.close()
    other.close()


def test_the_latest_time_of_a_user_counts_on_all_servers(servers):
    """An earlier time, from a server with a slow clock, changes nothing for alice or bob."""
    one, other = servers(), servers()
    one.store.end_before(ALICE, 300, FAR)
    eventually(lambda: other.store.not_before(ALICE) == 300)
    other.store.end_before(ALICE, 200, FAR)
    other.store.end_before(BOB, 100, FAR)
    eventually(lambda: one.store.not_before(BOB) == 100)
    assert [server.store.not_before(ALICE) for server in (one, other)] == [300, 300]


def test_a_renewed_cookie_is_that_of_the_same_login_on_all_servers(servers):
    """Also when the first ones are forgotten; bob's are not alice's."""
    one, other = servers(), servers()
    for number in range(MAX_RENEWALS + 5):
        one.store.renew("key-a", f"new-{number}", FAR)
    one.store.renew("key-b", "new-b", FAR)
    eventually(lambda: other.store.canonical("new-b") == "key-b")
    eventually(lambda: other.store.renewals("key-a") == one.store.renewals("key-a"))
    assert other.store.canonical("new-0") == "new-0"
    assert other.store.canonical(f"new-{MAX_RENEWALS}") == "key-a"


def test_rows_are_removed_by_time_only(servers, journal):
    """Alice's many logins do not displace the entry of bob's revoked login."""
    one, now = servers(), time.time()
    one.store.end("key-b", Ended("revoked", now, now + 500.0))
    for number in range(3_000):
        one.store.end(f"key-{number}", Ended("signed_out", now, now + 50.0))
    one.store.forget(now + 100.0)
    one.save()
    assert [row.id for row in rows_of(journal)] == [one.store.name("key-b")]


def test_no_name_is_in_the_journal(servers, journal):
    """Names and keys are hashed."""
    one = servers()
    one.store.end("key-a", Ended("revoked", 5.0, FAR))
    one.store.end_before(ALICE, 300, FAR)
    one.save()
    rows = rows_of(journal)
    assert len(rows) == 2
    assert "alice" not in repr(rows)
    assert "key-a" not in repr(rows)


def test_a_row_that_is_renewed_while_another_server_removes_it_stays(journal):
    """One server removes what is out of date all the time, the other one writes the row anew."""
    one, other, stop = journal(), journal(), threading.Event()

    def commit(journal, changes, forget):
        try:
            journal.commit(changes, forget)
        except JournalError:  # SQLite: the other one writes all the time
            commit(journal, changes, forget)

    def forget():
        while not stop.is_set():
            commit(other, [], 20.0)

    thread = threading.Thread(target=forget)
    thread.start()
    try:
        for number in range(200):
            name = f"row {number}"
            commit(one, [Change("ended", name, ("expired", 1.0, 10.0))], None)
            commit(one, [Change("ended", name, ("revoked", 2.0, FAR))], None)
    finally:
        stop.set()
        thread.join()
    assert len([row for row in rows_of(journal) if row.values[0] == "revoked"]) == 200
    one.close()
    other.close()


# ------------------------------------------------------------------------------ Redis alone


def test_a_redis_that_was_restarted_empty_gets_everything_back(redis_server):
    """What a server has answered is not lost, and the other server hears of both."""
    one, other = (Server(RedisJournal(redis_server.url)) for _ in range(2))
    one.store.end("key-a", Ended("revoked", 5.0, FAR))
    one.save()
    eventually(lambda: other.store.ended("key-a", 6.0))
    redis_server.stop()
    one.store.end("key-b", Ended("revoked", 6.0, FAR))
    with pytest.raises(StoreUnavailable, match="cannot be saved now"):
        one.save()
    assert one.store.ended("key-b", 7.0) is not None
    redis_server.start()
    eventually(lambda: other.store.ended("key-b", 7.0))
    eventually(lambda: len(rows_of(lambda: RedisJournal(redis_server.url))) == 2)
    assert one.problems == ["ConnectionError", ""]
    for server in (one, other):
        server.store.close()


def test_a_row_that_is_not_ours_costs_itself_only(redis_server):
    """A running server ignores it. A server that starts says that the list is damaged."""
    import redis

    one = Server(RedisJournal(redis_server.url))
    client = redis.Redis.from_url(redis_server.url)
    for row in ("", "[]", '["ended", "x", []]', '["users", "x", ["revoked", 1, 2]]', "7", WRONG):
        client.xadd("{jupyter-session-user}:changes", {"row": row})
    client.xadd("{jupyter-session-user}:changes", {"other": "x"})
    other = Server(RedisJournal(redis_server.url))
    other.store.end("key-a", Ended("revoked", 5.0, FAR))
    eventually(lambda: one.store.ended("key-a", 6.0))
    client.hset("{jupyter-session-user}:rows", "x", "[]")
    client.close()
    with pytest.raises(ConfigurationError, match="delete the keys"):
        RedisJournal(redis_server.url)
    for server in (one, other):
        server.store.close()


@pytest.mark.parametrize("url", ["redis://user:secret@127.0.0.1:1/0", "redis://127.0.0.1:no/0"])
def test_a_redis_that_does_not_answer_is_an_error_with_the_fix(url):
    """No password is in it."""
    pytest.importorskip("redis")
    with pytest.raises(ConfigurationError, match="store_url") as raised:
        RedisJournal(url)
    assert "secret" not in str(raised.value)

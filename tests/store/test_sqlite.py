"""The file of ended logins: it survives the server, and a damaged file is never taken as empty."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jupyter_session_user.errors import ConfigurationError, StoreUnavailable
from jupyter_session_user.store.base import Ended
from jupyter_session_user.store.shared import SharedEnded
from jupyter_session_user.store.sqlite import SqliteJournal
from jupyter_session_user.store.url import open_ended

FAR = 1e12
ALICE, BOB = "user:alice", "user:bob"
KILLS = 50


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the file."""
    return tmp_path / "ended.sqlite3"


def filled(path: Path) -> None:
    """Put an entry of each kind into the file."""
    store = SharedEnded(SqliteJournal(path))
    store.end("key-a", Ended("revoked", 5.0, FAR))
    store.end("key-b", Ended("signed_out", 6.0, FAR))
    store.reopen("key-b", 7.0)
    store.end_before(ALICE, 300, FAR)
    for number in range(120):
        store.renew("key-c", f"new-{number}", FAR)
    store.close()


def test_all_of_it_survives_a_restart(path):
    """The data of two users stay separate."""
    filled(path)
    again = SharedEnded(SqliteJournal(path))
    assert again.ended("key-a", 0.0) == Ended("revoked", 5.0, FAR)
    assert again.ended("key-b", 0.0) is None
    assert (again.not_before(ALICE), again.not_before(BOB)) == (300, -1)
    assert list(again.renewals("key-c")) == [f"new-{number}" for number in range(20, 120)]
    again.renew("key-c", "newest", FAR)
    again.close()
    third = SharedEnded(SqliteJournal(path))
    assert list(third.renewals("key-c"))[-2:] == ["new-119", "newest"]
    third.close()


def test_what_is_long_past_leaves_the_file(path):
    """Entries are removed when the server starts, and while it runs."""
    store = SharedEnded(SqliteJournal(path))
    store.end("past", Ended("signed_out", 1.0, time.time() - 1))
    store.end("soon", Ended("signed_out", 1.0, time.time() + 1_000))
    store.end("late", Ended("signed_out", 1.0, FAR))
    store.close()
    again = SharedEnded(SqliteJournal(path))
    assert rows(path, "ended") == 2
    again.forget(time.time() + 2_000)
    again.close()
    assert rows(path, "ended") == 1


def rows(path: Path, table: str) -> int:
    """Return the number of entries of a kind in the file."""
    with sqlite3.connect(path) as connection:
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    connection.close()
    return count


def test_two_servers_may_share_the_file(path):
    """No server loses another server's changes, and a server that starts reads them all."""
    one, other = SharedEnded(SqliteJournal(path)), SharedEnded(SqliteJournal(path))
    for number in range(200):
        (one if number % 2 else other).end(f"key-{number}", Ended("revoked", 0.0, FAR))
    one.close()
    other.close()
    third = SharedEnded(SqliteJournal(path))
    assert all(third.ended(f"key-{number}", 0.0) for number in range(200))
    third.close()


def test_nobody_else_may_read_it_and_it_holds_no_name(tmp_path):
    """Modes are 0700 and 0600, also of SQLite's files; no username and no token is stored."""
    before = os.umask(0)
    try:
        store = open_ended("", lambda: str(tmp_path / "data"))
        store.end("canary-key", Ended("revoked", 0.0, FAR))
        store.end_before("user:canary-person", 1, FAR)
        asyncio.run(_saved(store))
        folder = tmp_path / "data" / "session-user"
        files = sorted(folder.iterdir())
        assert [file.name for file in files] == [
            "ended.sqlite3",
            "ended.sqlite3-shm",
            "ended.sqlite3-wal",
        ]
        assert [file.stat().st_mode & 0o777 for file in (folder, *files)] == [0o700, *[0o600] * 3]
        content = b"".join(file.read_bytes() for file in files)
        assert b"revoked" in content
        assert b"canary" not in content
    finally:
        os.umask(before)
        store.close()


async def _saved(store: object) -> None:
    await store.saved()


def test_a_file_that_others_can_read_is_closed_to_them(path):
    """A backup program may have changed its mode."""
    filled(path)
    path.chmod(0o644)
    SharedEnded(SqliteJournal(path)).close()
    assert path.stat().st_mode & 0o777 == 0o600


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5_000])


def _garbage(path: Path) -> None:
    path.write_bytes(b"not a database, but quite a long text" * 300)


def _scrambled(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:8192] = os.urandom(4096)
    path.write_bytes(data)


def _later(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def _another_program_s(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE notebooks (x)")
    connection.close()


def _without_a_table(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE not_before")
    connection.close()


def _without_salt(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM salt")
    connection.close()


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _gone_but_for_its_log(path: Path) -> None:
    path.unlink()
    path.with_name(f"{path.name}-wal").write_bytes(b"")


DAMAGES = (
    _gone_but_for_its_log,
    _empty,
    _cut,
    _garbage,
    _scrambled,
    _later,
    _another_program_s,
    _without_a_table,
    _without_salt,
    _a_folder,
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_an_error_with_the_fix(path, damage):
    """A damaged file is never an empty list, since revoked cookies would be valid again."""
    filled(path)
    damage(path)
    with pytest.raises(ConfigurationError, match=r"store_url: .*move it away.*'memory:'"):
        SharedEnded(SqliteJournal(path))


@pytest.mark.parametrize("url", ["redis:", "sqlite:", "sqlite:///", "/a/path", "sqlite://host/x"])
def test_an_unknown_url_is_an_error(url, tmp_path):
    """The text lists a possible URL."""
    with pytest.raises(ConfigurationError, match=r"store_url: .*names no store; write 'memory:'"):
        open_ended(url, lambda: str(tmp_path))


def test_a_data_directory_that_cannot_be_made_is_an_error(tmp_path):
    """The parent of the data directory is a file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot be made .*'memory:'"):
        open_ended("", lambda: str(tmp_path / "file" / "data"))


def test_a_url_names_a_file(tmp_path):
    """As in SQLAlchemy: four slashes before an absolute path."""
    path = tmp_path / "chosen.sqlite3"
    open_ended(f"sqlite:///{path}", lambda: "/nowhere").close()
    assert path.exists()


def test_what_cannot_be_saved_holds_and_is_saved_later(path):
    """If the table is missing for a while, the caller gets an error, and no change is lost."""
    told: list[str] = []
    store = SharedEnded(SqliteJournal(path), told.append)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("ALTER TABLE ended RENAME TO away")
    store.end("key-a", Ended("revoked", 0.0, FAR))
    with pytest.raises(StoreUnavailable, match="cannot be saved now"):
        asyncio.run(_saved(store))
    assert store.ended("key-a", 0.0) is not None
    other.execute("ALTER TABLE away RENAME TO ended")
    other.close()
    store.end("key-b", Ended("revoked", 0.0, FAR))
    asyncio.run(_saved(store))
    assert told == ["OperationalError", ""]
    store.close()
    again = SharedEnded(SqliteJournal(path))
    assert [again.ended(key, 0.0) is None for key in ("key-a", "key-b")] == [False, False]
    again.close()


WRITING = """
import asyncio, sys
from pathlib import Path
from jupyter_session_user.store.base import Ended
from jupyter_session_user.store.shared import SharedEnded
from jupyter_session_user.store.sqlite import SqliteJournal

async def main():
    store = SharedEnded(SqliteJournal(Path(sys.argv[1])))
    number = 0
    while True:
        key = f"{sys.argv[2]}-{number}"
        store.end(key, Ended("revoked", 0.0, 1e12))
        store.end_before("user:" + key, number, 1e12)
        for other in range(20):
            store.renew(key, f"{key}-{other}", 1e12)
        await store.saved()
        print(key, flush=True)
        number += 1

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_server_loses_nothing_that_was_answered(path):
    """SIGKILL during writes, repeatedly; the first one while the file is created."""
    answered: list[str] = []
    for kill in range(KILLS):
        command = [sys.executable, "-c", WRITING, str(path), str(kill)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(1 + kill % 5):
                answered += [process.stdout.readline().strip()]
            process.send_signal(signal.SIGKILL)
            answered += [line.strip() for line in process.stdout if line.endswith("\n")]
    again = SharedEnded(SqliteJournal(path))
    missing = [
        key
        for key in answered
        if again.ended(key, 0.0) is None
        or again.not_before(f"user:{key}") != int(key.rpartition("-")[2])
    ]
    assert missing == []
    assert len(answered) > KILLS
    again.close()

"""``purge`` removes what the package's programs wrote, and nothing that others use."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
from servers import ROOT


def list_on(here):
    """Return the path of the list of ended logins."""
    return here.home / "data" / "session-user" / "ended.sqlite3"


@pytest.fixture
def used(machine):
    """A machine whose user has a list of ended logins, and a file of their own beside it."""
    here = machine()
    list_on(here).parent.mkdir(parents=True)
    with closing(sqlite3.connect(list_on(here))) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE ended (id TEXT)")
    return here


def test_a_server_of_another_machine(used):
    """Several machines share a home directory: nothing is removed, and the machine is named."""
    runtime = used.home / "runtime"
    runtime.mkdir(exist_ok=True)
    file = runtime / "session-user-77.json"
    file.write_text(json.dumps({"hostname": "node-7.example", "pid": 77}))
    answer = used.run("purge", "--yes")
    assert answer.returncode == 2 and "node-7.example" in answer.stderr
    assert file.exists() and list_on(used).exists()


def test_a_list_that_a_program_uses(used):
    """Standalone Voila writes no address, but has the list open."""
    with closing(sqlite3.connect(list_on(used))) as database:
        database.execute("INSERT INTO ended VALUES ('a')")
        database.commit()
        answer = used.run("purge", "--yes")
        assert answer.returncode == 2 and "Voila" in answer.stderr
        assert list_on(used).exists()
    assert used.run("purge", "--yes").returncode == 0
    assert not list_on(used).parent.exists()


def test_other_files_and_links_stay(used):
    """A user's own file beside the list stays, and so does what a link points to."""
    notes = list_on(used).with_name("notes.txt")
    notes.write_text("mine")
    target = used.home / "elsewhere.json"
    target.write_text("{}")
    runtime = used.home / "runtime"
    runtime.mkdir(exist_ok=True)
    link = runtime / "session-user-1.json"
    link.symlink_to(target)
    keys = list_on(used).with_name("identity-keys.json")
    keys.write_text("{}")
    tokens = list_on(used).with_name("login-tokens.sqlite3")
    tokens.write_text("encrypted")
    answer = used.run("purge", "--yes")
    assert answer.returncode == 0, answer.stderr
    assert not keys.exists() and not tokens.exists()
    assert notes.read_text() == "mine" and target.exists()
    assert not list_on(used).exists() and not link.is_symlink()


def test_it_only_lists_without_yes(used):
    """Each file is named with what it is."""
    answer = used.run("purge")
    assert f"{list_on(used)}: the list of ended logins" in answer.stdout
    assert list_on(used).exists()
    assert str(ROOT) not in answer.stdout

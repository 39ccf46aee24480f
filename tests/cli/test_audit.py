"""``jupyter session-user audit``: who ran what, and whether the file is as it was written."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta, timezone

import pytest

from jupyter_session_user.cli.main import main
from jupyter_session_user.core.audit_chain import read_entry
from jupyter_session_user.server.web.audit import render
from jupyter_session_user.store.audit_file import AuditFile, parts_of, read_lines

NOW = datetime.now(timezone.utc)


def record(name: str | None, days_ago: float = 0, **fields: object) -> dict[str, object]:
    """Return an execution as the server records it."""
    moment = NOW - timedelta(days=days_ago)
    times = {"time": moment, "start": moment.timestamp(), "end": moment.timestamp()}
    base = {"kind": "execution", "username": name, "kernel_id": "k-1", "status": "ok"}
    return {**base, "via": "websocket", "code_sha256": "ab" * 32, **times, **fields}


@pytest.fixture
def path(tmp_path):
    """Return an audit file of alice and bob, in several parts."""
    file = AuditFile(
        tmp_path / "audit.jsonl", render, print, limit=9999, waits=True, max_bytes=1000
    )
    many = [record("alice", 3), record("bob", 2), record(None, 1.5, kernel_id="k-2")]
    many += [record("alice", 0.5, path="a.ipynb"), record("bob", 0.1, kernel_id="k-2")]
    for one in many:
        file.put(one)
        while file.waiting():
            pass
    file.close()
    assert len(parts_of(tmp_path / "audit.jsonl")) > 1
    return tmp_path / "audit.jsonl"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ((), ["alice", "bob", None, "alice", "bob"]),
        (("--user", "alice"), ["alice", "alice"]),
        (("--since", "1d"), ["alice", "bob"]),
        (("--kernel", "k-2"), [None, "bob"]),
        (("--user", "bob", "--since", "1d", "--kernel", "k-2"), ["bob"]),
        (("--user", "carol"), []),
    ],
)
def test_the_records_that_are_asked_for(path, capsys, options, names):
    """All parts of the file are read, oldest first, and all options must fit."""
    assert main(["audit", str(path), *options, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["username"] for line in lines] == names


def test_the_table(path, capsys):
    """A reader sees who, what, where and how; no text of a client controls the terminal."""
    file = AuditFile(path, render, print, limit=9, waits=True)
    agent = {"kind": "agent", "client_id": "x1", "name": "Helper", "verified": True}
    file.put(record("alice", cell_id="\x1b[2Jcell", actor=agent))
    file.close()
    assert main(["audit", str(path), "--user", "alice"]) == 0
    head, _, second, third = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["TIME", "USERNAME", "KIND", "VIA"]
    assert "a.ipynb" in second
    assert "abababababab" in second
    assert "alice (by Helper)" in third
    assert "?[2Jcell" in third


def test_a_time_that_is_none(path, capsys):
    """The error ends with the fix."""
    with pytest.raises(SystemExit):
        main(["audit", str(path), "--since", "yesterday"])
    assert "such as 1d, or a time such as" in capsys.readouterr().err


def test_a_file_that_does_not_exist(tmp_path, capsys):
    """One line, and status 2."""
    assert main(["audit", str(tmp_path / "none")]) == 2
    assert "name the file that audit_file names" in capsys.readouterr().err
    assert main(["audit", "verify", str(tmp_path / "none")]) == 2


def test_a_whole_file(path, capsys):
    """The command prints the last hash, and what it cannot find; with ``--last`` it can."""
    assert main(["audit", "verify", str(path)]) == 0
    out = capsys.readouterr().out
    last = read_entry(list(read_lines(parts_of(path)))[-1]).link
    assert f"whole: 5 lines; the last one is 5, its hash is {last.hash}" in out
    assert "lines cut off at the end" in out
    assert main(["audit", "verify", str(path), "--last", last.hash]) == 0
    assert "cut off" not in capsys.readouterr().out


def test_lines_cut_off_at_the_end(path, capsys):
    """They look whole, unless the last hash is given."""
    last = read_entry(list(read_lines([path]))[-1]).link.hash
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert main(["audit", "verify", str(path)]) == 0
    assert main(["audit", "verify", str(path), "--last", last]) == 1
    assert "lines are missing" in capsys.readouterr().out


def test_old_parts_that_were_deleted(path, capsys):
    """The rest is whole with the last deleted hash, and not without it."""
    first, *_ = parts_of(path)
    removed = read_entry(list(read_lines([first]))[-1]).link.hash
    first.unlink()
    assert main(["audit", "verify", str(path)]) == 1
    assert "lines before it are missing" in capsys.readouterr().out
    assert main(["audit", "verify", str(path), "--after", removed]) == 0


def test_a_finding_names_its_place(path, capsys):
    """Each finding has the part and the line, and the records can still be read."""
    first, *_ = parts_of(path)
    first.write_bytes(first.read_bytes().replace(b'"ok"', b'"no"', 1))
    assert main(["audit", "verify", str(path)]) == 1
    out = capsys.readouterr().out
    assert f"{first}:1: changed" in out
    assert "NOT WHOLE: 1 finding in 5 lines" in out
    assert main(["audit", str(path), "--json"]) == 0


def test_every_random_change_is_found(path, capsys):
    """A changed byte, a removed, moved, repeated or cut line, in any part."""
    chance = random.Random(5)
    whole = {part: part.read_bytes() for part in parts_of(path)}
    lines = b"".join(whole.values()).splitlines(keepends=True)
    for number in range(200):
        for part in whole:
            part.unlink(missing_ok=True)
        path.write_bytes(b"".join(changed(chance, list(lines), number % 5)))
        assert main(["audit", "verify", str(path)]) == 1, number
    capsys.readouterr()
    for part, data in whole.items():
        part.write_bytes(data)
    path.write_bytes(whole[path])
    assert main(["audit", "verify", str(path)]) == 0


def changed(chance: random.Random, lines: list[bytes], way: int) -> list[bytes]:
    """Return the lines with one change."""
    at = chance.randrange(len(lines))
    if way == 0:
        where, byte = chance.randrange(len(lines[at])), chance.randrange(1, 256)
        line = bytearray(lines[at])
        line[where] ^= byte
        lines[at] = bytes(line)
    elif way == 1:
        del lines[chance.randrange(len(lines) - 1)]
    elif way == 2:
        other = chance.choice([n for n in range(len(lines)) if n != at])
        lines[at], lines[other] = lines[other], lines[at]
    elif way == 3:
        lines.insert(at, lines[at])
    else:
        lines[at] = lines[at][: chance.randrange(1, len(lines[at]))]
    return lines

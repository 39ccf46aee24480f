"""The audit file on a disk: nothing is lost silently, and the chain survives stops and crashes."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_session_user.core.audit_chain import Finding, Link, findings
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.store.audit_file import AuditFile, parts_of, read_lines


def opened(path: Path, **options: Any) -> AuditFile:
    """Open an audit file as the server does."""
    options = {"limit": 1_000, "waits": False, **options}
    failed = options.pop("failed", lambda _: None)
    return AuditFile(path, options.pop("render", dict), failed, **options)


def numbers(path: Path) -> list[Any]:
    """Return what was put into the file, after checking the chain."""
    lines = list(read_lines(parts_of(path)))
    assert [found for found in findings(lines) if isinstance(found, Finding)] == []
    return [json.loads(line).get("n", json.loads(line)["kind"]) for line in lines if line]


def kinds(path: Path) -> list[dict[str, Any]]:
    """Return the file's own lines: lost, recovered."""
    lines = map(json.loads, read_lines(parts_of(path)))
    return [line for line in lines if "n" not in line]


def test_an_orderly_stop_loses_nothing(tmp_path):
    """All lines are in the file after ``close``, in order, from several threads too."""
    path = tmp_path / "audit"
    file = opened(path, limit=100_000)

    def put(first: int) -> None:
        for n in range(first, first + 5_000):
            file.put({"kind": "execution", "n": n})

    threads = [threading.Thread(target=put, args=(first,)) for first in (0, 10_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file.close()
    found = numbers(path)
    assert sorted(found) == [*range(5_000), *range(10_000, 15_000)]
    assert [n for n in found if n < 10_000] == [*range(5_000)]
    assert (file.lost, file.written, file.waiting()) == (0, 10_000, 0)


def test_a_program_that_ends_without_closing(tmp_path):
    """The interpreter's end writes what waits."""
    code = (
        "import sys; from pathlib import Path\n"
        "from jupyter_session_user.store.audit_file import AuditFile\n"
        "f = AuditFile(Path(sys.argv[1]), dict, print, limit=10**6, waits=False)\n"
        "for n in range(20000): f.put({'kind': 'execution', 'n': n})\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "audit"], check=True, timeout=60)
    assert numbers(tmp_path / "audit") == [*range(20_000)]


def test_a_killed_program(tmp_path):
    """After SIGKILL the lines are a whole chain from the first on, and the next start goes on."""
    path = tmp_path / "audit"
    code = (
        "import sys, time; from pathlib import Path\n"
        "from jupyter_session_user.store.audit_file import AuditFile\n"
        "f = AuditFile(Path(sys.argv[1]), dict, print, limit=10**6, waits=False)\n"
        "n = 0\n"
        "while True:\n    f.put({'kind': 'execution', 'n': n}); n += 1\n    time.sleep(0.0001)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, path]) as running:
        while not path.exists() or path.stat().st_size < 100_000:
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
    file = opened(path)
    file.put({"kind": "execution", "n": "next"})
    file.close()
    found = [n for n in numbers(path) if n != "recovered"]
    assert found == [*range(len(found) - 1), "next"]
    assert len(found) > 100


@pytest.mark.parametrize("cut", [1, 50, 150])
def test_a_line_that_a_crash_has_cut(tmp_path, cut):
    """It is removed, a line says so, and the chain is whole."""
    path = tmp_path / "audit"
    file = opened(path)
    for n in range(3):
        file.put({"kind": "execution", "n": n})
    file.close()
    whole = path.read_bytes()
    length = len(whole.splitlines()[-1]) + 1
    path.write_bytes(whole[:-cut])
    opened(path).close()
    assert numbers(path) == [0, 1, "recovered"]
    assert kinds(path)[0]["bytes"] == length - cut


def test_a_file_with_one_cut_line_alone(tmp_path):
    """The chain begins anew with its first line."""
    path = tmp_path / "audit"
    path.write_bytes(b'{"actor":null,"cell')
    file = opened(path)
    file.put({"kind": "execution", "n": 2})
    file.close()
    assert numbers(path) == ["recovered", 2]


def test_a_changed_last_line(tmp_path):
    """The server does not go on behind a line that was changed: the error says what to do."""
    path = tmp_path / "audit"
    file = opened(path)
    file.put({"kind": "execution", "n": 1})
    file.close()
    path.write_bytes(path.read_bytes().replace(b'"n":1', b'"n":2'))
    with pytest.raises(ConfigurationError, match=r"changed.*audit verify.*move it away"):
        opened(path)
    path.unlink()
    opened(path).close()  # the file is locked no more


def test_a_directory_that_does_not_exist(tmp_path):
    """The error names the path and the fix."""
    with pytest.raises(ConfigurationError, match=r"cannot write .*none.*; name a file"):
        opened(tmp_path / "none" / "audit")


def test_a_file_of_another_program(tmp_path):
    """Only one writes at a time; after its end the next one goes on."""
    path = tmp_path / "audit"
    first = opened(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    for name in (path, link):
        with pytest.raises(ConfigurationError, match="another server writes"):
            opened(name)
    first.close()
    opened(path).close()


def test_parts_and_restarts(tmp_path):
    """Each part is below the limit, named by its first line, and the chain goes through."""
    path = tmp_path / "audit"
    for start in (0, 100, 200):
        file = opened(path, max_bytes=2_000)
        for n in range(start, start + 100):
            file.put({"kind": "execution", "n": n})
            while file.waiting():  # so that each batch is small
                time.sleep(0.0001)
        file.close()
    parts = parts_of(path)
    assert len(parts) > 10
    assert numbers(path) == [*range(300)]
    for part in parts:
        assert part.stat().st_size <= 2_000
        assert part.stat().st_mode & 0o777 == 0o600
        if part != path:
            first = json.loads(next(read_lines([part])))
            assert part.suffix == f".{first['seq']:012d}"
    path.unlink()  # the newest part was moved away: the chain goes on behind the one before
    before = len(list(read_lines(parts_of(path)[:-1])))
    opened(path).close()
    file = opened(path)
    file.put({"kind": "execution", "n": "next"})
    file.close()
    *_, end = findings(read_lines(parts_of(path)))
    assert end.seq == before + 1


class Slow:
    """A renderer that holds the thread until the test lets it go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Event()

    def __call__(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Wait."""
        self.begun.set()
        self.go.wait(60)
        return fields


def test_a_full_queue_that_counts(tmp_path):
    """The caller never waits, and one line says how many lines were lost."""
    path, slow = tmp_path / "audit", Slow()
    file = opened(path, limit=10, render=slow)
    file.put({"kind": "execution", "n": 0})
    assert slow.begun.wait(60)
    for n in range(1, 31):
        file.put({"kind": "execution", "n": n})
    assert (file.lost, file.waiting()) == (20, 10)
    slow.go.set()
    file.close()
    assert [n for n in numbers(path) if n != "lost"] == [*range(11)]
    assert [(line["kind"], line["lines"]) for line in kinds(path)] == [("lost", 20)]


def test_a_full_queue_that_waits(tmp_path):
    """The caller waits until there is room, and nothing is lost."""
    path, slow = tmp_path / "audit", Slow()
    file = opened(path, limit=10, render=slow, waits=True)
    file.put({"kind": "execution", "n": 0})
    assert slow.begun.wait(60)
    for n in range(1, 11):
        file.put({"kind": "execution", "n": n})
    waiting = threading.Thread(target=file.put, args=({"kind": "execution", "n": 11},))
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    slow.go.set()
    waiting.join(60)
    file.close()
    assert numbers(path) == [*range(12)]
    assert file.lost == 0


def test_a_line_that_cannot_be_written_as_json(tmp_path):
    """Only that line is lost, and the file says so."""
    path = tmp_path / "audit"
    file = opened(path)
    for value in (1, object(), 3):
        file.put({"kind": "execution", "n": value})
    file.close()
    assert numbers(path) == [1, "lost", 3]


@pytest.mark.parametrize("text", [b'{"port": 8888}', b"one\ntwo", b"one\ntwo\n", b"\x00"])
def test_a_wrong_name_harms_no_file(tmp_path, text):
    """A file that is no audit file is refused, and keeps its content and its mode."""
    path = tmp_path / "config.json"
    path.write_bytes(text)
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="move it away"):
        opened(path)
    assert path.read_bytes() == text
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("name", ["audit", "au[1].jsonl", "a*b?"])
def test_a_full_part_is_never_overwritten(tmp_path, name):
    """Parts are found whatever the name is; a part with the next name stays as it is."""
    path = tmp_path / name
    said = []
    file = opened(path, max_bytes=300, failed=said.append)
    for n in range(10):
        file.put({"kind": "execution", "n": n})
        while file.waiting():
            time.sleep(0.01)
        time.sleep(0.02)
    file.close()
    assert numbers(path) == [*range(10)]
    assert len(parts_of(path)) > 3
    before = {part: part.read_bytes() for part in parts_of(path)}
    first = parts_of(path)[0]
    path.write_bytes(first.read_bytes())  # as if the chain began again
    for part in parts_of(path)[1:-1]:
        part.unlink()
    again = opened(path, max_bytes=1, failed=said.append)
    again.put({"kind": "execution", "n": 99})
    while not said:
        time.sleep(0.01)
    again._give_up = 0.0
    again._closed = True
    again._queue.put(None)
    again._thread.join(10)
    assert first.read_bytes() == before[first]
    assert "exists" in said[0] and again.lost == 1


_FULL_DISK = """
import resource, signal, sys, time
from pathlib import Path
from jupyter_session_user.store import audit_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
audit_file._RETRY_S = 0.05
said = []
file = audit_file.AuditFile(Path(sys.argv[1]), dict, said.append, limit=1000, waits=False)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # a write fails in the middle of a line
for n in range(20):
    file.put({"kind": "execution", "n": n})
while not said:
    time.sleep(0.01)
assert Path(sys.argv[1]).stat().st_size <= 1000
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
while len(said) < 2:
    time.sleep(0.01)
file.close()
print(said)
"""


def test_a_full_disk(tmp_path):
    """A write that fails halfway leaves no half line; the lines wait, and are written later."""
    assert resource.RLIMIT_FSIZE is not None
    path = tmp_path / "audit"
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, path], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "['File too large', '']"
    assert numbers(path) == [*range(20)]


def test_the_end_of_the_chain(tmp_path):
    """The last finding is the end: what an administrator keeps elsewhere."""
    path = tmp_path / "audit"
    file = opened(path)
    file.put({"kind": "execution", "n": 1})
    file.close()
    (end,) = findings(read_lines([path]))
    assert end == Link(1, json.loads(path.read_text())["hash"])
    assert os.stat(path).st_uid == os.getuid()  # noqa: PTH116

"""``make demo-data``: its check, its addresses, and what it leaves behind."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from people import Person
from postgres_server import missing
from row_level import EXAMPLE, ORDERS, shown
from servers import ROOT

pytestmark = pytest.mark.slow

COMMAND = (sys.executable, str(EXAMPLE / "demo.py"))
STOP_S = 60


@pytest.fixture(autouse=True)
def _needs(need):
    """Skip without PostgreSQL or a host of the pages."""
    need(not missing(), missing())
    for name in ("jupyterlab", "panel", "sqlalchemy", "voila"):
        need(importlib.util.find_spec(name), f"{name} is missing")


def started(temporary: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    """Start the demo."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary), **env},
        # A shell starts background jobs, and so these tests, with Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


def children(process: subprocess.Popen[str]) -> dict[str, str]:
    """Return the process ids of the demo's servers, and their command lines."""
    command = ["ps", "-ww", "--ppid", str(process.pid), "-o", "pid=,args="]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines())


def left(servers: dict[str, str]) -> list[str]:
    """Return which processes still run after the demo, and which folder of the database is left."""
    assert len(servers) == 3
    folders = re.findall(r"-D (\S+)/data", " ".join(servers.values()))
    assert len(folders) == 1
    return [
        path for path in (*(f"/proc/{pid}" for pid in servers), *folders) if Path(path).exists()
    ]


def test_the_check(tmp_path):
    """Each user gets all own rows and no other one, everywhere; nothing is left behind."""
    process = started(tmp_path, "--check")
    text, _ = process.communicate(timeout=200)
    assert process.returncode == 0, text
    rows = [line for line in text.splitlines() if line.endswith("  ok")]
    assert "WRONG" not in text
    assert len(rows) == 44
    for name, (other, foreign) in {"alice": ("bob", "Coffee"), "bob": ("alice", "Tea")}.items():
        own = [row for row in rows if f"  {name}  " in row]
        assert sum(f"0 of {other}" in row for row in own) == 13
        assert sum(shown(row) == ORDERS[name] for row in own) == 7
        assert not any(foreign in row for row in own)
    assert list(tmp_path.iterdir()) == []


def test_the_check_notices_a_missing_wall(tmp_path):
    """With a policy of the app that counts for kernels, too, the table and the status say so."""
    for file in EXAMPLE.iterdir():
        if file.is_file():
            text = file.read_text("utf-8").replace("FOR SELECT TO orders_app", "FOR SELECT")
            (tmp_path / file.name).write_text(text, encoding="utf-8")
    (tmp_path / "tmp").mkdir()
    done = subprocess.run(
        [sys.executable, str(tmp_path / "demo.py"), "--check"],
        capture_output=True,
        check=False,
        text=True,
        timeout=200,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "tmp")},
    )
    assert done.returncode == 1, done.stdout + done.stderr
    wrong = [line for line in done.stdout.splitlines() if line.endswith("WRONG")]
    assert len(wrong) == 4 and all("app" in line for line in wrong)


async def test_until_ctrl_c(tmp_path):
    """Each address logs its user in and shows the page; Ctrl-C ends all processes."""
    process = started(tmp_path)
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if "Ctrl-C" in line:
                break
        text = "".join(said)
        links = re.findall(r"http://(127\.0\.0\.1|localhost)(:\d+/)(session-\S+)", text)
        assert len(links) == 6, text
        servers = children(process)
        people = {"127.0.0.1": "alice", "localhost": "bob"}
        for host, port, path in links:
            person = Person(f"http://127.0.0.1{port}")
            answer = await person.fetch(path)
            assert answer.code == 302
            target = answer.headers["Location"].removeprefix("/")
            assert (await person.json("api/me"))["identity"]["username"] == people[host]
            answer = await person.fetch(target)
            assert answer.code == 200, target
            if "dashboard" in target:
                assert shown(answer.body.decode()) == ORDERS[people[host]]
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=STOP_S)
    assert process.returncode == 0, rest
    assert list(tmp_path.iterdir()) == []
    assert left(servers) == []

"""The program of docs/audit.md that ships the audit file, with a real PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from blocks import blocks

from jupyter_session_user.store.audit_file import AuditFile


@pytest.fixture
def database(need) -> Iterator[dict[str, str]]:
    """Run PostgreSQL on a socket in a private directory; return the variables to connect."""
    programs = {name: shutil.which(name) for name in ("initdb", "pg_ctl", "psql")}
    need(all(programs.values()), "PostgreSQL is missing")
    # PostgreSQL does not run as root.
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    need(user in {entry.pw_name for entry in pwd.getpwall()}, "there is no account postgres")
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as name:
        folder = Path(name)
        if os.getuid() == 0:
            shutil.chown(folder, user)

        def run(*command: str | Path) -> None:
            subprocess.run(
                [*map(str, command)],
                check=True,
                stdout=subprocess.DEVNULL,
                user=user if os.getuid() == 0 else None,
                cwd=folder,
                timeout=100,
            )

        data = folder / "data"
        run(programs["initdb"], "-D", data, "-A", "trust", "-U", "audit", "--no-sync")
        options = f"-c listen_addresses='' -c fsync=off -k {folder}"
        run(programs["pg_ctl"], "-D", data, "-o", options, "-l", folder / "log", "-w", "start")
        try:
            yield {"PGHOST": str(folder), "PGUSER": "audit", "PGDATABASE": "postgres"}
        finally:
            run(programs["pg_ctl"], "-D", data, "-m", "immediate", "-w", "stop")


def test_shipping_to_postgresql(database, tmp_path):
    """Run twice, "ship_audit.py: the audit file to PostgreSQL" brings each line once."""
    path = tmp_path / "audit.jsonl"
    file = AuditFile(path, dict, print, limit=100, waits=True)
    for who, cell in (("alice", 'a "quoted" \\ cell\x01\x02'), ("bob", "é\n")):
        file.put({"username": who, "cell_id": cell, "time": "2999-01-01T00:00:00Z"})
    file.close()
    (block,) = [b for b in blocks("python") if b.page == "docs/audit.md" and "psql" in b.text]
    program = tmp_path / "ship_audit.py"
    assert "/var/log/jupyter/audit.jsonl" in block.text
    program.write_text(block.text.replace("/var/log/jupyter/audit.jsonl", str(path)))
    here = Path(sys.executable).parent
    env = {**os.environ, **database, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}"}
    for _ in range(2):
        subprocess.run([sys.executable, program], check=True, env=env, timeout=100)
    query = "select line->>'username', line->>'cell_id' from audit order by line->>'seq'"
    found = subprocess.run(
        ["psql", "-X", "-A", "-t", "-F", "|", "-R", "#", "-c", query],
        check=True,
        env=env,
        capture_output=True,
        text=True,
        timeout=100,
    ).stdout
    assert found == 'alice|a "quoted" \\ cell\x01\x02#bob|é\n\n'

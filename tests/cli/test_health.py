"""An administrator and ``doctor`` see the problems of a running server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from local_server import LocalServer
from people import Person
from servers import (
    EXTENSION,
    ROOT,
    WHO,
    eventually,
    identity,
    kernel_of,
    opened,
    own_server,
    username,
)

HEALTH = "api/session-user/health"
EXTENSIONS = (EXTENSION, "probe_extension")


def run_doctor(server: LocalServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``doctor`` as the user of the server."""
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JUPYTER_RUNTIME_DIR": str(server.home / "runtime"),
    }
    return subprocess.run(
        [sys.executable, "-m", "jupyter_session_user.cli.main", "doctor", "--json", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=env,
    )


def doctor(server: LocalServer) -> tuple[str, str, int]:
    """Return the findings of ``doctor`` about the server, and the exit status."""
    done = run_doctor(server)
    (found,) = (f for f in json.loads(done.stdout) if f["what"].startswith("server "))
    return found["verdict"], found["text"], done.returncode


async def test_a_provider_that_breaks_is_red_until_it_works(tmp_path: Path):
    """The provider fails for alice: no login ends, and only an administrator sees the problem."""
    with own_server(
        "--ServerApp.identity_provider_class=fickle_identity.FickleIdentityProvider",
        "--ServerApp.disable_check_xsrf=True",
        "--JupyterSessionUser.revalidate_interval=0.5",
        env={"FICKLE": str(tmp_path)},
    ) as server:
        root, alice, bob = (Person(server.url, {"X-User": n}) for n in ("root", "alice", "bob"))

        async def failing() -> str | None:
            return (await root.json(HEALTH))["revalidation_failing"]

        async def works_again() -> bool:
            return await failing() is None

        async with (
            kernel_of(bob) as kernel_id,
            opened(alice, kernel_id) as hers,
            opened(bob, kernel_id) as his,
        ):
            assert await failing() is None
            assert doctor(server)[0] == "ok"
            broken = tmp_path / "breaks-on-alice"
            broken.touch()
            assert await eventually(failing) == "TypeError"
            verdict, text, status = doctor(server)
            assert (verdict, status) == ("fix", 1)
            assert "open logins cannot be validated again (TypeError)" in text
            assert [await username(socket) for socket in (hers, his)] == ["alice", "bob"]
            assert (await bob.fetch(HEALTH)).code == 403
            broken.unlink()
            await eventually(works_again)
            assert doctor(server)[0] == "ok"


async def run_as_package(person: Person, kernel_id: str, when: str, way: str) -> str:
    """Have the probe extension run a cell with its own client; return the cell's output."""
    body = {"code": WHO, "when": when, "way": way}
    answer = await person.json(f"api/probe/run/{kernel_id}", method="POST", body=body)
    if when == "later":
        answer = await person.json("api/probe/result")
    return answer["text"].strip().removeprefix("CallContext=").removeprefix("alice ")


async def test_a_package_that_runs_cells_for_no_user_is_named():
    """Both kinds of clients count; code inside a user's request does not."""
    with own_server(*identity("HeaderIdentityProvider"), extensions=EXTENSIONS) as server:
        root, alice, bob = (Person(server.url, {"X-User": n}) for n in ("root", "alice", "bob"))
        async with kernel_of(bob) as kernel_id, opened(bob, kernel_id) as his:
            assert await run_as_package(alice, kernel_id, "now", "own class") == "alice"
            assert await username(his) == "bob"
            assert (await root.json(HEALTH))["senders_without_user"] == []
            for way in ("own class", "manager"):
                told = await run_as_package(alice, kernel_id, "later", way)
                assert told == "nobody: unknown_at_server"
            assert await username(his) == "bob"
            expected = [{"package": "probe_extension", "messages": 2}]
            assert (await root.json(HEALTH))["senders_without_user"] == expected
            assert (await bob.fetch(HEALTH)).code == 403
        done = run_doctor(server, "--server", server.url)
        (found,) = (f for f in json.loads(done.stdout) if f["what"].startswith("probe_extension"))
        assert found["what"] == f"probe_extension on server {server.url}"
        assert found["verdict"] == "fix" and done.returncode == 1
        assert found["text"].startswith(
            "has run code in kernels 2 times outside any user's request"
        )


def test_a_server_that_does_not_run_is_an_error(server: LocalServer):
    """An unknown server is an error of one line that names the running servers."""
    done = run_doctor(server, "--server", "http://127.0.0.1:1/")
    assert done.returncode == 2 and not done.stdout
    assert f"write --server {server.url}" in done.stderr

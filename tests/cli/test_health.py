"""An administrator and ``doctor`` see the problems of a running server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import real_gateways as gateways
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


@pytest.fixture(scope="module")
def enterprise_gateway(need) -> Iterator[LocalServer]:
    """Run Enterprise Gateway; it takes itself to be root's."""
    reason = gateways.missing("enterprise_gateway")
    need(not reason, reason)
    with gateways.gateway("enterprise_gateway", env={"LOGNAME": "root"}) as gateway:
        yield gateway


async def refusal(server: LocalServer, person: Person) -> str:
    """Have a person ask for two kernels in vain, and return what ``doctor`` says about it."""
    for _ in range(2):
        refused = await person.fetch("api/kernels", method="POST", body={})
        assert refused.code == 403
    done = run_doctor(server, "--server", server.url)
    (found,) = (f for f in json.loads(done.stdout) if f["what"].startswith("gateway of "))
    assert found["verdict"] == "fix" and done.returncode == 1
    assert "refused to start a kernel 2 times (403)" in found["text"]
    assert "unauthorized_users, which has 'root' by default" in found["text"]
    return str(found["text"])


async def test_a_gateway_that_refuses_root_is_explained(enterprise_gateway):
    """Alice's kernel starts; root's does not, and ``doctor`` names root and the lists."""
    url = f"--GatewayClient.url={enterprise_gateway.url}"
    with own_server(*identity("HeaderIdentityProvider"), url) as server:
        root, alice = (Person(server.url, {"X-User": n}) for n in ("root", "alice"))
        async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
            assert await username(hers) == "alice"
            assert (await root.json(HEALTH))["refused_by_gateway"] == []
        assert "KERNEL_USERNAME was 'root'" in await refusal(server, root)


async def test_a_kernel_without_a_starter_is_that_of_the_gateways_account(enterprise_gateway):
    """Nobody logs in, so that no name is sent: the finding does not name a user."""
    url = f"--GatewayClient.url={enterprise_gateway.url}"
    with own_server(
        "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True", url
    ) as open_to_all:
        assert "KERNEL_USERNAME was not set" in await refusal(open_to_all, Person(open_to_all.url))


def test_a_server_that_does_not_run_is_an_error(server: LocalServer):
    """An unknown server is an error of one line that names the running servers."""
    done = run_doctor(server, "--server", "http://127.0.0.1:1/")
    assert done.returncode == 2 and not done.stdout
    assert f"write --server {server.url}" in done.stderr

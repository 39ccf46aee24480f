"""The ways of an agent into a kernel besides its own websocket."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
from typing import Any

from agents import WHO_ACTS, agent_of
from people import Person
from servers import DEMO, eventually, kernel_of, own_server, people_on

#: A plain script: only the standard library, and what the server's address and the token are.
SCRIPT = """
import json, sys, urllib.request
url, token = sys.argv[1:]
request = urllib.request.Request(
    url + "api/session-user/me", headers={"Authorization": f"Bearer {token}"}
)
with urllib.request.urlopen(request) as response:
    me = json.load(response)
print(me["user"]["username"], me["actor"]["name"])
"""


async def queued(person: Person, kernel_id: str, code: str) -> str:
    """Return the output of a cell that jupyter-server-nbmodel runs."""
    body = {"code": code, "metadata": {}}
    path = f"api/kernels/{kernel_id}/execute"
    accepted = await person.fetch(path, method="POST", body=body)
    assert accepted.code == 202, accepted.body

    async def finished() -> Any:
        answer = await person.fetch(accepted.headers["Location"].lstrip("/"))
        return json.loads(answer.body) if answer.code == 200 else None

    result = await eventually(finished)
    outputs = json.loads(result["outputs"])
    return "".join(output.get("text", output.get("evalue", "")) for output in outputs).strip()


async def test_cells_that_are_queued_over_http(need):
    """One worker runs the cells of all four: each has its own person and agent."""
    need(importlib.util.find_spec("jupyter_server_nbmodel"), "jupyter-server-nbmodel is missing")
    extensions = ("jupyter_session_user", "jupyter_server_nbmodel")
    with own_server(*DEMO, extensions=extensions) as running:
        alice, bob = await people_on(running)
        hers, his = await agent_of(alice, "Alpha"), await agent_of(bob, "Beta")
        everybody = {"alice -": alice, "alice Alpha": hers, "bob -": bob, "bob Beta": his}
        async with kernel_of(alice) as kernel:
            assert await queued(alice, kernel, WHO_ACTS) == "alice -"  # starts the worker
            found = [await queued(who, kernel, WHO_ACTS) for who in everybody.values()]
            assert found == [*everybody]
            jobs = (queued(who, kernel, WHO_ACTS) for who in everybody.values())
            assert list(await asyncio.gather(*jobs)) == [*everybody]


async def test_a_plain_script():
    """Two scripts with a token each, and nothing else, are told apart."""
    with own_server(*DEMO) as running:
        for person, name in zip(await people_on(running), ("alice", "bob"), strict=True):
            agent = await agent_of(person, f"Script of {name}")
            arguments = [sys.executable, "-c", SCRIPT, running.url, agent.model["token"]]
            result = await asyncio.to_thread(
                subprocess.run, arguments, capture_output=True, text=True, check=False, timeout=60
            )
            assert result.stdout.strip() == f"{name} Script of {name}", result.stderr

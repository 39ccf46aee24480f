"""Items 8 and 9: alice's exclusive kernel by other routes, and her events."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

from people import Person
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from attack_cases.stage import ARRIVED_S, PAGE, BrokenAttackError, Row, Stage, until
from jupyter_session_user.server.web.events import SCHEMA_ID

#: Method, path below ``api/``, body; ``{id}`` is her kernel. The routes that end the kernel come
#: last.
DOORS: dict[str, tuple[str, str, Any]] = {
    "POST api/kernels/<id>/execute": ("POST", "kernels/{id}/execute", {"code": "1"}),
    "POST api/kernels/<id>/input": ("POST", "kernels/{id}/input", {"input": "1"}),
    "POST api/sessions": (
        "POST",
        "sessions",
        {"path": "bob.ipynb", "name": "", "type": "notebook", "kernel": {"id": "{id}"}},
    ),
    "PATCH api/sessions/<sid>": ("PATCH", "sessions/{sid}", {"kernel": {"id": "{id}"}}),
    "POST api/kernels/<id>/interrupt": ("POST", "kernels/{id}/interrupt", {}),
    "POST api/kernels/<id>/restart": ("POST", "kernels/{id}/restart", {}),
    "DELETE api/kernels/<id>": ("DELETE", "kernels/{id}", None),
}
_KERNEL = re.compile(r'"kernelId":\s*"([0-9a-f-]{36})"')
_REFUSED = {403, 404}


async def exclusive(stage: Stage) -> AsyncIterator[Row]:
    """Bob knows the id of the kernel that Voila made for alice."""
    alice, bob = stage.person("alice"), stage.person("bob")
    kernel = await _page(alice)
    yield await _by_websocket(bob, kernel)
    own = {"path": "own.ipynb", "name": "", "type": "notebook", "kernel": {"name": "python3"}}
    session = await bob.json("api/sessions", method="POST", body=own)
    for name, (method, path, body) in DOORS.items():
        sent = json.loads(json.dumps(body).replace("{id}", kernel))
        url = "api/" + path.replace("{id}", kernel).replace("{sid}", session["id"])
        answer = await bob.fetch(url, method=method, body=sent)
        yield Row(8, name, answer.code in _REFUSED, f"bob got {answer.code}")
        if (await alice.fetch(f"api/kernels/{kernel}")).code == 404:
            kernel = await _page(alice)
    await bob.fetch(f"api/sessions/{session['id']}", method="DELETE")
    await alice.fetch(f"api/kernels/{kernel}", method="DELETE")


async def _page(alice: Person) -> str:
    """Open Voila's page, and return the id of its kernel."""
    answer = await alice.fetch(f"voila/render/{PAGE}")
    found = _KERNEL.search(answer.body.decode())
    if found is None:
        raise BrokenAttackError(f"Voila's page names no kernel ({answer.code})")
    path = f"api/kernels/{found[1]}/execute"
    allowed = await alice.fetch(path, method="POST", body={"code": "1"})
    if allowed.code != 202:
        raise BrokenAttackError(f"her own door is closed, too: {allowed.code}")
    return found[1]


async def _by_websocket(bob: Person, kernel: str) -> Row:
    name = "websocket"
    try:
        await (await bob.connect(kernel)).close()
    except HTTPClientError as error:
        return Row(8, name, error.code in _REFUSED, f"bob got {error.code}")
    return Row(8, name, False, "bob got in")


class Ear:
    """A subscriber of the server's events.

    Args:
        connection: The open websocket.
    """

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self.heard: list[dict[str, Any]] = []
        self._connection = connection
        self._task = asyncio.create_task(self._listen())

    @classmethod
    async def of(cls, person: Person) -> Ear:
        """Subscribe as JupyterLab's pages do."""
        url = f"ws{person.url[4:]}api/events/subscribe"
        return cls(await websocket_connect(HTTPRequest(url, headers=person.headers)))

    async def _listen(self) -> None:
        while (text := await self._connection.read_message()) is not None:
            self.heard.append(json.loads(text))

    def has(self, field: str, value: str) -> bool:
        """Tell whether an event with that field has come."""
        return any(event.get(field) == value for event in self.heard)

    async def close(self) -> None:
        """Close the websocket."""
        self._connection.close()
        await self._task


async def events(stage: Stage) -> AsyncIterator[Row]:
    """Bob listens to the server's events, and says some of alice's."""
    alice, bob = stage.person("alice"), stage.person("bob")
    his, hers = await Ear.of(bob), await Ear.of(alice)
    kernels = [await one.start_kernel() for one in (alice, bob)]
    for one, kernel in zip((alice, bob), kernels, strict=True):
        await (await one.connect(kernel)).close()
    # Events keep their order: with bob's own, alice's would have come.
    await until(lambda: his.has("kernel_id", kernels[1]), ARRIVED_S * 2)
    kinds = {str(event.get("action")) for event in his.heard if event.get("username") == "alice"}
    told = f"bob heard of alice: {', '.join(sorted(kinds)) or 'nothing'}"
    yield Row(9, "api/events/subscribe", not kinds, told)
    answer = await bob.fetch("api/events", method="POST", body=_forged(kernels[0]))
    came = await until(lambda: hers.has("session_id", "forged"), ARRIVED_S)
    told = f"bob got {answer.code}, alice {'heard' if came else 'did not hear'} it"
    yield Row(9, "POST api/events, a forged session event", answer.code >= 400 and not came, told)
    for ear in (his, hers):
        await ear.close()
    for kernel in kernels:
        await alice.fetch(f"api/kernels/{kernel}", method="DELETE")


def _forged(kernel: str) -> dict[str, Any]:
    """Return an event of alice's as the server's own are."""
    names = {"username": "alice", "session_id": "forged", "kernel_id": kernel}
    state = {"action": "revoked", "state": "revoked", "source": "identity_provider"}
    times = {"expires_at": None, "expiry_source": "", "time": "2026-01-01T00:00:00Z"}
    return {"schema_id": SCHEMA_ID, "version": "1", "data": {**names, **state, **times}}

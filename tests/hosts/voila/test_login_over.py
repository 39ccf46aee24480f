"""Standalone Voila after the end of a visitor's login: refused even without a server extension."""

from __future__ import annotations

import asyncio
import re
import uuid
from pathlib import Path

import pytest
from people import KernelSocket, Person
from servers import eventually, opened
from voila_pages import notebook, voila

#: Voila lets no browser execute code; its widgets use a comm.
PAGE = notebook(
    """
from jupyter_session_user import get_current_user
def answer(comm, message):
    comm.send({"who": get_current_user().username})
get_ipython().kernel.comm_manager.register_target("who", answer)
"""
)

_KERNEL = re.compile(r'"kernelId": "([\w-]+)"')


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return the directory through which the test controls the provider."""
    monkeypatch.setenv("FICKLE", str(tmp_path))
    return tmp_path


@pytest.fixture
def server(_voila, folder):
    """Run Voila with a provider that can change its answer."""
    arguments = (
        "--Voila.identity_provider_class=fickle_identity.FickleIdentityProvider",
        "--JupyterSessionUser.revalidate_interval=0.5",
    )
    with voila(*arguments, files={"page.ipynb": PAGE}) as running:
        yield running


async def kernel_of_page(person: Person) -> str:
    """Open the page, and return the id of its kernel."""
    answer = await person.fetch("")
    assert answer.code == 200, answer.body
    found = _KERNEL.search(answer.body.decode())
    assert found, "the page names no kernel"
    return found[1]


async def test_who_is_removed_at_the_provider_is_out_of_her_page(server, folder):
    """Her callbacks are refused within the interval, bob's are not; later she may return."""
    alice, bob = (Person(server.url, {"X-User": name}) for name in ("alice", "bob"))
    kernels = [await kernel_of_page(person) for person in (alice, bob)]
    async with opened(alice, kernels[0]) as hers, opened(bob, kernels[1]) as his:
        assert [await who(socket) for socket in (hers, his)] == ["alice", "bob"]
        (folder / "removed-alice").touch()
        await eventually(lambda: refused(hers))
        assert (await alice.fetch("")).code in {302, 403}
        assert await who(his) == "bob"
        (folder / "removed-alice").unlink()
        await asyncio.wait_for(hers.closed.wait(), 30)
        assert hers.connection.close_code == 4400
        async with opened(alice, kernels[0]) as again:
            assert await who(again) == "alice"


async def who(socket: KernelSocket) -> str:
    """Return the user that a callback in the page's kernel sees."""
    content = {"comm_id": uuid.uuid4().hex, "target_name": "who", "data": {}}
    sent = await socket.send(socket.message("comm_open", content))
    while True:
        message = await socket.receive(sent)
        if message["header"]["msg_type"] == "comm_msg":
            name: str = message["content"]["data"]["who"]
            return name


async def refused(socket: KernelSocket) -> bool:
    """Return whether a message over this socket is refused."""
    sent = await socket.send(socket.message("comm_info_request", {}))
    return (await socket.finish(sent)).reply.get("ename") == "SessionExpired"

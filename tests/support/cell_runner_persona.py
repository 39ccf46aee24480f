"""A persona of jupyter-ai that runs a cell for each message; tests copy it to .jupyter/personas.

A message is ``WAY KERNEL``:

==========  ====================================================================================
``here``    in the task that answers the message
``start``   the same, in a kernel that the persona starts
``twice``   there, and again a while later
``worker``  by a worker for all messages, which the first message starts
``chain``   by this persona, which the worker asks in the chat
``thread``  in a thread with an event loop of its own
``mcp``     by the MCP server of the persona, as its agent would use it
==========  ====================================================================================
"""

import asyncio
from typing import Any

from jupyter_ai_persona_manager import BasePersona, PersonaDefaults
from jupyter_server.serverapp import ServerApp
from jupyterlab_chat.models import NewMessage
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp_tools import run_cell

CODE = """
import jupyter_session_user as _jsu
try:
    _session = _jsu.get_session()
    _who = f"{_session.user.username} {_session.actor}"
    print(_who)
    _ran = [*globals().get("_ran", []), _who]
except _jsu.IdentityUnavailable as _error:
    print("nobody:", _error)
"""


class CellRunner(BasePersona):
    """Answers with the sender that the chat names, and with the user in the cell."""

    @property
    def defaults(self) -> PersonaDefaults:
        """Return what the chat shows of this persona."""
        return PersonaDefaults(name="Runner", description="", avatar_path="", system_prompt="")

    async def process_message(self, message: Any) -> None:
        """Run the cell in the kernel that the message names."""
        way, kernel_id = message.body.split()
        said = await getattr(self, f"_{way}")(kernel_id, message.id)
        self.send_message(f"{message.id} {message.sender} > {said.strip().splitlines()[-1]}")

    async def _here(self, kernel_id: str, _: str) -> str:
        return await run_cell(kernel_id, CODE)

    async def _start(self, _: str, __: str) -> str:
        kernels = ServerApp.instance().kernel_manager
        kernel_id = await kernels.start_kernel()
        try:
            return await run_cell(kernel_id, f"{CODE}\nprint(_session.kernel_owner, _who)")
        finally:
            await kernels.shutdown_kernel(kernel_id)

    async def _twice(self, kernel_id: str, asked: str) -> str:
        first = await run_cell(kernel_id, CODE)
        self.send_message(f"first {asked} {first.strip()}")
        while not await run_cell(kernel_id, "print(globals().get('go_on', ''))"):
            await asyncio.sleep(0.1)
        return await run_cell(kernel_id, CODE)

    async def _worker(self, kernel_id: str, _: str) -> str:
        return await self._queue(kernel_id, "cell")

    async def _chain(self, kernel_id: str, _: str) -> str:
        return await self._queue(kernel_id, "message")

    async def _queue(self, *job: str) -> str:
        if not hasattr(self, "_jobs"):
            self._jobs: asyncio.Queue[Any] = asyncio.Queue()
            self._working = asyncio.create_task(self._work())
        done = asyncio.get_running_loop().create_future()
        await self._jobs.put((*job, done))
        return str(await done)

    async def _work(self) -> None:
        """Do the jobs of all users."""
        while True:
            kernel_id, kind, done = await self._jobs.get()
            if kind == "cell":
                done.set_result(await run_cell(kernel_id, CODE))
                continue
            self.chat.add_message(
                NewMessage(body=f"here {kernel_id}", sender="alice"),
                trigger_actions=[self._to_itself],
            )
            done.set_result("asked")

    def _to_itself(self, message: Any, _: Any) -> None:
        message.metadata = {"to_persona": self.id}

    async def _thread(self, kernel_id: str, _: str) -> str:
        return await asyncio.to_thread(asyncio.run, run_cell(kernel_id, CODE))

    async def _mcp(self, kernel_id: str, _: str) -> str:
        (server,) = self.get_mcp_settings().mcp_servers
        headers = {header.name: header.value for header in server.headers}
        url = server.url.replace("localhost", "127.0.0.1")
        async with (
            streamablehttp_client(url, headers=headers) as (reading, writing, _),
            ClientSession(reading, writing) as client,
        ):
            await client.initialize()
            result = await client.call_tool("run_cell", {"kernel_id": kernel_id, "code": CODE})
            return "".join(block.text for block in result.content)

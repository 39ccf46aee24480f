"""A persona of jupyter-ai that runs a cell for each message; tests copy it to .jupyter/personas.

A message is ``here KERNEL`` or ``mcp KERNEL``: in the server's process, or by the MCP server of
the persona, as its agent would use it.
"""

from typing import Any

from jupyter_ai_persona_manager import BasePersona, PersonaDefaults
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp_tools import run_cell

CODE = """
import jupyter_session_user as _jsu
try:
    _session = _jsu.get_session()
    print(_session.user.username, _session.actor.name if _session.actor else "-")
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
        place, kernel_id = message.body.split()
        run = run_cell if place == "here" else self._by_mcp
        said = await run(kernel_id, CODE)
        self.send_message(f"{message.id} {message.sender} > {said.strip().splitlines()[-1]}")

    async def _by_mcp(self, kernel_id: str, code: str) -> str:
        (server,) = self.get_mcp_settings().mcp_servers
        headers = {header.name: header.value for header in server.headers}
        url = server.url.replace("localhost", "127.0.0.1")
        async with (
            streamablehttp_client(url, headers=headers) as (reading, writing, _),
            ClientSession(reading, writing) as client,
        ):
            await client.initialize()
            result = await client.call_tool("run_cell", {"kernel_id": kernel_id, "code": code})
            return "".join(block.text for block in result.content)

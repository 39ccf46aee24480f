"""Tools for jupyter-server-mcp that run cells, as jupyter-ai's packages register them.

The annotations are no texts: jupyter-server-mcp looks at them.
"""

import asyncio
import uuid
from contextvars import ContextVar

from jupyter_server.serverapp import ServerApp

#: The obvious implementation uses this: set in a request, inherited by its tasks.
obvious = ContextVar("obvious", default="")


async def _run(kernel_id: str, code: str) -> str:
    printed = []

    def note(message: dict) -> None:
        content = message["content"]
        printed.append(str(content.get("text") or content.get("evalue") or ""))

    client = ServerApp.instance().kernel_manager.get_kernel(kernel_id).client()
    client.session.session = uuid.uuid4().hex  # a ZMQ identity of its own
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=60)
        await client.execute_interactive(code, output_hook=note, timeout=60)
    finally:
        client.stop_channels()
    return "".join(printed)


async def run_cell(kernel_id: str, code: str) -> str:
    """Run code in a kernel."""
    return await _run(kernel_id, code)


async def run_cell_in_task(kernel_id: str, code: str) -> str:
    """Run code in a kernel, from a task of its own."""
    return await asyncio.create_task(_run(kernel_id, code))


async def who_is_obvious() -> str:
    """Return the user that the context names."""
    return f"context={obvious.get()}"

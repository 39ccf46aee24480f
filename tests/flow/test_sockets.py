"""A kernel's websocket outlives many fast cells, with any kernel manager of the server."""

from __future__ import annotations

import asyncio

import pytest
from people import KernelSocket
from servers import (
    DEMO,
    kernel_of,
    no_traceback,
    opened,
    own_server,
    people_on,
    username,
)

CELLS = 1_000
AT_ONCE = 10
MANAGER = "--ServerApp.kernel_manager_class=jupyter_server.services.kernels.kernelmanager."


async def run_cells(socket: KernelSocket) -> None:
    """Run all the cells over one websocket, some at once, and check each answer."""
    for first in range(0, CELLS, AT_ONCE):
        numbers = range(first, first + AT_ONCE)
        results = await asyncio.gather(*(socket.execute(f"print({n})") for n in numbers))
        assert [result.text.strip() for result in results] == [str(n) for n in numbers]


@pytest.mark.slow
@pytest.mark.parametrize("manager", ["AsyncMappingKernelManager", "MappingKernelManager"])
async def test_a_thousand_cells_cost_no_socket(manager):
    """Every answer arrives over the first websocket, and no error is logged.

    A synchronous manager would read its kernel's sockets in a thread of its own; that thread and
    the server's loop would then write to one websocket, and Tornado's buffer fails an assertion.
    """
    with own_server(*DEMO, MANAGER + manager) as server:
        alice, bob = await people_on(server)
        async with (
            kernel_of(alice) as kernel_id,
            opened(alice, kernel_id) as hers,
            opened(bob, kernel_id) as his,
        ):
            await run_cells(hers)
            assert [await username(socket) for socket in (hers, his)] == ["alice", "bob"]
        log = server.log_text()
    assert "AssertionError" not in log
    assert no_traceback(log)


@pytest.mark.slow
async def test_without_us_an_asynchronous_manager_loses_nothing_either():
    """On a plain server, a synchronous manager sometimes loses its websocket."""
    with own_server(*DEMO, f"{MANAGER}AsyncMappingKernelManager", extensions=()) as server:
        alice, _ = await people_on(server)
        async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
            await run_cells(hers)

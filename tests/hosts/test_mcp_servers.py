"""MCP servers: the user of an agent's cell is its authenticated caller, or there is none.

The packages change every JupyterLab of their environment, so they are not among the tests'
requirements: ``make test-mcp`` installs them beside those, and runs this file.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from agents import WHO_ACTS, agent_of
from app_servers import app_server, free_port
from people import Person
from servers import (
    EXTENSION,
    WHO,
    eventually,
    identity,
    kernel_of,
    log_after,
    opened,
    own_server,
    username,
)
from tornado.httpclient import AsyncHTTPClient, HTTPRequest

pytest.importorskip("jupyter_mcp_server", reason="needs jupyter-mcp-server: make test-mcp")
pytest.importorskip("jupyter_server_mcp", reason="needs jupyter-server-mcp: make test-mcp")
mcp = pytest.importorskip("mcp", reason="needs mcp: make test-mcp")
streamable = pytest.importorskip("mcp.client.streamable_http")

UNKNOWN = "nobody: unknown_at_server"
WHY = "from jupyter_session_user import get_current_user; get_current_user()"
#: Whether the login belongs to a named user, and not to an anonymous user of a token.
PERSON = "print(_jsu.get_current_user().is_anonymous)"
TOKEN = "5ekret"
TIMES = 3


@pytest.fixture(scope="module")
def server():
    """Run a server with both packages; a header names its users."""
    port = free_port()
    tools = ("run_cell", "run_cell_in_task")
    with own_server(
        *identity("HeaderIdentityProvider"),
        f"--MCPExtensionApp.mcp_port={port}",
        "--MCPExtensionApp.use_tool_discovery=False",
        "--MCPServer.host=127.0.0.1",
        *(f"--MCPExtensionApp.mcp_tools=mcp_tools:{tool}" for tool in tools),
        extensions=(
            EXTENSION,
            "jupyter_server_mcp",
            "jupyter_mcp_server",
            "jupyter_server_nbmodel",
            "jupyter_server_fileid",
            "mcp_on_demand",
        ),
    ) as running:
        yield running, f"http://127.0.0.1:{port}/mcp"


@asynccontextmanager
async def agent(url: str, **headers: str):
    """Connect an MCP client, and return its function that calls a tool and returns the text."""
    http = streamable.create_mcp_http_client(headers=headers)
    transport = streamable.streamable_http_client(url, http_client=http)
    async with http, mcp.Client(transport, mode="legacy") as client:

        async def call(tool: str, **arguments: Any) -> str:
            result = await client.call_tool(tool, arguments)
            return "".join(block.text for block in result.content).strip()

        yield call


def users(running: Any) -> tuple[Person, Person]:
    """Return alice and bob."""
    alice, bob = (Person(running.url, {"X-User": name}) for name in ("alice", "bob"))
    return alice, bob


async def named(call: Any, kernel_id: str, *tools: str, times: int = TIMES) -> set[str]:
    """Return each current user in the cells of an agent's tools."""
    answers = [await call(t, kernel_id=kernel_id, code=WHO) for t in tools for _ in range(times)]
    return set(answers)


async def test_a_port_without_a_login_names_nobody(server):
    """Two users work on the kernel while a client of the other port runs cells there."""
    running, url = server
    alice, bob = users(running)
    async with (
        kernel_of(alice) as kernel,
        opened(alice, kernel) as hers,
        opened(bob, kernel) as his,
        agent(url) as call,
    ):
        for tool in ("run_cell", "run_cell_in_task") * TIMES:
            agents = call(tool, kernel_id=kernel, code=WHO)
            seen = await asyncio.gather(username(hers), agents, username(his))
            assert seen == ["alice", UNKNOWN, "bob"]


async def test_a_header_on_that_port_names_nobody(server):
    """The port checks no login, so the client's own header does not count either."""
    running, url = server
    alice, _ = users(running)
    async with kernel_of(alice) as kernel, agent(url, **{"X-User": "alice"}) as call:
        assert await named(call, kernel, "run_cell", "run_cell_in_task") == {UNKNOWN}


async def test_the_error_and_the_log_name_the_package(server):
    """The error names the installed extension, not the module of the tool."""
    running, url = server
    alice, _ = users(running)
    async with kernel_of(alice) as kernel, agent(url) as call:
        assert "sent by jupyter_server_mcp on the server" in await call(
            "run_cell", kernel_id=kernel, code=WHY
        )
    assert running.log_text().count("jupyter_server_mcp runs code in kernels") == 1


async def test_an_mcp_server_that_a_users_request_started(server):
    """Its callers inherit the context of alice's request, which is still being answered."""
    running, _ = server
    alice, bob = users(running)
    port: list[bytes] = []
    request = HTTPRequest(
        f"{running.url}api/on-demand",
        headers=alice.headers,
        streaming_callback=port.append,
        request_timeout=100,
    )
    async with kernel_of(bob) as kernel, opened(bob, kernel) as his:
        serving = asyncio.ensure_future(AsyncHTTPClient().fetch(request))
        await eventually(lambda: port)
        async with agent(f"http://127.0.0.1:{int(port[0])}/mcp") as call:
            assert await call("who_is_obvious") == "context=alice"
            assert not serving.done()
            assert await named(call, kernel, "run_cell", "run_cell_in_task") == {UNKNOWN}
            assert await username(his) == "bob"
        await alice.fetch("api/on-demand", method="DELETE")
        await serving


async def test_the_extension_runs_each_callers_cells(server):
    """jupyter-mcp-server lets Jupyter Server authenticate each call: the call has that user."""
    running, _ = server
    alice, _ = users(running)
    url = f"{running.url}mcp"
    async with (
        kernel_of(alice) as kernel,
        agent(url, **{"X-User": "alice"}) as hers,
        agent(url, **{"X-User": "bob"}) as his,
    ):
        # One client per kernel: two at once share a ZMQ identity.
        for _ in range(TIMES):
            assert await named(hers, kernel, "execute_code", times=1) == {"alice"}
            assert await named(his, kernel, "execute_code", times=1) == {"bob"}


async def test_its_queue_keeps_the_callers_apart(server):
    """``execute_cell`` goes through jupyter-server-nbmodel; alice has started its worker."""
    running, _ = server
    alice, _ = users(running)
    url = f"{running.url}mcp"
    async with (
        kernel_of(alice) as kernel,
        agent(url, **{"X-User": "alice"}) as hers,
        agent(url, **{"X-User": "bob"}) as his,
    ):
        notebook = {"notebook_name": "queue", "notebook_path": "queue.ipynb"}
        await hers("use_notebook", mode="create", kernel_id=kernel, **notebook)
        await hers("insert_cell", cell_index=0, cell_type="code", cell_source=WHO)
        for call, name in ((hers, "alice"), (his, "bob"), (hers, "alice")):
            assert await call("execute_cell", cell_index=0) == name
        calls = [call("execute_cell", cell_index=0) for call in (hers, his, hers, his)]
        assert await asyncio.gather(*calls) == ["alice", "bob", "alice", "bob"]


async def test_the_extension_passes_an_agents_token(server):
    """Two agents with a token of their own: their people are the users, and they the actors."""
    running, _ = server
    alice, bob = users(running)
    tokens = [(await agent_of(person, name)).headers for person, name in ((alice, "A"), (bob, "B"))]
    url = f"{running.url}mcp"
    async with (
        kernel_of(alice) as kernel,
        agent(url, **tokens[0]) as hers,
        agent(url, **tokens[1]) as his,
    ):
        for call, expected in ((hers, "alice A"), (his, "bob B")) * TIMES:
            answer = await call("execute_code", kernel_id=kernel, code=WHO_ACTS)
            assert answer.splitlines()[-1] == expected


async def test_the_extension_refuses_a_caller_without_a_login(server):
    """The server runs no cell."""
    running, _ = server
    with log_after(running) as lines, pytest.raises(Exception, match="TaskGroup"):
        async with agent(f"{running.url}mcp"):
            pass
    assert "403 POST /mcp" in lines[0]


def standalone(url: str, token: str) -> Any:
    """Run jupyter-mcp-server as a separate process, with one token for all calls."""
    return app_server(
        str(Path(sys.executable).with_name("jupyter-mcp-server")),
        "start",
        *("--transport", "streamable-http", "--port", "{port}"),
        *("--insecure-mcp-noauth", "--start-new-code-sandbox", "false"),
        *("--code-sandbox-url", url.rstrip("/"), "--code-sandbox-token", token),
        files={},
        ready="/api/healthz",
    )


@pytest.mark.slow
async def test_a_process_with_the_servers_token_is_no_person():
    """For Jupyter the token's user is anonymous, and ``require_user`` refuses that user."""
    with own_server(f"--IdentityProvider.token={TOKEN}") as running:
        owner = Person(running.url, {"Authorization": f"token {TOKEN}"})
        with standalone(running.url, TOKEN) as process:
            async with kernel_of(owner) as kernel, agent(f"http://{process.host}/mcp") as call:
                code = f"{WHO}\n{PERSON}"
                answer = await call("execute_code", kernel_id=kernel, code=code)
                assert answer.splitlines()[-1] == "True"


@pytest.mark.slow
async def test_a_process_with_an_agents_token():
    """The process is one agent of alice; bob's own cells on the kernel are not its."""
    with own_server(*identity("HeaderIdentityProvider")) as running:
        alice, bob = users(running)
        token = (await agent_of(alice, "A")).model["token"]
        with standalone(running.url, token) as process:
            async with (
                kernel_of(bob) as kernel,
                opened(bob, kernel) as his,
                agent(f"http://{process.host}/mcp") as call,
            ):
                cells = call("execute_code", kernel_id=kernel, code=WHO_ACTS), username(his)
                answer, name = await asyncio.gather(*cells)
                assert (answer.splitlines()[-1], name) == ("alice A", "bob")


@pytest.mark.slow
async def test_a_process_with_a_persons_token_is_that_person():
    """With a user's own token, as in JupyterHub, the calls have that user, and no other user."""
    provider = "--ServerApp.identity_provider_class=token_identity.TokenIdentityProvider"
    with own_server(provider) as running:
        alice, bob = (
            Person(running.url, {"Authorization": f"token {name}-token"})
            for name in ("alice", "bob")
        )
        with standalone(running.url, "alice-token") as process:
            async with (
                kernel_of(bob) as kernel,
                opened(alice, kernel) as hers,
                opened(bob, kernel) as his,
                agent(f"http://{process.host}/mcp") as call,
            ):
                cells = call("execute_code", kernel_id=kernel, code=WHO), username(his)
                assert await asyncio.gather(*cells) == ["alice", "bob"]
                assert await username(hers) == "alice"

"""Arrow 2, clients of the server itself: the user of code that did not come over a websocket."""

from __future__ import annotations

import asyncio
import json

import pytest
from jupyter_client.asynchronous.client import AsyncKernelClient
from local_server import LocalServer
from people import Person
from servers import WHO, kernel_of, log_after, opened, username
from sockets import shut
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from jupyter_session_user.core.stamp import KEY


async def run(
    person: Person, kernel_id: str, when: str, code: str = WHO, way: str = "manager"
) -> str:
    """Have the server run code with a client of its own, and return the output."""
    body = {"code": code, "when": when, "way": way}
    answer = await person.json(f"api/probe/run/{kernel_id}", method="POST", body=body)
    if when == "later":
        answer = await person.json("api/probe/result")
    return answer["text"].strip()


async def run_over_socket(person: Person, kernel_id: str) -> str:
    """Have a websocket handler of the server run the code while the websocket is open."""
    url = f"ws{person.url[4:]}api/probe/socket/{kernel_id}"
    connection = await websocket_connect(HTTPRequest(url, headers=person._cookie_header()))
    await connection.write_message(WHO)
    text = await connection.read_message()
    await shut(connection)
    return str(text).strip()


async def test_code_that_runs_inside_a_request_is_that_persons(alice, bob, kernel):
    """With nbclient in a handler, the user of the code is the caller, also on a shared kernel."""
    for _ in range(2):
        assert await run(alice, kernel, "now") == "alice"
        assert await run(bob, kernel, "now") == "bob"


@pytest.mark.parametrize("way", ["factory", "own class"])
async def test_a_client_that_is_made_in_another_way_stamps_as_well(alice, bob, kernel, way):
    """The same with the client of jupyter-server-documents, and with a runner's own class."""
    for person, name in ((alice, "alice"), (bob, "bob")):
        assert await run(person, kernel, "now", way=way) == name
        obvious, answer = (await run(person, kernel, "later", way=way)).split(" ", 1)
        assert obvious == f"CallContext={name}"
        assert answer == "nobody: unknown_at_server"


async def test_a_runner_without_users_is_named(server, alice, kernel):
    """The error and, once, the log name the package that runs code without a user."""
    code = "from jupyter_session_user import get_current_user; get_current_user()"
    with log_after(server) as lines:
        for _ in range(2):
            text = await run(alice, kernel, "later", code, way="factory")
            assert "sent by probe_extension on the server" in text
    told = [line for line in lines[0].splitlines() if "a client of its own" in line]
    assert len(told) <= 1  # another test may have been first


async def test_requests_at_the_same_time_do_not_mix(alice, bob):
    """Two live requests, each on the other user's kernel: each client has its own caller.

    One client per kernel: two at once share a ZMQ identity, and hang, on a stock server too.
    """
    async with kernel_of(alice) as one, kernel_of(bob) as two:
        for first, second in ((one, two), (two, one)):
            jobs = run(alice, first, "now"), run(bob, second, "now")
            assert await asyncio.gather(*jobs) == ["alice", "bob"]


async def test_code_after_the_request_is_nobodys(alice, bob, kernel):
    """A task that outlives its request has no user, although ``CallContext`` still names alice."""
    for person, name in ((alice, "alice"), (bob, "bob")):
        obvious, answer = (await run(person, kernel, "later")).split(" ", 1)
        assert obvious == f"CallContext={name}"  # the result of the obvious implementation
        assert answer == "nobody: unknown_at_server"


async def test_a_websockets_call_context_never_counts(alice, bob, kernel):
    """A websocket handler does not finish like a request, so its code has no user."""
    for person, name in ((alice, "alice"), (bob, "bob")):
        obvious, answer = (await run_over_socket(person, kernel)).split(" ", 1)
        assert obvious == f"CallContext={name}"
        assert answer == "nobody: unknown_at_server"


@pytest.mark.parametrize("way", ["asyncio", "tornado", "thread"])
async def test_a_server_that_a_request_started_is_nobodys(alice, bob, kernel, way):
    """The callers of a server with its own port, like an MCP server, are not the request's user.

    The request is still being answered, so the context that the connections inherit is hers.
    """
    for person, name in ((alice, "alice"), (bob, "bob")):
        body = {"code": WHO, "way": way}
        answer = await person.json(f"api/probe/outside/{kernel}", method="POST", body=body)
        obvious, outside = answer["outside"].split(" ", 1)
        assert obvious == f"context={name}"
        assert outside == "nobody: unknown_at_server"
        assert answer["inside"] == name


async def test_a_client_cannot_be_told_a_stamp(alice, bob, kernel):
    """Code inside Bob's request runs as Bob, beside Alice's open websocket."""
    async with opened(alice, kernel) as hers:
        assert await username(hers) == "alice"
        assert await run(bob, kernel, "now") == "bob"
        assert await username(hers) == "alice"


async def test_the_reason_says_what_to_do(alice, bob, kernel):
    """The error text of an unknown sender gives the cause and the fix."""
    code = "from jupyter_session_user import get_current_user; get_current_user()"
    for person in (alice, bob):
        text = await run(person, kernel, "later", code)
        assert "outside any user's request" in text
        assert "Run the code from" in text


async def test_every_message_of_a_server_side_client_is_stamped_once(alice, bob, kernel):
    """The kernel finds one stamp in the metadata, and no other data of this package."""
    code = "import json; print(json.dumps(get_ipython().kernel.get_parent()['metadata']))"
    for person, name in ((alice, "alice"), (bob, "bob")):
        metadata = json.loads(await run(person, kernel, "now", code))
        assert list(metadata) == [KEY]
        assert metadata[KEY]["user"]["username"] == name


async def run_past_the_server(server: LocalServer, kernel_id: str, code: str) -> str:
    """Run code with a client that holds the kernel's connection file, and return its output."""
    client = AsyncKernelClient()
    client.load_connection_file(str(server.home / "runtime" / f"kernel-{kernel_id}.json"))
    client.start_channels()
    texts: list[str] = []
    try:
        await client.wait_for_ready(timeout=60)
        await client.execute_interactive(
            code, output_hook=lambda m: texts.append(m["content"].get("text", "")), timeout=60
        )
    finally:
        client.stop_channels()
    return "".join(texts).strip()


async def test_past_a_server_with_the_extension(server, alice, bob):
    """Even before the first use of a user, the error does not ask to install what is installed."""
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
        await hers.execute("import jupyter_session_user")
        assert await run_past_the_server(server, kernel_id, WHO) == "nobody: direct_client"
        async with opened(bob, kernel_id) as his:
            assert [await username(socket) for socket in (hers, his)] == ["alice", "bob"]
        assert await run_past_the_server(server, kernel_id, WHO) == "nobody: direct_client"

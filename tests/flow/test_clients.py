"""Arrow 2, clients of the server's own: whose is what nobody sent over a websocket?"""

from __future__ import annotations

import asyncio
import json

from servers import WHO, kernel_of, opened, username
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from jupyter_session_user.core.stamp import KEY
from jupyter_session_user.testing.people import Person


async def run(person: Person, kernel_id: str, when: str, code: str = WHO) -> str:
    """Have the server run code with a client of its own, and return what it printed."""
    body = {"code": code, "when": when}
    answer = await person.json(f"api/probe/run/{kernel_id}", method="POST", body=body)
    if when == "later":
        answer = await person.json("api/probe/result")
    return answer["text"].strip()


async def run_over_socket(person: Person, kernel_id: str) -> str:
    """Have a websocket handler of the server run the code, for as long as it lives."""
    url = f"ws{person.url[4:]}api/probe/socket/{kernel_id}"
    connection = await websocket_connect(HTTPRequest(url, headers=person._cookie_header()))
    await connection.write_message(WHO)
    text = await connection.read_message()
    connection.close()
    return str(text).strip()


async def test_code_that_runs_inside_a_request_is_that_persons(alice, bob, kernel):
    """As nbclient in a handler: each caller's code sees the caller, also on a shared kernel."""
    for _ in range(2):
        assert await run(alice, kernel, "now") == "alice"
        assert await run(bob, kernel, "now") == "bob"


async def test_requests_at_the_same_time_do_not_mix(alice, bob):
    """Two live requests cross: hers on his kernel, his on hers; each client is its caller's.

    One client per kernel: two at once share a ZMQ identity, and hang, on a stock server too.
    """
    async with kernel_of(alice) as one, kernel_of(bob) as two:
        for first, second in ((one, two), (two, one)):
            jobs = run(alice, first, "now"), run(bob, second, "now")
            assert await asyncio.gather(*jobs) == ["alice", "bob"]


async def test_code_after_the_request_is_nobodys(alice, bob, kernel):
    """A task that outlives its request: CallContext still names her, and we name nobody."""
    for person, name in ((alice, "alice"), (bob, "bob")):
        obvious, answer = (await run(person, kernel, "later")).split(" ", 1)
        assert obvious == f"CallContext={name}"  # what the obvious source would have said
        assert answer == "nobody: unknown_at_server"


async def test_a_websockets_call_context_never_counts(alice, bob, kernel):
    """A websocket handler never finishes in the sense of a request: it names nobody."""
    for person, name in ((alice, "alice"), (bob, "bob")):
        obvious, answer = (await run_over_socket(person, kernel)).split(" ", 1)
        assert obvious == f"CallContext={name}"
        assert answer == "nobody: unknown_at_server"


async def test_a_client_cannot_be_told_a_stamp(alice, bob, kernel):
    """What runs inside bob's request is bob's next to alice's open websocket."""
    async with opened(alice, kernel) as hers:
        assert await username(hers) == "alice"
        assert await run(bob, kernel, "now") == "bob"
        assert await username(hers) == "alice"


async def test_the_reason_says_what_to_do(alice, bob, kernel):
    """The error text of an unknown sender tells a person what went on and what helps."""
    code = "from jupyter_session_user import get_current_user; get_current_user()"
    for person in (alice, bob):
        text = await run(person, kernel, "later", code)
        assert "outside any person's request" in text
        assert "Run the code from" in text


async def test_every_message_of_a_server_side_client_is_stamped_once(alice, bob, kernel):
    """The kernel finds one stamp and nothing else of ours in the metadata."""
    code = "import json; print(json.dumps(get_ipython().kernel.get_parent()['metadata']))"
    for person, name in ((alice, "alice"), (bob, "bob")):
        metadata = json.loads(await run(person, kernel, "now", code))
        assert list(metadata) == [KEY]
        assert metadata[KEY]["user"]["username"] == name

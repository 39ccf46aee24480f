"""A login that ends while one of its websockets is being opened."""

from __future__ import annotations

import asyncio

from servers import DEMO, eventually, own_server, people_on
from sockets import shut
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

LOGIN_OVER = 4401


async def test_the_websocket_closes_at_once(tmp_path):
    """Alice's is closed with the code for an ended login; bob's stays open."""
    go = tmp_path / "go"
    authorizer = "--ServerApp.authorizer_class=waiting_authorizer.WaitingAuthorizer"
    with own_server(*DEMO, authorizer, env={"GO": str(go)}) as server:
        people = dict(zip(("alice", "bob"), await people_on(server), strict=True))
        opening = {}
        for name, person in people.items():
            url = f"ws{person.url[4:]}api/events/subscribe"
            headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in person.cookies.items())}
            opening[name] = asyncio.ensure_future(
                websocket_connect(HTTPRequest(url, headers=headers))
            )

        async def both_wait() -> bool:
            return all((tmp_path / f"waits-{name}").exists() for name in people)

        await eventually(both_wait)
        await people["alice"].fetch("logout")
        go.touch()
        hers, his = [await opening[name] for name in ("alice", "bob")]
        assert await asyncio.wait_for(hers.read_message(), 20) is None
        assert hers.close_code == LOGIN_OVER
        assert his.close_code is None
        assert (await people["bob"].fetch("api/session-user/me")).code == 200
        await shut(hers)
        await shut(his)

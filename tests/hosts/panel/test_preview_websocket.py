"""The websockets of a preview: Panel's own, which accepts every client, and its kernel's."""

from __future__ import annotations

import asyncio

import pytest
import servers
from previews import EXTENSION, RENDER, Preview, files, page_token
from servers import opened, people_on, username
from tornado.httpclient import HTTPClientError

ELSEWHERE = {"Origin": "http://evil.example"}


def cookies(person):
    """Return the header with a user's cookies."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in person.cookies.items())}


@pytest.mark.parametrize(
    ("app", "as_bob"), [("app.py", False), ("pool.py", True)], ids=["nobody", "bob-and-pool"]
)
async def test_the_page_token_names_nobody(server, app, as_bob):
    """Panel accepts any origin with Alice's page token, logged in or not: upstream.

    A message over that socket runs in Alice's kernel as Alice, the visitor of that kernel. It never
    runs as the client that holds the socket, and never without a user. Bob's own page is open
    meanwhile.
    """
    alice, bob = await people_on(server)
    tokens = await asyncio.gather(*(page_token(person, app) for person in (alice, bob)))
    url = server.url + RENDER + app
    stolen = await Preview.open(url, tokens[0], {**ELSEWHERE, **(cookies(bob) if as_bob else {})})
    own = await Preview.open(url, tokens[1], cookies(bob))
    for action, told in (("sync", "sync: {0};"), ("async", "async: {0} {0};")):
        for preview in (stolen, own):
            await preview.click(action)
        await stolen.until_noted(told.format("alice"))
        await own.until_noted(told.format("bob"))
    assert "bob" not in stolen.notes and "alice" not in own.notes
    for preview in (stolen, own):
        await preview.close()


async def on_alices_kernel(server):
    """Let Bob, then Alice, open the kernel websocket of Alice's preview, while hers is open.

    Returns:
        The status of Bob's refusal or the user in his cell, and the user in hers.
    """
    alice, bob = await people_on(server)
    tokens = await asyncio.gather(*(page_token(person, "app.py") for person in (alice, bob)))
    url = server.url + RENDER + "app.py"
    previews = [
        await Preview.open(url, token, cookies(person))
        for token, person in zip(tokens, (alice, bob), strict=True)
    ]
    kernel_id = previews[0].kernel_id
    try:
        async with opened(bob, kernel_id) as socket:
            bobs = await username(socket)
    except HTTPClientError as error:
        bobs = error.code
    async with opened(alice, kernel_id) as socket:
        alices = await username(socket)
    for preview in previews:
        await preview.close()
    return bobs, alices


async def test_another_users_kernel_websocket_is_refused(server):
    """Bob, logged in, gets 403 from the kernel of Alice's preview; Alice is admitted."""
    assert await on_alices_kernel(server) == (403, "alice")


async def test_another_users_kernel_websocket_with_the_trait_off(panel_installed):
    """With ``exclusive_kernels`` off Bob is admitted as well, and his cell there runs as Bob."""
    with servers.own_server(
        *servers.DEMO,
        "--JupyterSessionUser.exclusive_kernels=False",
        extensions=(servers.EXTENSION, EXTENSION),
        files=files(),
    ) as running:
        assert await on_alices_kernel(running) == ("bob", "alice")

"""A server of JupyterHub: a token of the identity provider needs no login at the Hub."""

from __future__ import annotations

import importlib.util

from hub import HubPerson, hub_running, proxy_program
from provider import Provider, send_event, send_logout
from servers import username


async def test_a_token_ends_the_logins_of_its_user(need, tmp_path):
    """Bob, a guest, is refused on his open websocket; alice's login goes on.

    A client without cookies reaches the address through the Hub's proxy, and is not redirected.
    """
    need(importlib.util.find_spec("jupyterhub"), "jupyterhub is missing")
    need(proxy_program(), "configurable-http-proxy is missing: make .venv/.proxy")
    provider = Provider(tmp_path)
    settings = (*provider.settings, "--JupyterSessionUser.logout_subject=username")
    with hub_running(tmp_path, *settings) as hub:
        alice, bob = (HubPerson(hub, name).enter() for name in ("alice", "bob"))
        try:
            kernel = await alice.start_kernel()
            hers, his = await alice.connect(kernel), await bob.connect(kernel)
            assert [await username(one) for one in (hers, his)] == ["alice", "bob"]
            forged = provider.logout_token(sub="bob").rpartition(".")[0] + ".c2ln"
            assert (await send_logout(alice.url, forged)).code == 400
            subject = {"format": "iss_sub", "iss": "https://other.example.org", "sub": "bob"}
            assert (await send_event(alice.url, provider.event_token(subject))).code == 202
            assert [await username(one) for one in (hers, his)] == ["alice", "bob"]
            answer = await send_logout(alice.url, provider.logout_token(sub="bob"))
            assert (answer.code, answer.body) == (200, b"")
            assert (await his.execute("1")).reply["status"] == "error"
            assert await username(hers) == "alice"
            assert (await bob.fetch("api/kernels")).code == 403
            assert (await alice.fetch("api/kernels")).code == 200
            for socket in (hers, his):
                await socket.close()
        finally:
            for person in (alice, bob):
                person.browser.close()

"""Servers with one cookie secret that share the list of ended logins."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from fault_proxy import FaultProxy
from people import Person
from servers import DEMO, PASSWORDS, eventually, kernel_of, opened, own_server, username

EVERYWHERE = "api/session-user/logout-everywhere"
ONE_COOKIE = "--IdentityProvider.cookie_name=one-name-on-all-servers"


@pytest.fixture(params=["sqlite", "redis"])
def start(request, tmp_path):
    """Return a function that starts a server; a load balancer would be in front of all of them."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'ended.sqlite3'}"
    else:
        url = request.getfixturevalue("redis_server").url
    secret = tmp_path / "secret"
    secret.write_text("the same on all servers, and long enough")
    with ExitStack() as stack:

        def another(store_url=url):
            arguments = (
                f"--ServerApp.cookie_secret_file={secret}",
                f"--JupyterSessionUser.store_url={store_url}",
            )
            return stack.enter_context(own_server(*DEMO, ONE_COOKIE, *arguments))

        yield another


def at(server, person):
    """Return the same browser at another server."""
    other = Person(server.url)
    other.cookies = dict(person.cookies)
    return other


async def logged_in(server, name):
    """Return a browser with a new login."""
    person = Person(server.url)
    await person.log_in(PASSWORDS[name], name)
    return person


async def code(person):
    """Return the status of a request that needs a login."""
    return (await person.fetch("api/kernels")).code


async def test_without_a_shared_list_the_other_server_goes_on(start):
    """A sign-out is known to one server only: this is what the shared list is for."""
    one, other = start("memory:"), start("memory:")
    alice = await logged_in(one, "alice")
    copy = at(other, alice)
    assert await code(copy) == 200
    await alice.fetch("logout")
    assert await code(at(one, copy)) == 403
    assert await code(copy) == 200


@pytest.mark.parametrize("how", ["logout", "everywhere"])
async def test_a_sign_out_ends_the_login_on_all_servers(start, how):
    """Alice's open websocket on the other server as well; bob's login and cell continue."""
    one, other = start(), start()
    alice, bob = [await logged_in(one, name) for name in ("alice", "bob")]
    hers, his = at(other, alice), at(other, bob)
    async with (
        kernel_of(his) as kernel_id,
        opened(his, kernel_id) as socket,
        opened(hers, kernel_id) as her_socket,
    ):
        assert [await username(each) for each in (her_socket, socket)] == ["alice", "bob"]
        kept = dict(alice.cookies)
        if how == "logout":
            await alice.fetch("logout")
        else:
            assert (await alice.fetch(EVERYWHERE, method="POST", body={})).code == 200

        async def refused():
            return await code(hers) == 403

        await eventually(refused)
        assert (await her_socket.execute("1")).reply["status"] == "error"
        assert await username(socket) == "bob"
    alice.cookies = kept
    third = start()
    assert [await code(at(server, alice)) for server in (one, other, third)] == [403] * 3
    assert [await code(at(server, bob)) for server in (one, other, third)] == [200] * 3
    again = await logged_in(other, "alice")
    assert [await code(at(server, again)) for server in (one, other, third)] == [200] * 3


@pytest.mark.parametrize("mode", ["refused", "hole"])
async def test_a_redis_that_is_out_of_reach_delays_no_message_and_loses_no_revocation(
    redis_server, tmp_path, mode
):
    """Alice revokes a login meanwhile: in effect here at once, with status 503; there, later.

    Bob's cells go on, and so does alice's other browser, on both servers.
    """
    proxy = FaultProxy(redis_server.port)
    secret = tmp_path / "secret"
    secret.write_text("the same on all servers, and long enough")
    same = f"--ServerApp.cookie_secret_file={secret}"
    with ExitStack() as stack:
        stack.callback(proxy.close)
        here, there = [
            stack.enter_context(
                own_server(*DEMO, ONE_COOKIE, same, f"--JupyterSessionUser.store_url={url}")
            )
            for url in (f"redis://127.0.0.1:{proxy.port}/0", redis_server.url)
        ]
        alice, elsewhere, bob = [await logged_in(here, name) for name in ("alice", "alice", "bob")]
        mine = (await alice.json("api/session-user/me"))["id"]
        async with kernel_of(bob) as kernel_id, opened(bob, kernel_id) as socket:
            assert await username(socket) == "bob"
            proxy.fail(mode)
            path = f"api/session-user/sessions/{mine}"
            assert (await elsewhere.fetch(path, method="DELETE")).code == 503
            assert [await code(one) for one in (alice, elsewhere, bob)] == [403, 200, 200]
            assert await code(at(there, alice)) == 200
            assert await username(socket, timeout=20) == "bob"
            proxy.heal()

            async def refused():
                return await code(at(there, alice)) == 403

            await eventually(refused)
            assert [await code(at(there, one)) for one in (elsewhere, bob)] == [200, 200]
            assert await username(socket) == "bob"

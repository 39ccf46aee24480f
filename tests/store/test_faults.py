"""Redis behind a network that fails: what a server has answered holds, and no message waits."""

from __future__ import annotations

import asyncio
import time

import pytest
from fault_proxy import MODES, FaultProxy

from jupyter_session_user.errors import StoreUnavailable
from jupyter_session_user.store.base import Ended
from jupyter_session_user.store.redis import RedisJournal
from jupyter_session_user.store.shared import SharedEnded

FAR = 1e12
PATIENCE_S = 20.0


@pytest.fixture
def proxy(redis_server):
    """Run a proxy in front of Redis."""
    running = FaultProxy(redis_server.port)
    yield running
    running.close()


@pytest.fixture
def servers(proxy, redis_server):
    """Return two servers' lists: one behind the proxy, one that reaches Redis directly."""
    made = []
    for port in (proxy.port, redis_server.port):
        made.append(SharedEnded(RedisJournal(f"redis://127.0.0.1:{port}/0")))
        made[-1].follow(lambda _: None, lambda function: function())
    yield made
    for store in made:
        store.close()


def eventually(condition):
    """Wait until a condition holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


async def _saved(store):
    await store.saved()


@pytest.mark.parametrize("mode", MODES)
def test_a_failing_network_loses_nothing(servers, proxy, mode):
    """Both servers end logins meanwhile. Each knows its own at once, and both know all later."""
    behind, direct = servers
    behind.end("before", Ended("revoked", 5.0, FAR))
    asyncio.run(_saved(behind))
    eventually(lambda: direct.ended("before", 6.0))
    proxy.fail(mode)
    behind.end("a", Ended("revoked", 5.0, FAR))
    direct.end("b", Ended("signed_out", 5.0, FAR))
    assert behind.ended("a", 6.0).state == "revoked"
    assert behind.ended("c", 6.0) is None
    if mode == "slow":
        asyncio.run(_saved(behind))
    else:
        with pytest.raises(StoreUnavailable):
            asyncio.run(_saved(behind))
    asyncio.run(_saved(direct))
    proxy.heal()
    eventually(lambda: behind.ended("b", 6.0) is not None)
    eventually(lambda: direct.ended("a", 6.0) is not None)
    asyncio.run(_saved(behind))
    assert [store.ended("before", 6.0).state for store in servers] == ["revoked"] * 2
    assert [store.ended("c", 6.0) for store in servers] == [None, None]

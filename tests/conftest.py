"""Servers and users that many tests share. Nothing here is mocked.

An ``async def`` test runs in an event loop of its own. ``need`` skips what cannot run here,
and fails instead where ``REQUIRE_ALL=1`` says that everything must.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))

import servers
from local_server import LocalServer
from needs import need as _need
from people import Person
from redis_server import RedisServer

if TYPE_CHECKING:
    from node_oidc import NodeProvider
    from oauth_provider import RunningProvider

# JupyterLab looks for language servers with Node.js, which may keep a cache in the temporary
# folder; tests of what the demo leaves there would find it.
os.environ["NODE_DISABLE_COMPILE_CACHE"] = "1"

# A busy machine is no fault of the code: no example has a deadline.
hypothesis.settings.register_profile("ours", deadline=None)
hypothesis.settings.load_profile("ours")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any) -> Iterator[None]:
    """End with the names: a log that is cut shows its end, and a failure's text may be long."""
    result = yield
    for kind in ("rerun", "error", "failed"):
        for report in terminalreporter.stats.get(kind, []):
            terminalreporter.write_line(f"{kind}: {report.nodeid}")
    return result


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run coroutine tests on asyncio alone, as Jupyter Server does."""
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
def _nothing_left_open() -> Iterator[None]:
    """Report a socket or a file that a test left open in this file, not in a later one."""
    yield
    gc.collect()


@pytest.fixture
def expect() -> Any:
    """Return Playwright's ``expect``, which waits until an assertion about the page holds."""
    from playwright.sync_api import expect

    return expect


@pytest.fixture
def pages_closed(chromium: Any) -> Iterator[None]:
    """Close a test's pages at its end: they would go on asking. The file has the Chromium."""
    yield
    for context in chromium.contexts:
        context.close()


@pytest.fixture(scope="session")
def need() -> Callable[[object, str], None]:
    """Return the function that skips, or fails under ``REQUIRE_ALL=1``."""
    return _need


@pytest.fixture
def redis_server(need: Callable[..., None], tmp_path: Path) -> Iterator[RedisServer]:
    """Run a Redis or Valkey server."""
    need(_installed("redis"), "redis-py is missing")
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    need(program, "redis-server is missing")
    assert program is not None
    server = RedisServer(program, tmp_path)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def running_provider(need: Callable[..., None]) -> Iterator[RunningProvider]:
    """Run an institution's identity provider."""
    need(_installed("authlib"), "Authlib is missing")
    from oauth_provider import oauth_provider

    with oauth_provider() as running:
        yield running


@pytest.fixture
def provider(running_provider: RunningProvider) -> Iterator[RunningProvider]:
    """Return the identity provider, without faults."""
    running_provider.faults()
    yield running_provider
    running_provider.faults()


@pytest.fixture(scope="module")
def npm_provider(need: Callable[..., None]) -> Iterator[NodeProvider]:
    """Run npm's oidc-provider."""
    from node_oidc import node_provider, provider_module
    from node_programs import node_program

    need(node_program(), "Node.js is missing")
    need(provider_module(), "npm's oidc-provider is missing: make .venv/.oidc-provider")
    with node_provider() as running:
        yield running


@pytest.fixture(scope="session")
def server() -> Iterator[LocalServer]:
    """Run the server with the demo users alice and bob, and the extension."""
    with servers.own_server(
        *servers.DEMO,
        "--JupyterSessionUser.share_cookies=locale",
        extensions=(servers.EXTENSION, "probe_extension"),
    ) as running:
        yield running


@pytest.fixture(scope="session", params=["HeaderIdentityProvider", "AsyncHeaderIdentityProvider"])
def header_server(request: pytest.FixtureRequest) -> Iterator[LocalServer]:
    """Run a server that takes the username from the header ``X-User``: sync, then async."""
    nbmodel = ("jupyter_server_nbmodel",) if _installed("jupyter_server_nbmodel") else ()
    with servers.own_server(
        *servers.identity(request.param),
        extensions=(servers.EXTENSION, "probe_extension", *nbmodel),
    ) as running:
        yield running


@pytest.fixture(scope="session")
def log_in() -> Callable[[LocalServer, str], Person]:
    """Return a function that logs a demo user in, in a separate browser."""

    def fresh(running: LocalServer, name: str) -> Person:
        person = Person(running.url)
        asyncio.run(person.log_in(servers.PASSWORDS[name], name))
        return person

    return fresh


@pytest.fixture
def alice(server: LocalServer, log_in: Callable[..., Person]) -> Person:
    """Return alice, freshly logged in."""
    return log_in(server, "alice")


@pytest.fixture
def bob(server: LocalServer, log_in: Callable[..., Person]) -> Person:
    """Return bob, freshly logged in."""
    return log_in(server, "bob")


@pytest.fixture(scope="session")
def kernel(server: LocalServer, log_in: Callable[..., Person]) -> str:
    """Return a kernel that alice has started, for many tests."""
    return asyncio.run(log_in(server, "alice").start_kernel())


@pytest.fixture
def as_user(header_server: LocalServer) -> Callable[..., Person]:
    """Return a function that makes a user of the header server."""

    def person(name: str, **headers: str) -> Person:
        return Person(header_server.url, {"X-User": name, **headers})

    return person


def _installed(module: str) -> Any:
    import importlib.util

    return importlib.util.find_spec(module)

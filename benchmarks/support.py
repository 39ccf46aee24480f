"""Shared by the benchmarks: an identity by header, and a server to measure.

The server runs in a process of its own, with this directory on its path.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import _paths  # noqa: F401 - for what comes from the tests
from jupyter_server.auth.identity import IdentityProvider, User
from local_server import LocalServer, local_server
from people import Person
from tornado.ioloop import IOLoop

from jupyter_session_user.testing.demo_identity import DemoIdentityProvider

HERE = Path(__file__).resolve().parent
#: Extensions that may be installed here, and do not belong to the measurement.
_OTHERS = (
    *("jupyter_lsp", "jupyterlab", "jupyter_server_nbmodel", "jupyter_server_terminals"),
    *("notebook", "notebook_shim", "voila.server_extension"),
)
BY_HEADER = (
    "--ServerApp.identity_provider_class=support.HeaderIdentity",
    "--ServerApp.disable_check_xsrf=True",
)
_SETTING = "kernel_websocket_connection_class"


class HeaderIdentity(IdentityProvider):
    """The user is named by the header ``X-User``, as behind a proxy."""

    def get_user(self, handler: Any) -> User | None:
        """Return that user."""
        name = handler.request.headers.get("X-User")
        return User(name) if name else None


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "support"}]


def _load_jupyter_server_extension(app: Any) -> None:
    """Set TCP_NODELAY and nothing else: our setting, without the package."""

    class NoDelay(app.web_app.settings[_SETTING]):  # type: ignore[misc]
        def connect(self) -> Any:
            self.websocket_handler.set_nodelay(True)
            return super().connect()

    IOLoop.current().add_callback(app.web_app.settings.__setitem__, _SETTING, NoDelay)


@contextmanager
def server(
    *more: str, ours: bool, nodelay: bool, identity: Sequence[str] = BY_HEADER
) -> Iterator[LocalServer]:
    """Run a server with or without us, with or without TCP_NODELAY on its websockets.

    Args:
        more: Further arguments of its command line.
        ours: Whether it has the extension.
        nodelay: Whether its websockets send small messages immediately.
        identity: The arguments for its identity provider.
    """
    extensions = {
        **dict.fromkeys(_OTHERS, False),
        "jupyter_session_user": ours,
        "support": nodelay and not ours,
    }
    arguments = (
        *identity,
        f"--ServerApp.jpserver_extensions={extensions}",
        f"--JupyterSessionUser.websocket_nodelay={nodelay}",
        *more,
    )
    with local_server(*arguments, env={"PYTHONPATH": f"{HERE}:{HERE.parent}"}) as running:
        yield running


class NamedLogin(DemoIdentityProvider):
    """Users log in with their name as the password, and can sign out."""

    def process_login_form(self, handler: Any) -> User | None:
        """Return the user of the form."""
        name = handler.get_argument("username", "")
        return User(name) if name and name == handler.get_argument("password", "") else None

    def user_from_cookie(self, cookie_value: str) -> User | None:
        """Return the user that the signed cookie names."""
        return IdentityProvider.user_from_cookie(self, cookie_value)


def person(running: LocalServer, name: str) -> Person:
    """Return a client that the proxy header names."""
    return Person(running.url, {"X-User": name})


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return median and 90th percentile, rounded to four digits."""
    ordered = sorted(values)
    return {
        "median": float(f"{statistics.median(ordered):.4g}"),
        "p90": float(f"{ordered[int(len(ordered) * 0.9)]:.4g}"),
    }


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return median, 99th percentile and maximum, rounded to four digits."""
    ordered = sorted(values)
    found = {
        "median": statistics.median(ordered),
        "p99": ordered[int(len(ordered) * 0.99)],
        "max": ordered[-1],
    }
    return {name: float(f"{value:.4g}") for name, value in found.items()}


def report(result: dict[str, Any]) -> None:
    """Print the result as JSON."""
    json.dump(result, sys.stdout, indent=2)
    print()

"""The command line of a server that JupyterHub has started."""

from __future__ import annotations

import pytest

from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.hosts import hub_server

HUB = {
    "JUPYTERHUB_API_TOKEN": "a token",
    "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-alice",
    "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:4242/user/alice/",
    "JUPYTERHUB_SERVICE_PREFIX": "/user/alice/",
    "JUPYTERHUB_PUBLIC_URL": "https://hub.example.org/user/alice/",
}
OURS = ["serve", "app.py", "--auth-module", "jupyterhub"]


def test_the_hubs_address():
    """Port, prefix, address and origin are the Hub's; the module is a file; a secret is made."""
    environ = dict(HUB)
    found = hub_server.arguments([*OURS, "--allow-root"], environ)
    assert "--allow-root" not in found
    for option, value in {
        "--port": "4242",
        "--prefix": "/user/alice/",
        "--address": "127.0.0.1",
        "--allow-websocket-origin": "hub.example.org",
    }.items():
        assert found[found.index(option) + 1] == value
    assert found[found.index("--auth-module") + 1].endswith("jupyterhub_auth.py")
    assert len(environ["BOKEH_COOKIE_SECRET"]) >= 32


def test_a_port_of_a_proxy():
    """A proxy in front has chosen the port: then the Hub's address is the proxy's."""
    given = ["serve", "app.py", "--auth-module=jupyterhub", "--port=5"]
    found = hub_server.arguments(given, dict(HUB))
    assert "--prefix" not in found
    assert found[-1] == "--port=5"


def test_without_our_module():
    """The command line stays as it is, and nothing is asked of the environment."""
    environ = {}
    given = ["serve", "app.py", "--auth-module", "mine.py", "--allow-root"]
    assert (hub_server.arguments(given, environ), environ) == (given, {})


@pytest.mark.parametrize("server", ["asgi", "fastapi"])
def test_a_server_that_ignores_auth_modules(server):
    """It would let every visitor in."""
    with pytest.raises(ConfigurationError, match="Remove --server"):
        hub_server.arguments([*OURS, "--server", server], dict(HUB))


def test_without_a_hub():
    """The error says who has to start the command."""
    with pytest.raises(ConfigurationError, match=r"c\.Spawner\.cmd"):
        hub_server.arguments(OURS, {})

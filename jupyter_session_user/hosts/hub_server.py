"""The command line of a Bokeh or Panel server that JupyterHub has started.

JupyterHub describes the server's address in its environment:
https://jupyterhub.readthedocs.io/en/stable/reference/spawners.html
"""

from __future__ import annotations

import secrets
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from jupyter_session_user.errors import ConfigurationError

__all__ = ["NAME", "arguments"]

#: What stands for our auth module in ``--auth-module``.
NAME = "jupyterhub"

_OPTION = "--auth-module"
_MODULE = Path(__file__).with_name("jupyterhub_auth.py")
_SECRET = "BOKEH_COOKIE_SECRET"  # noqa: S105 - the name of a variable
#: Options of the Hub's own server that ``Spawner.args`` often has, and that others do not know.
_FOR_JUPYTER = frozenset({"--allow-root"})


def arguments(given: Sequence[str], environ: MutableMapping[str, str]) -> list[str]:
    """Return the command line with our auth module, and with the address that the Hub expects.

    Args:
        given: The command line of the tool, beginning with ``serve``.
        environ: The environment. A secret for the login's cookies is added, if there is none.

    Raises:
        ConfigurationError: JupyterHub has not started this server, or the server would let every
            visitor in.
    """
    if _value(given, _OPTION) != NAME:
        return list(given)
    if "JUPYTERHUB_API_TOKEN" not in environ or "JUPYTERHUB_CLIENT_ID" not in environ:
        raise ConfigurationError(
            f"{_OPTION} {NAME}: JUPYTERHUB_API_TOKEN or JUPYTERHUB_CLIENT_ID is missing. Let "
            "JupyterHub start this command, as c.Spawner.cmd or as a service with a url"
        )
    if _value(given, "--server") not in (None, "tornado"):
        raise ConfigurationError(
            f"{_OPTION} works with --server tornado only: the other servers ignore it, and would "
            "let every visitor in. Remove --server"
        )
    kept = [each for each in given if each not in _FOR_JUPYTER]
    if not (_value(given, "--cookie-secret") or environ.get("PANEL_COOKIE_SECRET")):
        environ.setdefault(_SECRET, secrets.token_hex(32))
    return [*_with_module(kept), *_address(kept, environ)]


def _with_module(given: Sequence[str]) -> list[str]:
    """Return the command line with the file in the place of the name."""
    replaced = list(given)
    for number, each in enumerate(given):
        if each == f"{_OPTION}={NAME}":
            replaced[number] = f"{_OPTION}={_MODULE}"
        elif each == NAME and given[number - 1] == _OPTION:
            replaced[number] = str(_MODULE)
    return replaced


def _address(given: Sequence[str], environ: MutableMapping[str, str]) -> list[str]:
    """Return the options for the address; none if a port is given: a proxy in front chose it."""
    url = urlsplit(environ.get("JUPYTERHUB_SERVICE_URL", ""))
    if _value(given, "--port") is not None or url.port is None:
        return []
    added = ["--port", str(url.port), "--prefix", environ.get("JUPYTERHUB_SERVICE_PREFIX", "/")]
    if _value(given, "--address") is None and url.hostname:
        added += ["--address", url.hostname]
    public = urlsplit(environ.get("JUPYTERHUB_PUBLIC_URL", "")).netloc
    if public and _value(given, "--allow-websocket-origin") is None:
        added += ["--allow-websocket-origin", public]
    return added


def _value(given: Sequence[str], option: str) -> str | None:
    """Return the value of an option, written with a space or with an equals sign.

    The tools take an unambiguous start of an option, too.
    """
    for number, each in enumerate(given):
        name, equals, value = each.partition("=")
        if len(name) <= len("--") or not option.startswith(name):
            continue
        if equals:
            return value
        if number + 1 < len(given):
            return given[number + 1]
    return None

"""A server with the settings and the class of docs/providers/generic_oidc.md, and its logins."""

from __future__ import annotations

import asyncio
import os
from http import HTTPStatus
from pathlib import Path
from typing import Any

from hub import code_block
from node_oidc import CLIENT_SECRETS, REPORTS, SCOPE, NodeProvider
from people import Person
from provider_settings import on_this_machine
from servers import EXTENSION, own_server

__all__ = ["PAGE", "campus_server", "log_in", "walk"]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "providers" / "generic_oidc.md"
#: After the page's settings: services that this provider refuses, and one that has a URL.
_MORE = """
_services = c.JupyterSessionUser.token_exchange
_services["payroll"] = {**_services["trino"], "scope": "salaries"}
_services["mine"] = {**_services["trino"], "audience": "trino", "scope": "sql salaries"}
_services["letters"] = {**_services["reports"], "resource": "https://letters.example.org"}
_services["files"] = {**_services["trino"], "resource": RESOURCE, "scope": "reports"}
"""


def campus_server(provider: NodeProvider, folder: Path, *arguments: str) -> Any:
    """Run a server whose users log in at this provider, with the most verbose log.

    Args:
        provider: The provider.
        folder: For the page's class and files.
        arguments: More of the command line.
    """
    title = "the class in c.ServerApp.identity_provider_class"
    (folder / "campus.py").write_text(code_block(PAGE, title))
    block = code_block(PAGE, "login_token_key_file")
    block = on_this_machine(block, folder, CLIENT_SECRETS["jupyter"], provider.url)
    login = {
        "issuer": provider.url,
        "client_secret_file": str(folder / "client-secret"),
        "scope": SCOPE,
        "resource": REPORTS,
    }
    folders = (ROOT, ROOT / "tests" / "support", folder)
    return own_server(
        "--debug",
        "--ServerApp.identity_provider_class=code_flow_identity.CampusWithCodeFlow",
        *(f"--CampusWithCodeFlow.{name}={value}" for name, value in login.items()),
        *arguments,
        env={"PYTHONPATH": os.pathsep.join(map(str, folders))},
        extensions=(EXTENSION, "probe_extension"),
        config={"jupyter_server_config.py": block + _MORE.replace("RESOURCE", repr(REPORTS))},
    )


async def walk(person: Person, provider: NodeProvider, name: str, path: str = "login") -> str:
    """Begin a login, go through the provider's pages, and return the path of the redirect."""
    answer = await person.fetch(path)
    url = answer.headers.get("Location", "")
    assert url.startswith(f"{provider.url}/auth?"), (answer.code, url)
    back = f"{person.url}oauth_callback"
    found = await asyncio.to_thread(provider.walk, url, f"id-of-{name}", back)
    return found.removeprefix(person.url)


async def log_in(person: Person, provider: NodeProvider, name: str, path: str = "login") -> Person:
    """Log a person in by the code flow, and return the person."""
    answer = await person.fetch(await walk(person, provider, name, path))
    assert answer.code == HTTPStatus.FOUND, answer.body
    me = await person.json("api/session-user/me")
    assert me["user"]["username"] == name
    return person

"""Whether a secret is in any of the places where texts of a server, a kernel or a page end up.

``search()`` runs JupyterLab with an identity provider, PostgreSQL and Redis. Two users do
everything that has to do with a secret once, failures included. It then reads each sink, and looks
for each secret in the forms of ``secret_forms``. A marker is put into each sink the way its texts
get there: a sink without the marker was not read, and fails the search.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_server import LocalServer
from oauth_provider import CLIENT, CLIENT_SECRET, RunningProvider
from people import Person
from postgres_server import PostgresServer
from redis import Redis
from redis_server import RedisServer
from secret_forms import forms
from servers import EXTENSION, PASSWORDS, own_server

__all__ = ["LEGITIMATE", "MARKER", "Office", "Report", "report_of", "running_office", "search"]

#: A valid name of a function, short enough for a column of ``%whos``.
MARKER = "planted" + secrets.token_hex(6)
AUDIENCE = "https://data.example.org"

#: Without the pages of other packages, which would run cells in a way of their own.
_PAGE = {
    "buildCheck": False,
    "disabledExtensions": dict.fromkeys(
        (
            *("@datalayer/jupyter-server-nbmodel", "@datalayer/jupyter-collaboration"),
            *("@jupyter/collaboration-extension", "@jupyter/docprovider-extension"),
            *("@jupyter-ai-contrib/server-documents", "jupyterlab-commands-toolkit"),
        ),
        True,
    ),
}

_PAGES = "JupyterLab's pages have it, for users who are logged in"
_ACCOUNT = "a file or process of the server's own account, which docs/trust.md names"
#: What belongs where it is: sink and secret, and why.
LEGITIMATE: dict[tuple[str, str], str] = {
    ("runtime directory", "cookie secret"): "Jupyter Server keeps it there, mode 0600",
    ("runtime directory", "server token"): "Jupyter Server keeps it there, mode 0600",
    ("server's log at DEBUG", "server token"): "Jupyter Server prints its address with it",
    ("jupyter server list", "server token"): "Jupyter Server prints its address with it",
    ("jupyter server --show-config", "login password"): "a setting of the tests' demo users",
    ("HTML of the pages", "server token"): _PAGES,
    ("page: DOM", "server token"): _PAGES,
    ("page: heap", "server token"): _PAGES,
    ("environment of the server", "client secret"): (
        "the variable of client_secret_env; Linux shows the environment a process began with: "
        + _ACCOUNT
    ),
}


@dataclass
class Office:
    """What runs, and what was found so far.

    Attributes:
        server: JupyterLab.
        outside: A folder that is no sink; ``tmp`` in it is the server's folder for temporary files.
        secrets: Values by kind; a kind may have many.
        sinks: What each sink holds.
    """

    server: LocalServer
    provider: RunningProvider
    postgres: PostgresServer
    redis: RedisServer
    outside: Path
    secrets: dict[str, set[bytes]] = field(default_factory=dict)
    sinks: dict[str, bytes] = field(default_factory=dict)

    def keep_secret(self, kind: str, *values: str | bytes) -> None:
        """Remember what has to be in no sink; of a JWT or a signed value, the signature."""
        for value in values:
            data = value.encode() if isinstance(value, str) else value
            self.secrets.setdefault(kind, set()).add(_distinct(data))

    def keep_sink(self, name: str, *texts: Any) -> None:
        """Add to what a sink holds."""
        for text in texts:
            data = text if isinstance(text, bytes) else str(text).encode("utf-8", "replace")
            self.sinks[name] = self.sinks.get(name, b"") + data + b"\n"

    def keep_files(self, name: str, *paths: Path) -> None:
        """Add files to a sink."""
        self.keep_sink(name, *(path.read_bytes() for path in paths if path.is_file()))

    def people(self) -> dict[str, Person]:
        """Return two browsers, not logged in, each with a cookie of the platform."""
        found = {name: Person(self.server.url) for name in PASSWORDS}
        for person in found.values():
            person.cookies["platform"] = canary = secrets.token_urlsafe(24)
            self.keep_secret("platform cookie", canary)
        return found


def _distinct(value: bytes) -> bytes:
    """Return the part that no two secrets share: the signature, if there is one."""
    for separator in (b".", b"|"):
        last = value.strip(b'"').rpartition(separator)[2]
        if len(last) >= 32 and value.count(separator) > 1:
            return last
    return value


@dataclass(frozen=True)
class Report:
    """What the search found.

    Attributes:
        sinks: Names of the sinks.
        kinds: Kinds of secrets, and how many of each.
        unread: Sinks without the marker.
        found: Sinks with a secret: name of the sink, kind of the secret.
        legitimate: The same, where ``LEGITIMATE`` has a reason.
    """

    sinks: list[str]
    kinds: dict[str, int]
    unread: list[str]
    found: list[tuple[str, str]]
    legitimate: list[tuple[str, str]]


def report_of(office: Office) -> Report:
    """Look for each secret in each sink."""
    wanted = {
        kind: [form for value in values for form in forms(value)]
        for kind, values in office.secrets.items()
    }
    hits = [
        (sink, kind)
        for sink, data in office.sinks.items()
        for kind, each in wanted.items()
        if any(form in data for form in each)
    ]
    marks = forms(MARKER.encode())
    return Report(
        sinks=list(office.sinks),
        kinds={kind: len(values) for kind, values in office.secrets.items()},
        unread=[n for n, data in office.sinks.items() if not any(m in data for m in marks)],
        found=[hit for hit in hits if hit not in LEGITIMATE],
        legitimate=[hit for hit in hits if hit in LEGITIMATE],
    )


async def search(office: Office, chromium: str) -> Report:
    """Let the users work, and look for each secret in each sink."""
    from secret_places import other_server, places, watched_redis, work_in_a_page
    from secret_scenario import work

    start = len(office.postgres.log.read_bytes())
    async with watched_redis(office):
        people = await work(office)
        await work_in_a_page(office, chromium)
        for person in people.values():
            await person.json("api/session-user/logout-everywhere", method="POST", body={})
    await other_server(office)
    await asyncio.to_thread(places, office, start)
    return await asyncio.to_thread(report_of, office)


@contextmanager
def running_office(
    provider: RunningProvider, postgres: PostgresServer, redis: RedisServer, outside: Path
) -> Iterator[Office]:
    """Run JupyterLab with everything that has a secret, for the block."""
    (outside / "tmp").mkdir()
    made = _secrets(outside, redis)
    with own_server(
        *("--debug", "--expose-app-in-browser", f"--JupyterSessionUser.realm={MARKER}"),
        "--ServerApp.identity_provider_class=oidc_identity.OidcIdentityProvider",
        "--OidcIdentityProvider.demo=True",
        command=(sys.executable, "-m", "jupyterlab"),
        extensions=(EXTENSION, "probe_extension", "leaky_extension", "jupyterlab"),
        config={
            "jupyter_server_config.py": _settings(provider, postgres, redis, outside),
            "labconfig/page_config.json": json.dumps(_PAGE),
        },
        env={
            "TEST_ISSUER": provider.url,
            "TEST_SECRET": CLIENT_SECRET,
            "PLANTED": MARKER,
            "PYTHONASYNCIODEBUG": "1",
            "TMPDIR": str(outside / "tmp"),
        },
    ) as server:
        office = Office(server, provider, postgres, redis, outside)
        for kind, value in made.items():
            office.keep_secret(kind, value)
        yield office


def _secrets(outside: Path, redis: RedisServer) -> dict[str, Any]:
    """Make the files with the administrator's secrets; return these."""
    key = secrets.token_bytes(32)
    made: dict[str, Any] = {
        "client secret": CLIENT_SECRET,
        "key of the logins' tokens": key,
        "password of the database's administrator": "a long random password",
        "password of Redis": secrets.token_urlsafe(24),
    }
    redis_password = str(made["password of Redis"])
    _private(outside / "client-secret", CLIENT_SECRET)
    _private(outside / "login-token-key", base64.b64encode(key).decode())
    _private(outside / "pgpass", "*:*:*:*:a long random password\n")
    _private(outside / "redis-password", redis_password)
    with closing(Redis(port=redis.port)) as client:
        client.config_set("requirepass", redis_password)
    return made


def _private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _settings(
    provider: RunningProvider, postgres: PostgresServer, redis: RedisServer, outside: Path
) -> str:
    from_file = {"issuer": provider.url, "client_id": CLIENT}
    from_env = {**from_file, "client_secret_env": "TEST_SECRET"}
    from_file["client_secret_file"] = str(outside / "client-secret")
    exchange = {
        "trino": from_file,
        "mail": {**from_env, "grant": "refresh", "scope": "reports"},
        "shared": {**from_file, "shared_kernels": True},
    }
    where = f"host=127.0.0.1 dbname=warehouse user=jupyter_logins passfile={outside / 'pgpass'}"
    databases = {
        "warehouse": {"dsn": f"{where} port={postgres.port}", "group": "jupyter_people"},
        "dead": {"dsn": f"{where} port=1", "group": "jupyter_people"},
    }
    values = {
        "JupyterSessionUser.realm": MARKER,
        "OidcIdentityProvider.passwords": PASSWORDS,
        "JupyterSessionUser.token_exchange": exchange,
        "JupyterSessionUser.login_token_key_file": str(outside / "login-token-key"),
        "JupyterSessionUser.databases": databases,
        "JupyterSessionUser.store_url": redis.url,
        "JupyterSessionUser.store_password_file": str(outside / "redis-password"),
        "JupyterSessionUser.token_audiences": [AUDIENCE],
        "JupyterSessionUser.token_issuer": "http://127.0.0.1:8888/api/session-user",
        "JupyterSessionUser.audit_file": str(outside / "audit.jsonl"),
        "JupyterSessionUser.audit_code": True,
        "JupyterSessionUser.admin_users": ["bob"],
    }
    lines = [f"c.{name} = {json.loads(json.dumps(value))!r}" for name, value in values.items()]
    events = str(outside / "events.jsonl")
    lines.append(f"import logging\nc.EventLogger.handlers = [logging.FileHandler({events!r})]")
    return "\n".join(lines) + "\n"

"""Lists the sessions of the servers that run here, and revokes logins.

A running server writes its address and a secret to a file in the runtime directory that only its
user can read (``server/web/operator.py``). The secret is sent only to that address.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyter_core.paths import jupyter_runtime_dir
from jupyter_server.utils import check_pid

from jupyter_session_user.core.secret import Secret
from jupyter_session_user.core.session import OVER
from jupyter_session_user.errors import SessionUserError

__all__ = [
    "NoServer",
    "Server",
    "aligned",
    "elsewhere",
    "find",
    "local_time",
    "logged_in",
    "matches",
    "printable",
    "short",
    "table",
]

TIMEOUT_S = 10.0

#: Characters of a session id in the table: 72 random bits.
_SHORT = 12
_WIDEST = 40  # characters of a username


class NoServer(SessionUserError):
    """No server runs here."""


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over the socket that ``ServerApp.sock`` names."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket's file."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self._path)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        url: Its base URL, with a trailing slash.
        authorization: The Authorization header that proves our permission.
        certfile: The server's certificate; empty without TLS.
        sock: Path of its Unix socket; empty if it listens on TCP.
    """

    url: str
    authorization: Secret = field(repr=False)
    certfile: str = ""
    sock: str = ""

    def sessions(self) -> list[dict[str, Any]]:
        """Return the sessions of all users.

        Raises:
            SessionUserError: The server does not answer, or refuses.
        """
        answer: list[dict[str, Any]] = self._ask("GET", "sessions")
        return answer

    def health(self) -> dict[str, Any]:
        """Return the server's report on its own health.

        Raises:
            SessionUserError: The server does not answer, or refuses.
        """
        answer: dict[str, Any] = self._ask("GET", "health")
        return answer

    def revoke(self, session_id: str) -> bool:
        """Revoke the login that a session belongs to; return True.

        Raises:
            SessionUserError: The server does not answer, or refuses.
        """
        self._ask("DELETE", f"sessions/{session_id}")
        return True

    def revoke_user(self, username: str) -> int:
        """Revoke all logins of a user; return their number.

        Raises:
            SessionUserError: The server does not answer, or refuses.
        """
        answer = self._ask("POST", "logout-everywhere", {"username": username})
        revoked: int = answer["revoked"]
        return revoked

    def agents(self) -> list[dict[str, Any]]:
        """Return the agents of all users.

        Raises:
            SessionUserError: The server does not answer, or refuses.
        """
        answer: list[dict[str, Any]] = self._ask("GET", "agents")
        return answer

    def revoke_agent(self, agent_id: str) -> None:
        """Revoke the token of an agent.

        Raises:
            SessionUserError: The server does not answer, or refuses.
        """
        self._ask("DELETE", f"agents/{agent_id}")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body)
        headers = {"Authorization": self.authorization.reveal()}
        target = f"{urlsplit(self.url).path}api/session-user/{path}"
        try:
            with contextlib.closing(self._connection()) as connection:
                connection.request(method, target, data, headers)
                response = connection.getresponse()
                text = response.read()
            answer = json.loads(text) if text else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SessionUserError(
                f"{self.url} does not answer ({type(error).__name__}); look at its log, or "
                "restart it"
            ) from None
        if response.status >= http.client.BAD_REQUEST:
            said = answer.get("message") if isinstance(answer, dict) else None
            raise SessionUserError(f"{self.url}: {response.status}, {said}")
        return answer

    def _connection(self) -> http.client.HTTPConnection:
        if self.sock:
            return _UnixConnection(self.sock)
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if parts.scheme != "https":
            return http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_S)
        # Only the server's own certificate is accepted, for any name: the server is known. It needs
        # no signature of a trusted authority.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.certfile)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT_S, context=context)


def find(wanted: str | None) -> list[Server]:
    """Return the running servers of this user.

    Args:
        wanted: URL or port of one server; None for all.

    Raises:
        NoServer: No server runs.
        SessionUserError: Not the wanted one.
    """
    folder = Path(jupyter_runtime_dir())
    servers = [s for path in sorted(folder.glob("session-user-*.json")) if (s := _read(path))]
    if not servers:
        raise NoServer(
            f"no running server in {folder}; start one with the extension, or run this as the "
            "user who started it, with the same JUPYTER_RUNTIME_DIR"
        )
    chosen = [
        server
        for server in servers
        if wanted is None
        or wanted.rstrip("/") in (server.url.rstrip("/"), str(urlsplit(server.url).port))
    ]
    if not chosen:
        there = " or ".join(server.url for server in servers)
        raise SessionUserError(f"no running server is {wanted}; write --server {there}")
    return chosen


def _read(path: Path) -> Server | None:
    """Return the server that wrote this file; None, and remove the file, if it has stopped."""
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        if info["hostname"] != socket.gethostname():
            return None  # several machines share this home directory
        if not check_pid(info["pid"]):
            path.unlink(missing_ok=True)
            return None
        return Server(
            info["url"], Secret(info["authorization"]), info["certfile"], info["sock"] or ""
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None  # it is being written, or is not a server's file


def elsewhere() -> list[str]:
    """Return the names of other machines whose servers use this user's directories, too."""
    hosts = set()
    for path in Path(jupyter_runtime_dir()).glob("session-user-*.json"):
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            hosts.add(str(json.loads(path.read_text(encoding="utf-8"))["hostname"]))
    return sorted(hosts - {socket.gethostname()})


def short(session_id: str) -> str:
    """Return enough of an id to find it again; a leading dash would look like an option."""
    return session_id.lstrip("-")[:_SHORT]


def matches(session_id: str, given: str) -> bool:
    """Tell whether the given text names this session: by its full id, or by its start."""
    start = given.lstrip("-")
    return len(start) >= _SHORT and session_id.lstrip("-").startswith(start)


def logged_in(sessions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the sessions whose login has not ended."""
    return [session for session in sessions if session["state"] not in OVER]


def table(sessions: Sequence[dict[str, Any]]) -> str:
    """Return the sessions as a text table, the one that was seen last first.

    Times are in the terminal's zone, which the heading names; an estimate has a tilde in front.
    """
    if not sessions:
        return "nobody is logged in"
    latest = sorted(sessions, key=lambda one: one["last_seen_at"] or "", reverse=True)
    rows = [_row(one) for one in latest]
    head = (
        "USERNAME",
        "NAME",
        "STATE",
        "LAST SEEN",
        "EXPIRES",
        "LAST CELL",
        "NOTEBOOK",
        "SESSION",
    )
    return aligned(head, rows)


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with aligned columns, and a line that names the zone of its times."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in (head, *rows))
    zone = datetime.now().astimezone().tzname()
    return "\n".join((*lines, f"Times are in {zone}."))


def _row(session: dict[str, Any]) -> tuple[str, ...]:
    user, actor = session["user"], session.get("actor")
    acting = f" ({actor['kind']} {actor['name']})" if actor else ""
    guess = "~" if session["expiry_source"] == "estimated" else ""
    return (
        printable(user["username"]),
        printable(user["display_name"] + acting),
        session["state"] + (" (degraded)" if session["degraded"] else ""),
        local_time(session["last_seen_at"]),
        guess + local_time(session["expires_at"]),
        _last_cell(session),
        printable(session.get("path") or "") or (session["kernel_id"] or "-")[:8],
        short(session["id"]),
    )


def _last_cell(session: dict[str, Any]) -> str:
    """Return when a session last ran code, and the start of the cell's id if there is one."""
    last = session.get("last_cell")
    if last is None:
        return "-"
    return f"{local_time(last['start'])} {printable((last['cell_id'] or '')[:8])}".rstrip()


def local_time(time: str | None) -> str:
    """Return a time in the terminal's zone."""
    if time is None:
        return "-"
    moment = datetime.fromisoformat(time.replace("Z", "+00:00")).astimezone()
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def printable(text: str) -> str:
    """Return the text without control characters that a terminal would obey."""
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return shown if len(shown) <= _WIDEST else shown[: _WIDEST - 1] + "…"

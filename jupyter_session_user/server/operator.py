"""Whoever may read the server process's runtime directory may list and revoke sessions.

Such a person could read the server's memory just as well. The proof is a secret in a file that
this user alone can read, next to Jupyter's own ``jpserver-<pid>.json``. It is good for the
routes of this package alone, and no log shows it.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_core.paths import secure_write

from jupyter_session_user.core.secret import Secret

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp
    from tornado.httputil import HTTPServerRequest

__all__ = ["SCHEME", "Operator"]

#: Of the header Authorization. Jupyter's own schemes are "token" and "bearer".
SCHEME = "session-user"

_SECRET_BYTES = 32  # 256 bits

#: Addresses that mean "all"; a client needs one that it can connect to.
_EVERYWHERE = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


class Operator:
    """The operator of one server: a secret, and the file that holds it while the server runs."""

    def __init__(self) -> None:
        self._secret = Secret(f"{SCHEME} {secrets.token_urlsafe(_SECRET_BYTES)}")
        self._file: Path | None = None

    def start(self, server: ServerApp) -> None:
        """Write the file. The server must know its port by now.

        A directory that cannot be written costs the command line, and not the server.
        """
        path = Path(server.info_file).parent / f"session-user-{os.getpid()}.json"
        info = {**_address(server), "authorization": self._secret.reveal()}
        try:
            with secure_write(str(path)) as file:
                json.dump(info, file)
        except (OSError, RuntimeError) as error:  # RuntimeError: the mode is not 0600 after all
            server.log.warning(
                "'jupyter session-user sessions' will not find this server: cannot write %s (%s)",
                path,
                type(error).__name__,
            )
        else:
            self._file = path

    def knows(self, request: HTTPServerRequest) -> bool:
        """Tell whether the operator sent this request."""
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogatepass")
        return hmac.compare_digest(given, self._secret.reveal().encode())

    def close(self) -> None:
        """Remove the file."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)
            self._file = None


def _address(server: ServerApp) -> dict[str, Any]:
    """Return where this machine reaches the server, and which certificate it shows there."""
    ip = _EVERYWHERE.get(server.ip, server.ip)
    host = f"[{ip}]" if ":" in ip else ip
    scheme = "https" if server.certfile else "http"
    return {
        "url": f"{scheme}://{host}:{server.port}{server.base_url}",
        "sock": server.sock,
        "certfile": str(Path(server.certfile).absolute()) if server.certfile else "",
        "pid": os.getpid(),
        "hostname": socket.gethostname(),
    }

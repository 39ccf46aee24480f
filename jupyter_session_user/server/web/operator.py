"""Authenticates the operator: a user that can read the server's runtime directory.

The operator may list and revoke sessions, since such a user could also read the server's memory.
The proof is a secret in a file that only this user can read, next to Jupyter's own
``jpserver-<pid>.json``. The secret is valid only for the routes of this package, and no log
contains it.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_core.paths import secure_write

from jupyter_session_user.core.secret import Secret

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp
    from tornado.httputil import HTTPServerRequest

__all__ = ["SCHEME", "Operator"]

#: Scheme of the Authorization header. Jupyter's own schemes are "token" and "bearer".
SCHEME = "session-user"

_SECRET_BYTES = 32  # 256 bits

#: Addresses that mean "all", with an address that a client can connect to.
_EVERYWHERE = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


class Operator:
    """The operator of one server: a secret, in a file that exists while the server runs."""

    def __init__(self) -> None:
        self._secret = Secret(f"{SCHEME} {secrets.token_urlsafe(_SECRET_BYTES)}")
        self._file: Path | None = None

    def start(self, server: ServerApp) -> None:
        """Write the file. The server must already know its port.

        If the directory is not writable, only the command line stops working, not the server.
        """
        path = Path(server.info_file).parent / f"session-user-{os.getpid()}.json"
        ip = _EVERYWHERE.get(server.ip, server.ip)
        host = f"[{ip}]" if ":" in ip else ip
        scheme = "https" if server.certfile else "http"
        info = {
            "url": f"{scheme}://{host}:{server.port}{server.base_url}",
            "sock": server.sock,
            "certfile": str(Path(server.certfile).absolute()) if server.certfile else "",
            "pid": os.getpid(),
            "hostname": socket.gethostname(),
            "authorization": self._secret.reveal(),
        }
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

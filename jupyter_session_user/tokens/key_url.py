"""The private keys that sign identity tokens, from a URL of the administrator's.

So no file on this machine has them. The server fetches them at its start and once a minute, in a
thread: a rotation gives verifiers ten minutes to learn of a new key. They are in memory alone.
"""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.secret import Secret
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.tokens.keys import SigningKeys, keys_in

if TYPE_CHECKING:
    from joserfc.jwk import ECKey

    from jupyter_session_user.core.signing_keys import Made

__all__ = ["FetchedKeys"]

_EVERY_S = 60.0
_PATIENCE_S = 10.0
_MAX_BYTES = 65_536
_OK = 200
_FIX = "see that the URL is right, and that it answers with the JSON of a token_key_file"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it would take the secret to another address."""

    def redirect_request(self, *_: Any) -> None:
        """Return no request."""


class FetchedKeys(SigningKeys):
    """The keys of one server.

    Args:
        url: An https URL, or http on this machine alone; it answers with the JSON of a key file.
        secret: The bearer token of the requests.
        failed: Called with a text if the keys cannot be fetched again; the former ones then count.
        clock: Returns the time, in seconds since the epoch.
        every: Seconds between two requests.

    Raises:
        ConfigurationError: The keys cannot be fetched. The text has neither URL nor secret nor key.
    """

    def __init__(
        self,
        url: str,
        secret: Secret,
        failed: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
        every: float = _EVERY_S,
    ) -> None:
        self._url, self._secret = url, secret
        self._failed = failed
        self._clock = clock
        self._every = every
        self._keys = self._fetch()
        self._over = threading.Event()
        threading.Thread(target=self._follow, name="session-user-keys", daemon=True).start()

    def close(self) -> None:
        """Fetch no more."""
        self._over.set()

    def _look(self) -> None:
        """Do nothing: the thread does it."""

    def _follow(self) -> None:
        before = ""
        while not self._over.wait(self._every):
            problem = self._fetch_again()
            if problem not in {"", before}:
                self._failed(f"{problem}. Until then, the keys that it had before count")
            before = problem

    def _fetch_again(self) -> str:
        """Replace the keys; return the problem if there is one."""
        try:
            self._keys = self._fetch()
        except ConfigurationError as error:
            return str(error)
        return ""

    def _fetch(self) -> dict[Made, ECKey]:
        try:
            return keys_in(self._body())
        except urllib.error.HTTPError as error:
            error.close()
            problem = f"status {error.code}"
        except ValueError as error:
            problem = str(error) if type(error) is ValueError else type(error).__name__
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the answer
            problem = type(error).__name__
        raise ConfigurationError(f"token_key_url: no usable keys ({problem}); {_FIX}")

    def _body(self) -> bytes:
        # No proxy: the environment's would get the keys of an http URL in clear.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
        headers = {
            "Authorization": f"Bearer {self._secret.reveal()}",
            "Accept": "application/json",
        }
        request = urllib.request.Request(self._url, headers=headers)  # noqa: S310 - checked
        end = time.monotonic() + _PATIENCE_S
        body = b""
        with opener.open(request, timeout=_PATIENCE_S) as answer:
            while chunk := answer.read1(_MAX_BYTES):
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise ValueError(f"more than {_MAX_BYTES} bytes")
                if time.monotonic() > end:
                    raise TimeoutError
            if answer.status != _OK:
                raise ValueError(f"status {answer.status}")
        return body

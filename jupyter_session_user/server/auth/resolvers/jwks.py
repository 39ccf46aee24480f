"""Verifies JWTs with their issuer's public keys (RFC 7517), from a file on this machine.

The keys come from a file, not a URL, because a request that waits for the network would block all
others. A tool that downloads the keys may replace the file at any time; it is read again after a
change.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitlets.log import get_logger

from jupyter_session_user.errors import ConfigurationError

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

    from jupyter_session_user.server.settings import Settings

__all__ = ["ALGORITHMS", "BalancerKeyFile", "KeyFile", "key_file", "need_joserfc"]

#: Only public-key signatures. Never "none" or HMAC: the HMAC key would be the public key.
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
_KEY_TYPES = frozenset({"RSA", "EC", "OKP"})

_LOOK_AGAIN_S = 1.0
_REMEMBERED = 1024  # tokens; each is verified once, not with every request


class KeyFile:
    """The issuer's public keys.

    Args:
        path: Path of the JWKS file.
        issuer: Required value of ``iss``; empty for any.
        audience: Value that ``aud`` must equal or contain; empty for any.
        monotonic: A clock, in seconds.
        setting: Name of the setting that has the path, for errors.
        algorithms: The algorithms that count.

    Raises:
        ConfigurationError: The file is missing, or holds no public key.
    """

    def __init__(
        self,
        path: str,
        issuer: str = "",
        audience: str = "",
        monotonic: Callable[[], float] = time.monotonic,
        setting: str = "jwt_jwks",
        algorithms: Sequence[str] = ALGORITHMS,
    ) -> None:
        self._path = Path(path)
        self._algorithms = list(algorithms)
        self._issuer = issuer
        self._audience = audience
        self._monotonic = monotonic
        self._setting = setting
        self._known: dict[bytes, Mapping[str, Any] | None] = {}
        self._looked = monotonic()
        self._version, self._keys = self._stat(), self._load()

    def claims(self, token: str) -> Mapping[str, Any] | None:
        """Return the claims of a token that one of the keys has signed; None for other tokens.

        Its times are not checked: an expired token states when it expired.
        """
        self._look()
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        if digest not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[digest] = self._verified(token)
        return self._known[digest]

    def has_signed(self, token: str) -> bool:
        """Tell whether one of the keys has signed a token; the answer is not remembered.

        This is for tokens that come once. Others could fill the memory of ``claims`` with them.
        """
        self._look()
        return self._verified(token) is not None

    def _verified(self, token: str) -> Mapping[str, Any] | None:
        try:
            claims = self._decoded(token)
        except Exception:  # noqa: BLE001 - any text may come as a token
            return None
        if not isinstance(claims, dict) or (self._issuer and claims.get("iss") != self._issuer):
            return None
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        return None if self._audience and self._audience not in audiences else claims

    def _decoded(self, token: str) -> Any:
        """Return the claims of a token; raise any error if its signature is not valid."""
        from joserfc import jwt  # noqa: PLC0415 - optional

        return jwt.decode(token, self._keys, algorithms=self._algorithms).claims

    def _look(self) -> None:
        """Read the file again if it has changed; if it is unreadable, the old keys stay valid."""
        now = self._monotonic()
        if now - self._looked < _LOOK_AGAIN_S:
            return
        self._looked = now
        version = self._stat()
        if version == self._version:
            return
        self._version = version
        try:
            self._keys = self._load()
        except ConfigurationError as error:
            get_logger().error("%s Until then, the keys that it had before count.", error)
        else:
            self._known.clear()

    def _stat(self) -> object:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _load(self) -> KeySet:
        from joserfc.jwk import KeySet  # noqa: PLC0415 - optional

        try:
            keys = json.loads(self._path.read_bytes())["keys"]
            public = [key for key in keys if key["kty"] in _KEY_TYPES]
            found: KeySet = KeySet.import_key_set({"keys": public})
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the file
            raise ConfigurationError(
                f"{self._setting}: {str(self._path)!r} holds no public keys "
                f"({type(error).__name__}); "
                'write the issuer\'s JWKS there, {"keys": [...]}, as its jwks_uri gives it.'
            ) from None
        return found


class BalancerKeyFile(KeyFile):
    """The keys of AWS load balancers, whose JWTs are padded: RFC 7515, section 2 forbids that.

    The signature includes the padding. ``iss``, ``exp``, ``client`` (for ``aud``) and ``signer``
    are in the header, which is signed as well.
    """

    def _decoded(self, token: str) -> Any:
        from joserfc.jws import JWSRegistry  # noqa: PLC0415 - optional

        head, payload, signature = (
            base64.b64decode(part, b"-_", validate=True) for part in token.split(".")
        )
        header, claims = json.loads(head), json.loads(payload)
        algorithm = JWSRegistry(algorithms=self._algorithms).get_alg(header["alg"])
        key = self._keys.get_by_kid(header["kid"])
        algorithm.check_key(key)
        signed = token.rpartition(".")[0].encode("ascii")
        if "crit" in header or not algorithm.verify(signed, signature, key):
            return None
        own = {name: header.get(name) for name in ("iss", "exp", "signer")}
        return {**claims, **own, "aud": header.get("client")}


def key_file(settings: Settings) -> KeyFile | None:
    """Return the administrator's keys; None if none are set.

    Raises:
        ConfigurationError: The keys are invalid, or no setting uses them.
    """
    if not settings.jwt_jwks:
        return None
    if not (settings.jwt_cookie or settings.jwt_header):
        raise ConfigurationError(
            "jwt_jwks is set, and no token is looked at; set c.JupyterSessionUser.jwt_cookie or "
            ".jwt_header"
        )
    need_joserfc("jwt_jwks")
    return KeyFile(settings.jwt_jwks, settings.jwt_issuer, settings.jwt_audience)


def need_joserfc(setting: str) -> None:
    """Raise an error with the fix if the library that verifies signatures is missing.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import joserfc  # noqa: F401, PLC0415 - optional
    except ImportError:
        raise ConfigurationError(
            f"{setting} needs joserfc; run: pip install 'jupyter-session-user[jwt]'"
        ) from None

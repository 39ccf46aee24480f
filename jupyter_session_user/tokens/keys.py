"""The private keys that sign identity tokens, in a file that only its owner can read.

The file is a JWKS (RFC 7517) of private keys, each with ``kid`` (its RFC 7638 thumbprint) and
``iat``, the time of its making. ``core/signing_keys.py`` has the rules for their times.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.identity_token import ALGORITHM, TYPE
from jupyter_session_user.core.signing_keys import Made, published, signing
from jupyter_session_user.errors import ConfigurationError

if TYPE_CHECKING:
    from joserfc.jwk import ECKey

__all__ = ["SigningKeys", "keys_in", "make_file", "need_joserfc", "rotate"]

_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
_LOOK_AGAIN_S = 1.0
#: How long a change of the file waits for another one, in seconds; a change takes milliseconds.
_LOCK_S = 10.0
_ROTATE = "jupyter session-user keys rotate"


class SigningKeys:
    """The keys of one server. The file is read again after a change.

    Args:
        path: Path of the file.
        failed: Called with a text if the changed file cannot be used; the former keys then count.
        clock: Returns the time, in seconds since the epoch.
        monotonic: A clock, in seconds.

    Raises:
        ConfigurationError: The file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        failed: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._failed = failed
        self._clock = clock
        self._monotonic = monotonic
        self._looked = monotonic()
        self._version, self._keys = _version(path), _read(path)

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a token with these claims."""
        from joserfc import jwt  # noqa: PLC0415 - optional

        self._look()
        kid = signing(self._keys, self._clock())
        (key,) = (key for made, key in self._keys.items() if made.kid == kid)
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": kid}
        return jwt.encode(header, claims, key, algorithms=[ALGORITHM])

    def public(self) -> dict[str, Any]:
        """Return the JWKS for verifiers, without private parts."""
        self._look()
        shown = published(self._keys, self._clock())
        by_kid = {made.kid: key for made, key in self._keys.items()}
        return {
            "keys": [
                {
                    **by_kid[kid].as_dict(private=False),
                    "kid": kid,
                    "use": "sig",
                    "alg": ALGORITHM,
                }
                for kid in shown
            ]
        }

    def close(self) -> None:
        """Look no more for other keys."""

    def _look(self) -> None:
        now = self._monotonic()
        if now - self._looked < _LOOK_AGAIN_S:
            return
        self._looked = now
        version = _version(self._path)
        if version == self._version:
            return
        self._version = version
        try:
            self._keys = _read(self._path)
        except ConfigurationError as error:
            self._failed(f"{error}. Until then, the keys that it had before count")


def make_file(path: Path, now: float) -> bool:
    """Make a file with one new key, unless there is a file; return whether it was made.

    Raises:
        ConfigurationError: It cannot be written.
    """
    if path.exists():
        return False
    with _alone(path):
        if path.exists():
            return False
        draft = _draft(path, [_new(now)])
        try:
            os.link(draft, path)  # fails if something else was faster
        except FileExistsError:
            return False
        except OSError as error:
            raise _cannot_write(path, error) from None
        finally:
            draft.unlink()
    return True


def rotate(path: Path, now: float, *, at_once: bool = False) -> str:
    """Add a new key, remove keys that no verifier needs, and return the new key's name.

    Args:
        path: Path of the file; it is made if there is none.
        now: The time, in seconds since the epoch.
        at_once: Whether the new key replaces all others now, because one may be known to others.
            Their tokens are then refused as soon as verifiers have fetched the keys again.

    Raises:
        ConfigurationError: The file cannot be read or written.
    """
    new = _new(now)
    with _alone(path):
        kept = []
        if path.exists() and not at_once:
            keys = _read(path)
            shown = published(keys, now)
            kept = [_stored(made, key) for made, key in keys.items() if made.kid in shown]
        draft = _draft(path, [*kept, new])
        try:
            draft.replace(path)
        except OSError as error:
            draft.unlink()
            raise _cannot_write(path, error) from None
    return str(new["kid"])


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Change the file in no other program at the same time: of two changes, one would be lost.

    The lock is a file beside it, since each change replaces the file itself.

    Raises:
        ConfigurationError: The folder cannot be written, or another program keeps the lock.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - optional

    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=_LOCK_S, mode=_FILE_MODE)
    try:
        path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ConfigurationError(
            f"token_key_file: another program changes {str(path)!r} at this moment; run "
            f"'{_ROTATE}' again"
        ) from None
    except OSError as error:
        raise _cannot_write(path, error) from None
    try:
        yield
    finally:
        lock.release()


def need_joserfc(what: str) -> None:
    """Raise an error with the fix if the libraries that sign, and that lock the keys, are missing.

    Raises:
        ConfigurationError: One is not installed.
    """
    try:
        import filelock  # noqa: F401, PLC0415 - optional
        import joserfc  # noqa: F401, PLC0415 - optional
    except ImportError as error:
        raise ConfigurationError(
            f"{what} needs {error.name}; run: pip install 'jupyter-session-user[jwt]'"
        ) from None


def _new(now: float) -> dict[str, Any]:
    from joserfc.jwk import ECKey  # noqa: PLC0415 - optional

    key = ECKey.generate_key("P-256", private=True)
    return _stored(Made(key.thumbprint(), int(now)), key)


def _stored(made: Made, key: ECKey) -> dict[str, Any]:
    return {**key.as_dict(private=True), "kid": made.kid, "iat": made.at}


def _read(path: Path) -> dict[Made, ECKey]:
    """Return the keys of a file.

    Raises:
        ConfigurationError: Other accounts can read it, or it holds no such keys.
    """
    try:
        with path.open("rb") as file:
            _check_access(path, os.fstat(file.fileno()))
            return keys_in(file.read())
    except (OSError, ValueError) as error:
        problem = str(error) if type(error) is ValueError else type(error).__name__
    raise ConfigurationError(
        f"token_key_file: {str(path)!r} holds no usable keys ({problem}); restore it, or remove it "
        f"and run '{_ROTATE}'"
    )


def keys_in(text: bytes) -> dict[Made, ECKey]:
    """Return the keys in the text of a file.

    Raises:
        ValueError: It holds no such keys. The error has no part of the text.
    """
    from joserfc.jwk import ECKey  # noqa: PLC0415 - optional

    keys: dict[Made, ECKey] = {}
    problem = "no key of P-256"
    try:
        for one in json.loads(text)["keys"]:
            pure = {name: one[name] for name in ("kty", "crv", "x", "y", "d")}
            key = ECKey.import_key(pure)
            keys[Made(key.thumbprint(), int(one["iat"]))] = key
        usable = bool(keys) and all(key.curve_name == "P-256" for key in keys.values())
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it
        problem = type(error).__name__
        usable = False
    if not usable:
        raise ValueError(problem)
    return keys


def _check_access(path: Path, status: os.stat_result) -> None:
    if os.name == "nt":
        return  # Windows has no such modes; its folders of a user are closed to other users
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o177:
        raise ConfigurationError(
            f"token_key_file: {str(path)!r} has the mode {stat.S_IMODE(status.st_mode):04o}, and "
            f"other accounts may have read it; run 'chmod 600 {path}', and '{_ROTATE} --now "
            f"--file {path}' if they may"
        )


def _draft(path: Path, keys: list[dict[str, Any]]) -> Path:
    """Write a file beside ``path``, complete and closed, that only this account can read."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            json.dump({"keys": keys}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise _cannot_write(path, error) from None
    return draft


def _cannot_write(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"token_key_file: {str(path)!r} cannot be written ({type(error).__name__}); see that its "
        "folder can be written, or name another file"
    )


def _version(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode

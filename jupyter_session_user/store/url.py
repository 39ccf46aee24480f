"""``store_url``: the location of the list of ended logins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from jupyter_session_user.core.secret import Secret
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.store.base import EndedStore
from jupyter_session_user.store.ended import MemoryEnded
from jupyter_session_user.store.redis import RedisJournal
from jupyter_session_user.store.shared import SharedEnded
from jupyter_session_user.store.sqlite import SqliteJournal

__all__ = ["open_ended"]

_SQLITE = "sqlite:///"
_REDIS = ("redis://", "rediss://", "unix://")
_FOLDER_MODE = 0o700


def open_ended(
    url: str,
    data_dir: Callable[[], str],
    failed: Callable[[str], None] = lambda _: None,
    password: Secret | None = None,
) -> EndedStore:
    """Return the store that a URL names.

    Args:
        url: ``memory:``; ``sqlite:///relative/path``, ``sqlite:////absolute/path`` (as in
            SQLAlchemy); ``redis://host:port/database`` and the other schemes of ``_REDIS``; empty
            for a file in a folder of our own in Jupyter's data directory.
        data_dir: Returns that directory.
        failed: See ``SharedEnded``.
        password: Of the Redis server, from ``store_password_file``.

    Raises:
        ConfigurationError: The URL is invalid, or its file cannot be used.
    """
    if password is not None:
        _check_password_belongs(url)
    if url == "memory:":
        return MemoryEnded()
    if not url:
        return SharedEnded(SqliteJournal(_own_folder(Path(data_dir())) / "ended.sqlite3"), failed)
    if url.startswith(_REDIS):
        return SharedEnded(RedisJournal(url, password), failed)
    path = url.removeprefix(_SQLITE)
    if path in {url, ""}:
        raise ConfigurationError(
            f"store_url: {_without_password(url)!r} names no store; write 'memory:', "
            "'redis://HOST:6379/0', or 'sqlite:////' and the absolute path of a file, or leave it "
            "empty for a file in Jupyter's data directory"
        )
    return SharedEnded(SqliteJournal(Path(path)), failed)


def _check_password_belongs(url: str) -> None:
    """Refuse a password file that would not count.

    Raises:
        ConfigurationError: The URL is not one of Redis, or has a password of its own.
    """
    if not url.startswith(_REDIS):
        raise ConfigurationError(
            "store_password_file: store_url names no Redis server; set it to "
            "'redis://HOST:6379/0', or remove store_password_file"
        )
    if urlsplit(url).password or "password" in parse_qs(urlsplit(url).query):
        raise ConfigurationError(
            "store_password_file: store_url has a password, too; remove the password from store_url"
        )


def _without_password(url: str) -> str:
    before, _, host = url.rpartition("@")
    return f"{before.partition('://')[0]}://…@{host}" if before else url


def _own_folder(data_dir: Path) -> Path:
    """Return our folder in the data directory; only this user can read it.

    Raises:
        ConfigurationError: The folder cannot be created.
    """
    folder = data_dir / "session-user"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            folder.chmod(_FOLDER_MODE)
    except OSError as error:
        raise ConfigurationError(
            f"store_url: {folder} cannot be made ({type(error).__name__}). See that the directory "
            "can be written, set store_url to 'sqlite:////' and the absolute path of a file "
            "elsewhere, or to 'memory:', which forgets the ended logins at each restart"
        ) from None
    return folder

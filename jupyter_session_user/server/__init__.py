"""The Jupyter Server extension: stamps messages, answers kernels, serves REST."""

from __future__ import annotations

from importlib import metadata

from packaging.version import Version

from jupyter_session_user.errors import ConfigurationError

__all__ = ["OLDEST_SERVER", "check_version"]

#: The oldest Jupyter Server with the asynchronous start hook of extensions, as in pyproject.toml.
OLDEST_SERVER = (2, 16)


def check_version() -> None:
    """Refuse a Jupyter Server that is too old; the wheel itself requires none.

    Raises:
        ConfigurationError: It is older than ``OLDEST_SERVER``.
    """
    found = metadata.version("jupyter_server")
    if Version(found).release < OLDEST_SERVER:
        oldest = ".".join(map(str, OLDEST_SERVER))
        raise ConfigurationError(
            f"jupyter-session-user needs jupyter_server {oldest} or newer, and finds {found}; "
            "kernels of this server get no user. "
            f"Run: pip install --upgrade 'jupyter-server>={oldest}'"
        )

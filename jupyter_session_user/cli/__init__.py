"""The command line, ``jupyter session-user``."""

from __future__ import annotations

import sys

__all__ = ["run"]


def run() -> int:
    """Run the command line; without Jupyter Server, print what to install.

    Returns:
        The exit status.
    """
    try:
        from jupyter_session_user.cli.main import main  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("jupyter_"):
            raise
        sys.stderr.write(
            f"jupyter session-user: this environment has no {error.name}. "
            "Run: pip install 'jupyter-session-user[server]'\n"
        )
        return 2
    return main()

"""What happens on import: the helper goes into the kernel, ``%whoami`` into the shell."""

from __future__ import annotations

from typing import Any

from jupyter_session_user.errors import IdentityUnavailable
from jupyter_session_user.kernel.current import LiveSession, current_session
from jupyter_session_user.kernel.state import helper, ipython_shell

__all__ = ["auto_install", "whoami"]


def auto_install(shell: Any = None) -> None:
    """Install into the running kernel and shell; do nothing where there is none.

    Args:
        shell: The IPython shell, where the caller has it at hand.
    """
    shell = shell or ipython_shell()
    if shell is None:
        return
    helper(shell)
    shell.register_magic_function(whoami, magic_kind="line", magic_name="whoami")


def whoami(line: str = "") -> LiveSession | None:
    """Show whose request is running this cell: ``%whoami``."""
    del line  # a magic gets the rest of its line; this one has no options
    try:
        return current_session()
    except IdentityUnavailable as error:
        print(error)  # noqa: T201 - a magic speaks to the person at the screen
        return None

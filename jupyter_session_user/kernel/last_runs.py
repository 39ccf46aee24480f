"""``last_run``: who ran a cell of this kernel last."""

from __future__ import annotations

from jupyter_session_user.core.last_run import LastRun
from jupyter_session_user.errors import WrongArgument
from jupyter_session_user.kernel.current import valid_session

__all__ = ["last_run"]

_MAX_ID = 200  # characters; the server keeps no more of an id


def last_run(cell_id: str) -> LastRun | None:
    """Return who ran a cell of this kernel last, and when.

        run = last_run("0d5ae2c4-7f1b-4a3e-9e43-d0c6d4a5a3b1")
        print(run.display_name, run.start)

    The server answers, from the login of the request that brought the code; code in the kernel
    cannot change it. A cell that runs now has no ``end``.

    Args:
        cell_id: Id of the cell, as in the notebook's file.

    Returns:
        The run. None if no user ran the cell since the kernel started, or if the administrator has
        set ``show_runs`` to False.

    Raises:
        IdentityUnavailable: The current user, who asks, cannot be determined.
        RequestTimeout: The server did not answer.
        SessionExpired: The login is over.
        WrongArgument: ``cell_id`` is not the id of a cell.
    """
    _check(cell_id)
    return valid_session().run_of(cell_id)


def _check(cell_id: object) -> None:
    """Refuse what is no id.

    Raises:
        WrongArgument: It is none.
    """
    if not isinstance(cell_id, str) or not 0 < len(cell_id) <= _MAX_ID:
        raise WrongArgument(
            f"last_run: cell_id is no text of 1 to {_MAX_ID} characters; pass the id of a cell"
        )

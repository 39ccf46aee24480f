"""The latest run of each cell of each kernel, and who ran it: for the people who use that kernel.

The server notes a run before the message reaches the kernel, so code in a kernel can put no name on
a run. The cell's id is the client's own: with it, people can only say which cell they themselves
have run.
"""

from __future__ import annotations

import itertools
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.colors import color_of

if TYPE_CHECKING:
    from jupyter_session_user.core.session import Session

__all__ = ["LastRuns", "Run"]

#: Cells of a kernel, and kernels; beyond that, the one that ran the longest time ago is forgotten.
_MAX_CELLS = 2_000
_MAX_KERNELS = 1_000
#: The kernel did not run the cell: an earlier one failed.
_ABORTED = "aborted"


@dataclass(slots=True, eq=False)
class Run:
    """One run of a cell.

    Attributes:
        cell_id: The cell, as the client says.
        who: What is shown of the person and of the agent; None for an unknown user.
        start: When the server passed the code on, in seconds since the epoch.
        end: When the kernel had replied; None while it has not, or if the server has not seen it.
        status: What the kernel's reply claims; None while there is none.
        number: The version of the kernel's runs in which this one last changed.
        before: The run that it has replaced, for the case that the kernel does not run this one.
    """

    cell_id: str
    who: dict[str, Any] | None
    start: float
    end: float | None = None
    status: str | None = None
    number: int = 0
    before: Run | None = None

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON object for clients, with times in seconds since the epoch."""
        who = self.who
        return {
            "cell_id": self.cell_id,
            # Only here: to find a colour takes as long as all the rest of a run.
            "who": who and {**who, "color": color_of(who["username"], who["color"])},
            "start": self.start,
            "end": self.end,
            "status": self.status,
        }


class LastRuns:
    """The latest run of each cell, of bounded size.

    Args:
        lock: Held while something changes, if several threads run cells.
        cells: How many cells of one kernel are remembered.
        kernels: How many kernels are.
    """

    def __init__(
        self,
        lock: AbstractContextManager[object] | None = None,
        *,
        cells: int = _MAX_CELLS,
        kernels: int = _MAX_KERNELS,
    ) -> None:
        self._cells, self._kernels = cells, kernels
        self._of: dict[str, dict[str, Run]] = {}
        self._numbers = itertools.count(1)
        self._latest = 0
        self._lock = nullcontext() if lock is None else lock

    def begin(
        self, kernel_id: str, cell_id: str | None, session: Session | None, start: float
    ) -> Run | None:
        """Note that a cell's code is on its way to a kernel.

        Args:
            kernel_id: The kernel; empty if it has no id yet.
            cell_id: The cell; None for code outside of a notebook.
            session: The session of the message; None for an unknown user.
            start: Now, in seconds since the epoch.

        Returns:
            The run; None if nothing is remembered.
        """
        if not kernel_id or not cell_id:
            return None
        run = Run(cell_id, None if session is None else shown_of(session), start)
        with self._lock:
            cells = self._of.pop(kernel_id, {})
            self._of[kernel_id] = cells  # the last one of the order
            run.before = _that_counts(cells.pop(cell_id, None))
            self._put(cells, run)
            for bounded, most in ((cells, self._cells), (self._of, self._kernels)):
                if len(bounded) > most:
                    del bounded[next(iter(bounded))]
        return run

    def end(self, kernel_id: str, run: Run, status: str, at: float | None) -> None:
        """Note that a run has ended.

        Args:
            kernel_id: Its kernel.
            run: What ``begin`` returned.
            status: What the kernel's reply claims.
            at: Now, in seconds since the epoch; None if the server has not seen the end.
        """
        with self._lock:
            run.end, run.status = at, status
            if status != _ABORTED:
                run.before = None
            cells = self._of.get(kernel_id, {})
            if cells.get(run.cell_id) is run:
                self._put(cells, _that_counts(run) or run)

    def of(self, kernel_id: str, after: int = 0) -> tuple[int, list[Run]]:
        """Return the version of a kernel's runs, and those that have changed since another one.

        Args:
            kernel_id: The kernel.
            after: A version that this method has returned before; 0 for all runs.
        """
        with self._lock:
            since = after if after <= self._latest else 0  # of a server before its restart
            runs = [run for run in self._of.get(kernel_id, {}).values() if run.number > since]
            return self._latest, runs

    def latest(self, kernel_id: str, cell_id: str) -> Run | None:
        """Return the latest run of one cell of a kernel; None if there is none."""
        with self._lock:
            return self._of.get(kernel_id, {}).get(cell_id)

    def forget(self, kernel_id: str) -> None:
        """Forget the runs of a kernel that is gone."""
        with self._lock:
            self._of.pop(kernel_id, None)

    def _put(self, cells: dict[str, Run], run: Run) -> None:
        run.number = self._latest = next(self._numbers)
        cells[run.cell_id] = run


def _that_counts(run: Run | None) -> Run | None:
    """Return the latest of a run and those before it that the kernel runs or has run."""
    while run is not None and run.status == _ABORTED:
        run = run.before
    return run


def shown_of(session: Session) -> dict[str, Any]:
    """Return what is shown of the person who ran a cell; the colour as the provider gave it."""
    user, actor = session.user, session.actor
    return {
        "username": user.username,
        "display_name": user.display_name,
        "initials": user.initials,
        "color": user.color,
        "verified": session.verified,
        "agent": None if actor is None else actor.name,
    }

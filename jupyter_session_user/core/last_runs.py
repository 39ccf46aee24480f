"""The latest run of each cell of each kernel, and of each session: who ran what, and when.

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

#: Cells and sessions of a kernel, and kernels; beyond that, the one that ran the longest time ago
#: is forgotten.
_MAX_CELLS = 2_000
_MAX_KERNELS = 1_000
#: The kernel did not run the cell: an earlier one failed.
_ABORTED = "aborted"


@dataclass(slots=True, eq=False)
class Run:
    """One run of a cell, or of other code.

    Attributes:
        cell_id: The cell, as the client says; None for code outside of a notebook.
        session: The session of the message; None for an unknown user.
        start: When the server passed the code on, in seconds since the epoch.
        end: When the kernel had replied; None while it has not, or if the server has not seen it.
        status: What the kernel's reply claims; None while there is none.
        number: The version of the kernel's runs in which this one last changed.
        before: The run of the cell that it has replaced, for the case that the kernel does not run
            this one.
        earlier: The run of the session that it has replaced, for the same case.
    """

    cell_id: str | None
    session: Session | None
    start: float
    end: float | None = None
    status: str | None = None
    number: int = 0
    before: Run | None = None
    earlier: Run | None = None

    @property
    def who(self) -> dict[str, Any] | None:
        """What is shown of the person and of the agent; None for an unknown user."""
        return None if self.session is None else shown_of(self.session)

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


class _Kernel:
    """The latest runs on one kernel, by cell and by session; the last one of each order is new."""

    __slots__ = ("cells", "sessions")

    def __init__(self) -> None:
        self.cells: dict[str, Run] = {}
        self.sessions: dict[str, Run] = {}


class LastRuns:
    """The latest run of each cell and of each session, of bounded size.

    Args:
        lock: Held while something changes, if several threads run cells.
        cells: How many cells, and how many sessions, of one kernel are remembered.
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
        self._of: dict[str, _Kernel] = {}
        self._numbers = itertools.count(1)
        self._latest = 0
        self._lock = nullcontext() if lock is None else lock

    def begin(
        self, kernel_id: str, cell_id: str | None, session: Session | None, start: float
    ) -> Run | None:
        """Note that code is on its way to a kernel.

        Args:
            kernel_id: The kernel; empty if it has no id yet.
            cell_id: The cell; None for code outside of a notebook.
            session: The session of the message; None for an unknown user.
            start: Now, in seconds since the epoch.

        Returns:
            The run; None if nothing is remembered.
        """
        if not kernel_id or (cell_id is None and session is None):
            return None
        run = Run(cell_id, session, start)
        with self._lock:
            kernel = self._of.pop(kernel_id, None) or _Kernel()
            self._of[kernel_id] = kernel  # the last one of the order
            if cell_id:
                run.before = _that_counts(kernel.cells.pop(cell_id, None))
                self._put(kernel.cells, run)
                _bound(kernel.cells, self._cells)
            if session is not None:
                run.earlier = _that_counts(kernel.sessions.pop(session.id, None), by_session=True)
                kernel.sessions[session.id] = run
                _bound(kernel.sessions, self._cells)
            _bound(self._of, self._kernels)
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
                run.before = run.earlier = None
            kernel = self._of.get(kernel_id)
            if kernel is None:
                return
            if run.cell_id and kernel.cells.get(run.cell_id) is run:
                self._put(kernel.cells, _that_counts(run) or run)
            session_id = "" if run.session is None else run.session.id
            if kernel.sessions.get(session_id) is run:
                counts = _that_counts(run, by_session=True)
                if counts is None:
                    del kernel.sessions[session_id]
                else:
                    kernel.sessions[session_id] = counts

    def of(self, kernel_id: str, after: int = 0) -> tuple[int, list[Run]]:
        """Return the version of a kernel's runs, and those that have changed since another one.

        Args:
            kernel_id: The kernel.
            after: A version that this method has returned before; 0 for all runs.
        """
        with self._lock:
            since = after if after <= self._latest else 0  # of a server before its restart
            kernel = self._of.get(kernel_id)
            runs = [] if kernel is None else list(kernel.cells.values())
            return self._latest, [run for run in runs if run.number > since]

    def latest(self, kernel_id: str, cell_id: str) -> Run | None:
        """Return the latest run of one cell of a kernel; None if there is none."""
        with self._lock:
            kernel = self._of.get(kernel_id)
            return None if kernel is None else kernel.cells.get(cell_id)

    def of_session(self, kernel_id: str, session_id: str) -> Run | None:
        """Return the latest run of one session on its kernel; None if there is none.

        Other sessions of the kernel have no part in it, also if they run the same cell.
        """
        with self._lock:
            kernel = self._of.get(kernel_id)
            return None if kernel is None else kernel.sessions.get(session_id)

    def forget(self, kernel_id: str) -> None:
        """Forget the runs of a kernel that is gone."""
        with self._lock:
            self._of.pop(kernel_id, None)

    def _put(self, cells: dict[str, Run], run: Run) -> None:
        assert run.cell_id is not None  # noqa: S101 - only runs of cells are put here
        run.number = self._latest = next(self._numbers)
        cells[run.cell_id] = run


def _bound(kept: dict[str, Any], most: int) -> None:
    """Forget what came first, if there is too much."""
    if len(kept) > most:
        del kept[next(iter(kept))]


def _that_counts(run: Run | None, *, by_session: bool = False) -> Run | None:
    """Return the latest of a run and those before it that the kernel runs or has run.

    Args:
        run: A run of a cell or of a session.
        by_session: Whether it is one of a session.
    """
    while run is not None and run.status == _ABORTED:
        run = run.earlier if by_session else run.before
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

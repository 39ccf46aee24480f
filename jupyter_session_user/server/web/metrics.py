"""Prometheus metrics on the server's ``/metrics``: counted when somebody asks.

The server counts with plain integers. A scrape reads them, and looks at the sessions. No label has
the name of a user, a session or a kernel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_session_user.server.messages.counts import Counts
    from jupyter_session_user.store.audit_file import AuditFile
    from jupyter_session_user.store.base import Record

__all__ = ["Metrics"]

_PREFIX = "jupyter_session_user_"


class Metrics:
    """A collector of Prometheus' client.

    Args:
        records: The sessions of the server.
        counts: What the server has counted.
        unknown: Returns how many messages each package sent for an unknown user.
        file: The audit file; None if there is none.
    """

    def __init__(
        self,
        records: Iterable[Record],
        counts: Counts,
        unknown: Callable[[], dict[str, int]],
        file: AuditFile | None,
    ) -> None:
        self._records = records
        self._counts = counts
        self._unknown = unknown
        self._file = file
        self._registry: Any = None

    def start(self) -> None:
        """Register with the registry that the server's ``/metrics`` shows."""
        from prometheus_client import REGISTRY  # noqa: PLC0415 - standalone Voila may lack it

        try:
            REGISTRY.register(self)
        except ValueError:  # another server in this process has these names
            return
        self._registry = REGISTRY

    def close(self) -> None:
        """Leave the registry; harmless if never registered."""
        if self._registry is not None:
            self._registry.unregister(self)
            self._registry = None

    def collect(self) -> Iterator[Any]:
        """Yield the metrics; called at each scrape."""
        from prometheus_client import core  # noqa: PLC0415 - as above

        sessions = core.GaugeMetricFamily(
            f"{_PREFIX}sessions",
            "Sessions that the server knows: one login on one kernel, or on none.",
            labels=("state", "source"),
        )
        found = Counter((r.session.state, r.session.source) for r in self._records)
        for labels, number in found.items():
            sessions.add_metric(labels, number)
        yield sessions
        unknown = core.CounterMetricFamily(
            f"{_PREFIX}unknown",
            "Messages that ran code for an unknown user, by the package that sent them.",
            labels=("runner",),
        )
        for package, messages in self._unknown().items():
            unknown.add_metric((package,), messages)
        yield unknown
        for name, text, value in self._numbers():
            family = core.GaugeMetricFamily if name == "audit_queue" else core.CounterMetricFamily
            yield family(f"{_PREFIX}{name}", text, value=value)

    def _numbers(self) -> Iterator[tuple[str, str, int]]:
        counts, file = self._counts, self._file
        yield "stamps", "Messages that got a stamp.", counts.stamps
        yield "refusals", "Messages refused since their login had ended.", counts.refusals
        yield "forged_stamps", "Messages whose own stamp was removed.", counts.forged
        yield "bridge_requests", "Requests of kernels to the server.", counts.questions
        if file is not None:
            yield "audit_queue", "Lines that wait to be written.", file.waiting()
            yield "audit_lines", "Lines written to the audit file.", file.written
            yield "audit_lost", "Lines lost because the queue was full.", file.lost

"""The settings of the audit: who ran what."""

from __future__ import annotations

from traitlets import Bool, Enum, HasTraits, Int, Unicode

__all__ = ["AuditSettings"]


class AuditSettings(HasTraits):
    """What is recorded of executions, and where."""

    audit_file = Unicode(
        "",
        config=True,
        help="""Path of the audit file: one JSON line for each execution, refusal, forged stamp,
        join, revocation and cookie hand-out, each with the hash of the line before. One file for
        each server; only this account may read it. It holds personal data. Empty, the default:
        there is no audit file.""",
    )

    audit_events = Bool(
        False,
        config=True,
        help="""Whether the same records are emitted as Jupyter events, for the handlers in
        `c.EventLogger.handlers` and for listeners in server code. Browsers never get them. Events
        are validated on the server's event loop, which takes longer than the audit file.""",
    )

    audit_code = Bool(
        False,
        config=True,
        help="""Whether the records hold the code itself, besides its SHA-256. Code may contain
        passwords and personal data.""",
    )

    audit_starts = Bool(
        False,
        config=True,
        help="""Whether a record is also written when an execution starts, with the status
        `started`. Without it, the record of an execution that is running when the server is killed
        is lost.""",
    )

    audit_queue = Int(
        100_000,
        min=1,
        config=True,
        help="""How many lines may wait to be written to the audit file. It counts lines, not bytes:
        with `audit_code`, a line has the whole code of a cell, and a client may send as much as
        Tornado's `websocket_max_message_size`.""",
    )

    audit_when_full = Enum(
        ["count", "wait"],
        default_value="count",
        config=True,
        help="""What happens if that many lines wait, for example because the disk is full. "count":
        further lines are lost, and a line of the kind `lost` says how many. "wait": the whole
        server waits, so that nothing runs without a record.""",
    )

    audit_max_bytes = Int(
        104_857_600,
        min=0,
        config=True,
        help="""Size in bytes at which the audit file is renamed to `<audit_file>.<number of its
        first line>` and a new file continues the chain. Nothing is ever deleted. 0 means no
        limit.""",
    )

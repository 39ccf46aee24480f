"""Counts of what happens to messages, for the server's metrics: no names, no ids."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Counts"]


@dataclass(slots=True)
class Counts:
    """Numbers since the start of the server.

    Attributes:
        stamps: Messages that got a stamp.
        refusals: Messages that did not reach a kernel, since their login had ended.
        forged: Messages whose own stamp was removed.
        questions: Requests of kernels.
    """

    stamps: int = 0
    refusals: int = 0
    forged: int = 0
    questions: int = 0

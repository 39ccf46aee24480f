"""The chain of an audit file: each line holds the hash of the line before, and its own.

A line is one JSON object in ASCII, without spaces. Its keys are sorted, and ``hash`` comes last.
``hash`` is the SHA-256 of the line without it: all bytes before ``,"hash"``, and a closing brace.
``prev`` is the ``hash`` of the line before, and ``seq`` counts the lines from 1.

The hashes have no key. They show a line that was changed, removed or moved, and a line that was cut
in the middle of the file. Two things they cannot show: lines cut off at the end, and a file whose
later hashes were all calculated anew. Both show as soon as one later hash is kept elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["START", "Entry", "Finding", "Link", "append", "canonical", "findings", "read_entry"]

_HASH = re.compile(rb',"hash":"([0-9a-f]{64})"\}\Z')
_HEX = re.compile(r"[0-9a-f]{64}")


class Link(NamedTuple):
    """The end of a chain.

    Attributes:
        seq: Number of its last line; 0 if it has none.
        hash: Hash of its last line, 64 hexadecimal digits.
    """

    seq: int
    hash: str


#: The chain without any line.
START = Link(0, "0" * 64)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line that is whole in itself.

    Attributes:
        link: The end of the chain after this line.
        prev: Hash of the line before.
        fields: The line's fields, without ``seq``, ``prev`` and ``hash``.
    """

    link: Link
    prev: str
    fields: dict[str, Any]


class Finding(NamedTuple):
    """A difference from an untouched chain.

    Attributes:
        line: Position in the given lines, from 1.
        text: What is wrong.
    """

    line: int
    text: str


def canonical(value: object) -> bytes:
    """Return JSON with sorted keys, without spaces, in ASCII: equal values give equal bytes.

    Raises:
        ValueError: The value holds a number that JSON has not.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def append(end: Link, fields: dict[str, Any]) -> tuple[bytes, Link]:
    """Return the next line, without a newline, and the new end of the chain.

    Args:
        end: The end of the chain so far.
        fields: Values of JSON; not ``seq``, ``prev`` or ``hash``.
    """
    seq = end.seq + 1
    body = canonical({**fields, "seq": seq, "prev": end.hash})
    digest = hashlib.sha256(body).hexdigest()
    return b"".join((body[:-1], b',"hash":"', digest.encode(), b'"}')), Link(seq, digest)


def read_entry(line: bytes) -> Entry:
    """Read one line, and check it by its own hash.

    Args:
        line: The line, without its newline.

    Raises:
        ValueError: The line is not whole, or not as it was written. The text says what is wrong.
    """
    found = _HASH.search(line)
    if found is None:
        raise ValueError("not a whole line of an audit file")
    body, digest = line[: found.start()] + b"}", found[1].decode()
    if hashlib.sha256(body).hexdigest() != digest:
        raise ValueError("changed: its hash is that of another text")
    try:
        fields = json.loads(body)
        seq, prev = fields.pop("seq"), fields.pop("prev")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ValueError("not a line of an audit file") from None
    if type(seq) is not int or not isinstance(prev, str) or not _HEX.fullmatch(prev):
        raise ValueError("not a line of an audit file")
    return Entry(Link(seq, digest), prev, fields)


def findings(lines: Iterable[bytes], after: str = START.hash) -> Iterator[Finding | Link]:
    """Check a chain; yield each difference, and in the end the end of the chain.

    Each change gives at least one finding. A line after it is checked against the line that stands
    before it, so that one change does not make every later line look changed.

    Args:
        lines: All lines, oldest first, without newlines.
        after: Hash of the line before the first one: that of the last line of a part of the chain
            that was removed on purpose.
    """
    before: Link | None = None
    for number, line in enumerate(lines, 1):
        try:
            entry = read_entry(line)
        except ValueError as error:
            yield Finding(number, str(error))
            # The next line tells which line stood here.
            before = None if before is None else Link(before.seq + 1, "")
            continue
        problem = _misplaced(entry, before, after, number)
        if problem:
            yield Finding(number, problem)
        before = entry.link
    yield before if before is not None else START


def _misplaced(entry: Entry, before: Link | None, after: str, number: int) -> str:
    """Return why a line does not belong behind the line before it; empty if it does."""
    seq = entry.link.seq
    if before is None:
        if number > 1:  # all lines before it are damaged
            return "" if seq == number else f"line {seq} stands here: lines are missing before it"
        if entry.prev == after and (after != START.hash or seq == 1):
            return ""
        return f"the chain begins with line {seq}: lines before it are missing"
    if seq != before.seq + 1:
        return f"line {seq} follows line {before.seq}: lines are missing, or in another order"
    if before.hash and entry.prev != before.hash:
        return f"line {before.seq}, before it, is not the line that stood there"
    return ""

"""The chain of an audit file: any change shows, and an untouched chain shows none."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jupyter_session_user.core.audit_chain import (
    START,
    Finding,
    Link,
    append,
    canonical,
    findings,
    read_entry,
)

_VALUES = st.none() | st.booleans() | st.integers() | st.text()
_FIELDS = st.dictionaries(st.text().filter(lambda n: n not in {"seq", "prev", "hash"}), _VALUES)
_RECORDS = st.lists(_FIELDS, min_size=3, max_size=12)


def chain(records: list[dict[str, object]]) -> list[bytes]:
    """Return the lines of some records."""
    lines, end = [], START
    for fields in records:
        line, end = append(end, fields)
        lines.append(line)
    return lines


def problems(lines: list[bytes], after: str = START.hash) -> list[Finding]:
    """Return the findings."""
    return [found for found in findings(lines, after) if isinstance(found, Finding)]


@given(_RECORDS)
def test_an_untouched_chain_has_no_finding(records):
    """Each line is one line of ASCII, says what was given, and the end is that of the last line."""
    lines = chain(records)
    *found, end = findings(lines)
    assert found == []
    assert end == read_entry(lines[-1]).link == Link(len(records), end.hash)
    assert [read_entry(line).fields for line in lines] == records
    assert all(line.isascii() and b"\n" not in line for line in lines)


@given(_RECORDS, st.data())
def test_any_changed_byte_is_found(records, data):
    """Whatever byte of whatever line changes, the last line included."""
    lines = chain(records)
    at = data.draw(st.integers(0, len(lines) - 1))
    where = data.draw(st.integers(0, len(lines[at]) - 1))
    byte = data.draw(st.integers(0, 255))
    assume(byte != lines[at][where])
    lines[at] = lines[at][:where] + bytes([byte]) + lines[at][where + 1 :]
    assert problems(lines)


@given(_RECORDS, st.data())
def test_a_removed_line_is_found(records, data):
    """Every line but those at the very end."""
    lines = chain(records)
    del lines[data.draw(st.integers(0, len(lines) - 2))]
    assert problems(lines)


@given(_RECORDS, st.data())
def test_another_order_is_found(records, data):
    """Also a line that stands twice."""
    lines = chain(records)
    moved = data.draw(st.permutations(lines))
    assume(moved != lines)
    assert problems(moved)
    at = data.draw(st.integers(0, len(lines) - 1))
    assert problems([*lines[: at + 1], *lines[at:]])


@given(_RECORDS, st.data())
def test_a_line_that_is_cut_is_found(records, data):
    """In the middle of the file and at its end."""
    lines = chain(records)
    at = data.draw(st.integers(0, len(lines) - 1))
    lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at]) - 1))]
    assert problems(lines)


def test_a_line_written_anew_is_found():
    """Whoever changes a line and calculates its hash again has to change every later line."""
    lines = chain([{"a": number} for number in range(5)])
    before = read_entry(lines[1]).link
    lines[2], _ = append(before, {"a": "changed"})
    assert problems(lines) == [Finding(4, "line 3, before it, is not the line that stood there")]


def test_what_it_cannot_find():
    """Lines cut off at the end, or a tail that was calculated anew, look whole: the end differs."""
    lines = chain([{"a": number} for number in range(5)])
    *_, end = findings(lines)
    assert problems(lines[:3]) == []
    forged = chain([{"a": 0}, {"a": "changed"}, {"a": 2}, {"a": 3}, {"a": 4}])
    *found, other = findings(forged)
    assert found == []
    assert other.seq == end.seq
    assert other.hash != end.hash


def test_one_change_is_one_finding():
    """A damaged line does not make all later lines look changed."""
    lines = chain([{"a": number} for number in range(9)])
    for at in range(9):
        damaged = [*lines[:at], b"{}", *lines[at + 1 :]]
        assert [found.line for found in problems(damaged)] == [at + 1]


def test_lines_that_were_removed_on_purpose():
    """The rest is whole if the last removed hash is given, and not otherwise."""
    lines = chain([{"a": number} for number in range(5)])
    removed = read_entry(lines[1]).link.hash
    assert problems(lines[2:], removed) == []
    assert problems(lines[2:]) == [
        Finding(1, "the chain begins with line 3: lines before it are missing")
    ]
    assert problems(lines[3:], removed)
    assert problems([]) == []


def test_another_program_can_check_a_line():
    """The hash is that of the line without it, closed with a brace."""
    (line,) = chain([{"b": "é", "a": 1}])
    body = line[: line.index(b',"hash"')] + b"}"
    assert body == b'{"a":1,"b":"\\u00e9","prev":"' + b"0" * 64 + b'","seq":1}'
    assert json.loads(line)["hash"] == hashlib.sha256(body).hexdigest()


def test_canonical_json():
    """Equal values have equal bytes, and what is no JSON is refused."""
    assert canonical({"b": 1, "a": [True]}) == canonical({"a": [True], "b": 1})
    with pytest.raises(ValueError, match="JSON"):
        canonical(float("nan"))

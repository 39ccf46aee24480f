"""Which lines ``audit --user --since --kernel`` chooses."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from jupyter_session_user.core.audit_query import Query, parse_since

CET = timezone(timedelta(hours=1))
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=CET)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("90s", "2026-11-22T10:58:30"),
        ("30m", "2026-11-22T10:30:00"),
        ("12h", "2026-11-21T23:00:00"),
        ("1d", "2026-11-21T11:00:00"),
        ("2w", "2026-11-08T11:00:00"),
        ("2026-11-20", "2026-11-19T23:00:00"),
        ("2026-11-20T09:30", "2026-11-20T08:30:00"),
        ("2026-11-20T09:30:00Z", "2026-11-20T09:30:00"),
        ("2026-11-20T09:30+02:00", "2026-11-20T07:30:00"),
    ],
)
def test_times(text, utc):
    """A duration counts back from now; a time without a zone is the reader's."""
    expected = datetime.fromisoformat(utc).replace(tzinfo=timezone.utc)
    assert parse_since(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "1", "d", "1 d", "-1d", "1y", "yesterday", "999999w", "1d1h"])
def test_what_is_no_time(text):
    """The error ends with the fix."""
    with pytest.raises(ValueError, match="is no time; write a number with s, m, h, d or w"):
        parse_since(text, NOW)


LINE = {"username": "alice", "kernel_id": "abc-1", "time": "2026-11-22T10:00:00.000000Z"}


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        (Query(), True),
        (Query(user="alice"), True),
        (Query(user="bob"), False),
        (Query(user="alic"), False),
        (Query(kernel="abc"), True),
        (Query(kernel="bc"), False),
        (Query(since=datetime(2026, 11, 22, 10, 0, tzinfo=timezone.utc)), True),
        (Query(since=datetime(2026, 11, 22, 10, 1, tzinfo=timezone.utc)), False),
        (Query(user="bob", kernel="abc"), False),
    ],
)
def test_choice(query, chosen):
    """All that is asked for must fit; a username is whole, and a kernel's id may be its start."""
    assert query.has(LINE) is chosen


def test_a_line_without_these_fields():
    """An unknown user is nobody's, and a line without a time is rather shown than hidden."""
    assert not Query(user="None").has({"username": None})
    assert not Query(kernel="None").has({"kernel_id": None})
    assert Query(since=NOW).has({"time": "?"})

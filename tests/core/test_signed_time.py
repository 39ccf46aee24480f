"""The time in a signed cookie, for values of Tornado and for invalid ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.web import create_signed_value

from jupyter_session_user.core.signed_time import (
    MOST_LOGINS_IN_A_SECOND,
    ended_until,
    seconds_missing,
    signed_at,
    times_to_sign,
)


@given(st.integers(0, 10**11), st.text(max_size=30), st.binary(max_size=30))
def test_what_tornado_signs(moment, name, value):
    """The time is the one at which Tornado signed it, for any name and value."""
    name = name.encode("utf-8", "replace").decode()
    signed = create_signed_value("secret", name, value, version=2, clock=lambda: moment)
    assert signed_at(signed.decode()) == moment


@pytest.mark.parametrize(
    "value",
    [
        "",
        "2",
        "2|",
        "1|1:0|10:1234567890|",
        "2|1:0|9:1234567890|",
        "2|1:0|x:12|",
        "2|1:0|2:\uff11\uff12|x",
    ],
)
def test_anything_else_has_no_time(value):
    """Another version, a wrong length and a non-number give no time."""
    assert signed_at(value) is None


@given(st.text())
def test_no_text_disturbs(value):
    """Any text from a browser gives a time or None."""
    assert signed_at(value) is None or signed_at(value) >= 0


@given(now=st.integers(1, 10**6), before=st.integers(0, 10**6), ahead=st.integers(0, 10**6))
def test_all_cookies_that_were_signed_until_now_are_too_early(now, before, ahead):
    """Cookies signed with a later time are ended, too, but not the next cookie."""
    until = ended_until(now, before, ahead)
    assert until >= max(now, ahead)
    assert until > before or until == now
    for issued in (now, ahead, before):
        assert seconds_missing(until, issued) > 0
    missing = seconds_missing(until, now)
    assert seconds_missing(until, now + missing) == 0
    assert seconds_missing(until, now + missing - 1) == 1
    assert seconds_missing(until, None) == 0
    assert times_to_sign(missing)[0] == missing


@given(st.integers(0, 10**9))
def test_a_cookie_is_not_signed_for_a_time_that_tornado_refuses(missing):
    """Tornado allows 31 days ahead, and the search ends."""
    times = times_to_sign(missing)
    assert len(times) == MOST_LOGINS_IN_A_SECOND
    assert max(times) < 31 * 86_400

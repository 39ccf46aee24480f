"""What a server's answer about a run is in a kernel."""

from __future__ import annotations

import contextlib
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_session_user.core.last_run import LastRun
from jupyter_session_user.core.last_runs import LastRuns
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.user import User
from jupyter_session_user.errors import RemoteProtocolError

ALICE, BOB = (Session(n, User(n, f"{n}!"), "test", verified=n == "bob") for n in ("alice", "bob"))


def test_each_field_arrives():
    """Two people's runs, one of which goes on, and one of an unknown user."""
    runs = LastRuns()
    first = runs.begin("k", "a", ALICE, 1.5)
    runs.begin("k", "b", BOB, 2.0)
    runs.begin("k", "c", None, 3.0)
    runs.end("k", first, "error", 4.0)
    found = {name: LastRun.from_wire(runs.latest("k", name).to_wire()) for name in "abc"}
    start = [datetime.fromtimestamp(at, timezone.utc) for at in (1.5, 2.0, 3.0)]
    end = datetime.fromtimestamp(4.0, timezone.utc)
    assert found == {
        "a": LastRun("a", "alice", "alice!", None, False, start[0], end, "error"),
        "b": LastRun("b", "bob", "bob!", None, True, start[1], None, None),
        "c": LastRun("c", None, "", None, False, start[2], None, None),
    }
    assert runs.latest("k", "d") is None and runs.latest("other", "a") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
RUN = {"cell_id": "a", "who": None, "start": 1.0, "end": None, "status": None}


@given(st.one_of(JSON, st.builds(lambda k, v: {**RUN, k: v}, st.sampled_from([*RUN]), JSON)))
def test_any_json_is_a_run_or_a_protocol_error(wire):
    """No answer raises another error."""
    with contextlib.suppress(RemoteProtocolError):
        assert isinstance(LastRun.from_wire(wire), LastRun)


@pytest.mark.parametrize("missing", RUN)
def test_a_field_that_is_missing(missing):
    """An answer without one of the fields is malformed."""
    with pytest.raises(RemoteProtocolError):
        LastRun.from_wire({name: value for name, value in RUN.items() if name != missing})

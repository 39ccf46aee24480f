"""The states of a kernel websocket, over all sequences of events."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_session_user.core.session import OVER
from jupyter_session_user.core.socket_state import (
    ANSWER,
    BACK,
    CLOSING,
    CONNECTED,
    DISCONNECTED,
    GATE,
    HOLD_BACK,
    MALFORMED,
    OLD,
    OPEN,
    POLICIES,
    STREAMS,
    Close,
    SocketState,
)

ENDS = sorted(OVER)
EVENTS = [*ENDS, BACK, OLD, MALFORMED, CONNECTED, DISCONNECTED]
GATES = {OPEN, CLOSING, *OVER}
#: From open to closed: the client's access never increases.
LESS = {OPEN: 0, "expired": 1, "revoked": 2, "signed_out": 2, CLOSING: 3}

any_policy = st.sampled_from(sorted(POLICIES))
any_events = st.lists(st.sampled_from(EVENTS), max_size=12)


def course(policy, events):
    """Return the states and the actions of a socket, step by step."""
    state = SocketState(policy)
    steps = [(state, ())]
    for event in events:
        state, actions = state.after(event, "bad frame" if event == MALFORMED else "")
        steps.append((state, actions))
    return steps


def test_the_tables_name_states_and_events_that_exist():
    """Each row has valid names, so a misspelt row is found."""
    for table in (GATE, *POLICIES.values()):
        assert {gate for gate, _ in table} | set(table.values()) <= GATES
        assert {event for _, event in table} <= set(EVENTS)
    assert {event for _, event in STREAMS} == {CONNECTED, DISCONNECTED}
    assert not any(GATE.keys() & rows.keys() for rows in POLICIES.values())


@given(any_policy, any_events)
def test_a_socket_is_never_released(policy, events):
    """No event permits what an earlier event has stopped; a closing socket stays closing."""
    steps = [state for state, _ in course(policy, events)]
    for before, after in pairwise(steps):
        assert LESS[after.gate] >= LESS[before.gate]
        assert before.gate in {OPEN, "expired", after.gate} or after.gate == CLOSING
        assert (after.policy, after.deadline) == (before.policy, before.deadline)


@given(any_policy, any_events)
def test_a_socket_is_closed_once_and_in_the_state_for_it(policy, events):
    """The state ``closing`` comes with the action; no later event closes the socket again."""
    for before, (after, actions) in pairwise(course(policy, events)):
        closes = [action for action in actions if isinstance(action, Close)]
        assert len(closes) == (after.gate == CLOSING and before[0].gate != CLOSING)
        assert actions == (*[a for a in actions if not isinstance(a, Close)], *closes)


@given(any_policy, any_events)
def test_streams_are_stopped_once_and_only_while_they_receive(policy, events):
    """Streams are stopped only after the kernel's first message and before a disconnection."""
    connected = gone = False
    stopped = 0
    for event, (state, actions) in zip(events, course(policy, events)[1:], strict=True):
        gone |= event == DISCONNECTED
        connected |= event == CONNECTED and not gone
        stopped += actions.count(HOLD_BACK)
        assert HOLD_BACK not in actions or (connected and not gone)
        if connected and not gone:
            assert stopped == state.is_muted
    assert stopped <= 1


@given(any_events)
def test_answers_begin_with_the_first_end_of_the_login(events):
    """Under ``quarantine`` the server begins to answer once, at the first end of the login."""
    steps = course("quarantine", events)
    begun = [state.gate for state, actions in steps if ANSWER in actions]
    assert len(begun) <= 1
    assert bool(begun) == any(state.gate in OVER for state, _ in steps)
    assert not [a for p in ("flag", "close") for _, a in course(p, events) if ANSWER in a]


@given(any_events)
def test_flag_changes_nothing_for_an_ended_login(events):
    """Under ``flag`` the kernel's code learns of the end from the stamp."""
    others = [event for event in events if event not in OVER]
    assert course("flag", events)[-1][0] == course("flag", others)[-1][0]


@pytest.mark.parametrize("end", ENDS)
def test_what_passes_after_the_end_of_a_login(end):
    """Under each policy, only an expired login may end again in another way."""
    assert SocketState("flag").after(end)[0].gate == OPEN
    closed, actions = SocketState("close").after(end)
    assert closed.gate == CLOSING
    assert [action.code for action in actions] == [4401]
    held, actions = SocketState("quarantine").after(end)
    assert (held.gate, held.is_muted, actions) == (end, end != "expired", (ANSWER,))
    for other in ENDS:
        assert held.after(other)[0].gate == (other if end == "expired" else end)


@pytest.mark.parametrize(
    ("event", "code", "reason"),
    [
        (BACK, 4400, "logged in again: reconnect"),
        (OLD, 4400, "this connection is old: reconnect"),
        (MALFORMED, 1007, "x" * 120),
    ],
)
@pytest.mark.parametrize("policy", POLICIES)
def test_the_codes_of_a_close(policy, event, code, reason):
    """The reason fits into a close frame."""
    why = "x" * 500 if event == MALFORMED else ""
    assert SocketState(policy).after(event, why)[1] == (Close(code, reason),)

"""A Secret shows its text only to callers of ``reveal``."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import pprint

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.lib.pretty import pretty

from jupyter_session_user.core.secret import Secret

CANARY = "canary-5f1c"


@dataclasses.dataclass
class Holder:
    """A dataclass with a secret, as an application would write it."""

    secret: Secret


def secret() -> Secret:
    """Return a secret with the canary in it, so that no test frame holds the text."""
    return Secret(CANARY)


@given(st.text())
def test_reveal_returns_the_text(text: str) -> None:
    """``reveal`` returns any text unchanged."""
    assert Secret(text).reveal() == text


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        ascii,
        pretty,
        pprint.pformat,
        "{}".format,
        "{!r:>40}".format,
        "{:>40}".format,
        lambda value: f"{value}",
        "%r".__mod__,
        lambda value: repr([value]),
        lambda value: repr({"key": value}),
        lambda value: repr(Holder(value)),
        lambda value: repr(dataclasses.asdict(Holder(value))),
        lambda value: logging.LogRecord("x", 10, "x", 1, "%s", (value,), None).getMessage(),
    ],
)
def test_nothing_that_prints_shows_it(show: object) -> None:
    """Every way to make text of a Secret gives the mask, not the text."""
    shown = show(secret())  # type: ignore[operator]
    assert CANARY not in shown
    assert "<Secret: hidden>" in shown


def test_all_secrets_look_the_same() -> None:
    """The mask does not show the length, either."""
    assert repr(Secret("")) == repr(Secret("x" * 1000))


def test_it_has_no_dict() -> None:
    """``vars`` and ``__dict__``, which serialisers look at, do not exist."""
    with pytest.raises(TypeError):
        vars(secret())
    assert not hasattr(secret(), "__dict__")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_is_refused(protocol: int) -> None:
    """No pickle protocol writes the text, and the message names the fix."""
    with pytest.raises(TypeError, match=r"cannot be pickled; call \.reveal\(\)"):
        pickle.dumps([secret()], protocol)


def test_getstate_is_refused() -> None:
    """``object.__getstate__`` of Python 3.11 would return the slots."""
    with pytest.raises(TypeError, match="cannot be pickled"):
        secret().__getstate__()


def test_json_is_refused() -> None:
    """A Secret is not serialised to JSON, and the message names the type."""
    with pytest.raises(TypeError, match="Secret is not JSON serializable"):
        json.dumps({"secret": secret()})


def test_copies_are_the_object_itself() -> None:
    """A copy is the same object, since a Secret cannot change."""
    original = secret()
    assert copy.copy(original) is original
    assert copy.deepcopy(original) is original
    assert dataclasses.asdict(Holder(original)) == {"secret": original}


def test_it_cannot_change() -> None:
    """Setting any attribute raises, also the one with the text."""
    original = secret()
    for name in ("text", "_Secret__text"):
        with pytest.raises(AttributeError, match="cannot change"):
            setattr(original, name, "other")
    assert original.reveal() == CANARY


@given(st.text(), st.text())
def test_equal_as_their_texts_are(one: str, other: str) -> None:
    """Two Secrets are equal exactly if their texts are."""
    assert Secret(one) == Secret(one)
    assert (Secret(one) == Secret(other)) == (one == other)


def test_a_lone_surrogate_can_be_compared() -> None:
    """Text that UTF-8 cannot encode is compared as well."""
    assert Secret("\ud800") == Secret("\ud800")
    assert Secret("\ud800") != Secret("\ud801")


def test_not_equal_to_the_text() -> None:
    """A Secret is no str: comparing it with one returns False."""
    assert secret() != CANARY
    assert (secret() == CANARY) is False


def test_it_has_no_hash() -> None:
    """A Secret cannot be a key of a mapping, since keys can be guessed."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(secret())

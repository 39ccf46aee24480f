"""Wrong arguments are refused at the call, with an error that ends with the fix."""

from __future__ import annotations

import inspect

import pytest

import jupyter_session_user as package
from jupyter_session_user import (
    User,
    WrongArgument,
    bind_current_user,
    get_current_user,
    get_session,
    on_session_change,
    require_user,
)
from jupyter_session_user.core.session import Session

GUARDED = """
def guarded(**rules):
    try:
        with require_user(**rules) as user: return user.username
    except SessionUserError as error: return type(error).__name__
"""
SESSION = Session("s" * 20, User("alice"), "test", verified=True)


async def asynchronous(session):
    """Do what a callback cannot."""


#: Calls that people write by mistake, and words of the fix.
MISTAKES = [
    (lambda: require_user("finance"), 'require_user(groups="finance")'),
    (lambda: require_user(None), 'require_user(usernames="alice")'),
    (lambda: require_user(groups="finance")("bob"), 'require_user(groups="finance")'),
    (lambda: require_user(groups=None), 'groups=["finance", "sales"]'),
    (lambda: require_user(usernames=None), 'usernames="finance"'),
    (lambda: require_user(groups=5), 'groups=["finance", "sales"]'),
    (lambda: require_user(groups=["finance", 5]), 'write groups="finance"'),
    (lambda: require_user(groups=["finance", None]), 'write groups="finance"'),
    (lambda: require_user(usernames=b"bob"), 'write usernames="finance"'),
    (lambda: require_user(groups=[]), "leave groups out to permit every user with a name"),
    (lambda: require_user(groups=""), "leave groups out to permit every user with a name"),
    (lambda: require_user(usernames=(n for n in ())), "leave usernames out"),
    (lambda: bind_current_user([].sort()), "pass the function itself"),
    (lambda: bind_current_user(5), "as in bind_current_user(work)"),
    (lambda: bind_current_user(SESSION), "write bind_current_user(session=…)"),
    (lambda: bind_current_user(session=SESSION)(5), "as in bind_current_user(work)"),
    (lambda: bind_current_user(session="alice"), "take one with get_session()"),
    (lambda: on_session_change(None), "on_session_change(lambda session: print(session.state))"),
    (lambda: on_session_change(asynchronous), "lambda session: print(session.state))"),
    (lambda: on_session_change(lambda: None), "lambda session: print(session.state))"),
    (lambda: on_session_change(lambda one, two: None), "lambda session: print(session.state))"),
]


@pytest.mark.parametrize(("call", "fix"), MISTAKES)
def test_a_wrong_argument_is_refused_at_once(call, fix):
    """The error is typed, is a TypeError, and comes first: the user here is unknown as well."""
    with pytest.raises(WrongArgument) as caught:
        call()
    assert isinstance(caught.value, TypeError)
    assert caught.value.code == "wrong_argument"
    assert fix in str(caught.value)


def test_an_empty_list_does_not_let_everybody_in(alice, bob):
    """Without arguments every user with a name may; with an empty list the call is refused."""
    for person, name in ((alice, "alice"), (bob, "bob")):
        assert person.run(GUARDED).reply["status"] == "ok"
        assert person.run("guarded(), guarded(groups=[])").value == (name, "WrongArgument")
        # The usual value of a setting that is missing.
        assert person.run("guarded(groups={}.get('groups'))").value == "WrongArgument"


@pytest.mark.parametrize("function", [get_current_user, get_session])
def test_help_is_readable(function):
    """The signature shows no address of an object, and says what the default does."""
    signature = str(inspect.signature(function))
    assert "object at 0x" not in signature
    assert "default: 'Any' = <raise the error>" in signature
    assert "0x" not in str(inspect.signature(require_user)) + str(
        inspect.signature(bind_current_user)
    )


def test_help_has_an_example(alice, bob):
    """``get_current_user?`` shows how to call it; the example's first line works for each user."""
    text = inspect.getdoc(get_current_user)
    example = "user = get_current_user()"
    assert example in text
    for person, name in ((alice, "alice"), (bob, "bob")):
        assert person.run(f"{example}\nuser.username").value == name


def test_dir_lists_every_public_name():
    """``dir()`` has the names that are loaded on first access, and each of them can be had."""
    listed = dir(package)
    assert set(package.__all__) <= set(listed)
    assert "on_session_change" in listed and "SessionBanner" in listed
    assert all(getattr(package, name) is not None for name in package.__all__)


def test_completion_lists_the_lazy_names(new_kernel):
    """A new kernel completes a lazy name before anything has loaded it."""
    alice = new_kernel().person("alice")
    assert alice.run("import jupyter_session_user as j").reply["status"] == "ok"
    code = "j.on_"
    reply = alice.ask("complete_request", {"code": code, "cursor_pos": len(code)}).reply
    assert any("on_session_change" in match for match in reply["matches"]), reply

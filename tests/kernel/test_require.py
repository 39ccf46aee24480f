"""``require_user`` allows some users, and checks the calling user, at each call."""

from __future__ import annotations

import pytest

#: ``may(code)`` is True, or the name of the error.
MAY = """
def attempt(function):
    try: return function() is not None or True
    except SessionUserError as error: return type(error).__name__
def guard(**rules):
    def inside():
        with require_user(**rules) as user: return user.username
    return attempt(inside)
"""
RULES = [
    ("", True, True),
    ("groups='finance'", True, "AccessDenied"),
    ("groups=['finance', 'sales']", True, True),
    ("groups='fin'", "AccessDenied", "AccessDenied"),
    ("usernames='bob'", "AccessDenied", True),
    ("usernames=['alice', 'bob']", True, True),
    ("groups='finance', usernames='bob'", True, True),
    ("usernames='ali'", "AccessDenied", "AccessDenied"),
]


@pytest.fixture
def may(alice):
    """Make ``guard`` and ``attempt`` known in the shared kernel."""
    assert alice.run(MAY).reply["status"] == "ok"


@pytest.mark.parametrize(("rules", "for_alice", "for_bob"), RULES)
def test_rules(alice, bob, may, rules, for_alice, for_bob):
    """Members of any group and named users may; a part of a name does not match."""
    assert alice.run(f"guard({rules})").value == for_alice
    assert bob.run(f"guard({rules})").value == for_bob


@pytest.mark.parametrize("decorator", ["@require_user", "@require_user()"])
def test_decorator_without_rules(alice, bob, may, decorator):
    """Without rules, every user with a name may."""
    alice.run(f"{decorator}\ndef work(): return who()")
    assert (alice.run("work()").value, bob.run("work()").value) == ("alice", "bob")


def test_decorated_function(alice, bob, may):
    """The function that Alice decorated checks the user that calls it, not Alice."""
    alice.run(
        "@require_user(groups='finance')\ndef book(n, *, by=0):\n    'Books.'\n    return n, by"
    )
    assert alice.run("(book(1, by=2), book.__name__, book.__doc__)").value == (
        (1, 2),
        "book",
        "Books.",
    )
    reply = bob.run("book(1)").reply
    assert reply["ename"] == "AccessDenied"
    assert "'bob' is not permitted" in reply["evalue"]


def test_decorated_async_function(alice, bob, may):
    """An async function stays one; its check comes before its first line."""
    alice.run(
        "ran = []\n@require_user(usernames='alice')\n"
        "async def work(): ran.append(who()); await asyncio.sleep(0); return who()"
    )
    assert alice.run("asyncio.iscoroutinefunction(work), await work()").value == (True, "alice")
    assert bob.run("await work()").reply["ename"] == "AccessDenied"
    assert bob.run("ran").value == ["alice"]


def test_task_of_an_allowed_person(alice, bob, may):
    """In Alice's task, during Bob's cell, a guarded function checks Alice; and vice versa."""
    alice.run(
        "vault = require_user(usernames='alice')(lambda: 1)\n"
        "hers = Job(lambda: attempt(vault)); t1 = asyncio.ensure_future(hers.run())"
    )
    bob.run("his = Job(lambda: attempt(vault)); t2 = asyncio.ensure_future(his.run())")
    assert bob.run("await hers.open()").value is True
    assert alice.run("await his.open()").value == "AccessDenied"


def test_thread(alice, bob, may):
    """In a bare thread every call is refused; a bound thread has the rights of its binder."""
    code = "ThreadPoolExecutor(1).submit({}(lambda: guard(usernames='alice'))).result(30)"
    assert alice.run(code.format("")).value == "IdentityUnavailable"
    assert alice.run(code.format("bind_current_user")).value is True
    assert bob.run(code.format("bind_current_user")).value == "AccessDenied"


def test_anonymous(kernel, alice, may):
    """An anonymous user is refused, even by name, unless ``allow_anonymous=True``."""
    anonymous = kernel.person("0f3c", name="Anonymous Io", is_anonymous=True)
    assert anonymous.run("guard()").value == "AccessDenied"
    assert anonymous.run("guard(usernames='0f3c')").value == "AccessDenied"
    assert anonymous.run("guard(allow_anonymous=True)").value is True
    assert anonymous.run("guard(allow_anonymous=True, usernames='alice')").value == "AccessDenied"
    assert alice.run("guard(allow_anonymous=True)").value is True


def test_unverified(kernel, alice, may):
    """A name that no server has verified is refused, unless ``allow_unverified=True``."""
    claimed = kernel.person("alice", verified=False, groups=("finance",))
    assert claimed.run("(who(), guard(groups='finance'))").value == ("alice", "AccessDenied")
    assert claimed.run("guard(groups='finance', allow_unverified=True)").value is True
    assert alice.run("guard(groups='finance')").value is True


def test_without_identity(kernel, alice, may):
    """If the user cannot be determined, that error is raised instead of AccessDenied."""
    assert kernel.client().run("guard()").value == "IdentityUnavailable"
    assert alice.run("guard()").value is True

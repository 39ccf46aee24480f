"""``bind_current_user``: where a binding applies, and where it ends."""

from __future__ import annotations

import pytest

LEAVE_OPEN = "cm = bind_current_user(session=of_carol); cm.__enter__(); who()"


@pytest.fixture
def carol(kernel, alice):
    """Another user, with a session that the kernel holds as ``of_carol``."""
    person = kernel.person("carol")
    person.run("of_carol = get_session()")
    return person


def test_bound_coroutine_function(alice, bob):
    """A bound async function runs as its binder inside another user's cell, across its awaits."""
    alice.run(
        "async def work():\n    before = who(); await asyncio.sleep(0); return before, who()\n"
        "bound = bind_current_user(work)"
    )
    seen = bob.run("(who(), await bound(), who())").value
    assert seen == ("bob", ("alice", "alice"), "bob")


def test_bound_function_keeps_its_face(alice, bob):
    """A bound function has the arguments, result, name and docstring of the function."""
    alice.run("@bind_current_user\ndef add(a, *, b):\n    'Sum.'\n    return a + b, who()")
    seen = bob.run("(add(1, b=2), add.__name__, add.__doc__)").value
    assert seen == ((3, "alice"), "add", "Sum.")


def test_decorator_with_parentheses(alice, bob):
    """``@bind_current_user()`` and ``@bind_current_user(session=…)`` bind as well."""
    alice.run(
        "mine = bind_current_user()(who); hers = bind_current_user(session=get_session())(who)"
    )
    assert bob.run("(mine(), hers(), who())").value == ("alice", "alice", "bob")


def test_with_block(alice, bob):
    """Inside the block the user is the given session's, and after it the previous one."""
    alice.run("of_alice = get_session()")
    code = "with bind_current_user(session=of_alice) as s: inside = (who(), s.user.username)\n"
    assert bob.run(code + "(inside, who())").value == (("alice", "alice"), "bob")


def test_with_block_in_a_thread(alice, bob):
    """A thread may act for the session of each job; in between it has no user."""
    alice.run("jobs = [get_session()]")
    bob.run("jobs.append(get_session())")
    code = (
        "def worker():\n"
        "    seen = []\n"
        "    for session in jobs:\n"
        "        with bind_current_user(session=session): seen.append(who())\n"
        "        seen.append(who())\n"
        "    return seen\n"
        "ThreadPoolExecutor(1).submit(worker).result(30)"
    )
    assert alice.run(code).value == ["alice", "no_context", "bob", "no_context"]


def test_blocks_nest(alice, bob, carol):
    """The innermost block counts, one object may be entered twice, and errors unwind it."""
    code = (
        "twice = bind_current_user(session=of_carol); seen = []\n"
        "with twice, bind_current_user(session=hers), twice: seen.append(who())\n"
        "try:\n    with twice: 1 / 0\nexcept ZeroDivisionError: seen.append(who())\n"
        "seen"
    )
    alice.run("hers = get_session()")
    assert bob.run(code).value == ["carol", "bob"]


@pytest.mark.parametrize("prefix", ["", "await asyncio.sleep(0); "], ids=["sync", "async"])
def test_binding_left_open(alice, bob, carol, prefix):
    """A binding that a cell leaves open does not reach any later cell."""
    assert alice.run(prefix + LEAVE_OPEN).value == "carol"
    assert bob.run("who()").value == "bob"
    assert alice.run("who()").value == "alice"
    assert alice.run(prefix + LEAVE_OPEN).value == "carol"
    assert alice.run("(who(), await asyncio.sleep(0, who()))").value == ("alice", "alice")


def test_binding_left_open_in_another_kind_of_message(alice, bob, carol):
    """A binding that a completion or an expression leaves open does not reach a later cell."""
    alice.run(
        "class Open:\n    def __dir__(self):\n"
        "        bind_current_user(session=of_carol).__enter__(); return []\nleak = Open()"
    )
    alice.ask("complete_request", {"code": "leak.", "cursor_pos": 5})
    assert bob.run("who()").value == "bob"
    alice.run("", user_expressions={"x": "bind_current_user(session=of_carol).__enter__()"})
    assert alice.run("who()").value == "alice"


def test_nothing_to_bind(alice, bob):
    """In a bare thread there is no user to bind, so the error comes at once."""
    code = (
        "def bind():\n    try: bind_current_user(who)\n"
        "    except IdentityUnavailable as error: return error.reason\n"
        "ThreadPoolExecutor(1).submit(bind).result(30)"
    )
    assert alice.run(code).value == bob.run(code).value == "no_context"


@pytest.mark.parametrize("what", ["'alice'", "get_current_user()", "1"])
def test_only_a_session_can_be_bound(alice, bob, what):
    """A name or a user is no session; the error says where to get one."""
    reply = bob.run(f"bind_current_user(session={what})").reply
    assert reply["ename"] == "WrongArgument"
    assert "get_session()" in reply["evalue"]


def test_binding_wins_over_the_cell(alice, bob, carol):
    """An explicit binding takes precedence, for sessions and for ``require_user``."""
    code = (
        "with bind_current_user(session=of_carol), require_user(usernames='carol') as user:\n"
        "    seen = (user.username, get_session().id)\nseen"
    )
    assert bob.run(code).value == ("carol", "session-of-carol")


@pytest.fixture
def dave(kernel, alice):
    """Another user, with a session that the kernel holds as ``of_dave``."""
    person = kernel.person("dave")
    person.run("of_dave = get_session()")
    return person


def test_generator_that_another_cell_closes(alice, bob, carol, dave):
    """If Bob closes a block that Alice's cell abandoned, Bob's identity does not change."""
    alice.run(
        "def pages():\n    with bind_current_user(session=of_dave): yield\n"
        "with bind_current_user(session=of_carol): left = pages(); next(left)"
    )
    assert bob.run("before = who(); left.close(); (before, who())").value == ("bob", "bob")
    assert alice.run("who()").value == "alice"


def test_block_left_in_another_context(alice, bob, carol):
    """Leaving a block where it was not entered changes nothing there, and is no error."""
    alice.run("cm = bind_current_user(session=of_carol); cm.__enter__()")
    code = (
        "with bind_current_user(session=get_session()): cm.__exit__(None, None, None); a = who()\n"
        "(a, who(), await asyncio.to_thread(lambda: (cm.__exit__(None, None, None), who())[1]))"
    )
    assert bob.run(code).value == ("bob", "bob", "bob")


def test_blocks_that_close_out_of_order(alice, bob, carol, dave):
    """When the outer block ends, so does the inner one that is still open."""
    code = (
        "outer, inner = (bind_current_user(session=s) for s in (of_carol, of_dave))\n"
        "outer.__enter__(); inner.__enter__(); a = who(); outer.__exit__(None, None, None)\n"
        "b = who(); inner.__exit__(None, None, None); (a, b, who())"
    )
    assert bob.run(code).value == ("dave", "bob", "bob")


def test_one_binding_in_two_threads(alice, bob):
    """Two workers may be in the same block at once; neither affects the other."""
    alice.run(
        "pool = ThreadPoolExecutor(2); me = bind_current_user()\n"
        "both, left = threading.Barrier(2), threading.Event(); order = threading.Event()\n"
        "def first():\n"
        "    with me: order.set(); both.wait(30); name = who()\n"
        "    left.set(); return name, who()\n"
        "def second():\n"
        "    order.wait(30)\n"
        "    with me: both.wait(30); left.wait(30); name = who()\n"
        "    return name, who()\n"
        "jobs = [pool.submit(first), pool.submit(second)]"
    )
    assert bob.run("[job.result(30) for job in jobs]").value == [("alice", "no_context")] * 2
    again = "meet = threading.Barrier(2); list(pool.map(lambda _: (meet.wait(30), who())[1], 'ab'))"
    assert bob.run(again).value == ["no_context", "no_context"]


@pytest.mark.parametrize("made", ["lambda: work()", "Callable()", "partial(work)"])
def test_bound_function_that_returns_a_coroutine(alice, bob, made):
    """The body of the coroutine runs as the binder, in every way of calling it."""
    alice.run(
        "from functools import partial\n"
        "async def work(): await asyncio.sleep(0); return who()\n"
        "class Callable:\n    async def __call__(self): return await work()\n"
        f"bound = bind_current_user({made})"
    )
    assert bob.run("(await bound(), who())").value == ("alice", "bob")

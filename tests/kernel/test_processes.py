"""A forked process has no user, not even the user of the cell that made it."""

from __future__ import annotations

import pytest

#: Alice's code that makes a pool of one forked process, and the call of ``who`` in it.
POOLS = {
    "multiprocessing": ("pool = mp.Pool(1)", "pool.apply(asked)"),
    "ProcessPoolExecutor": (
        "pool = ProcessPoolExecutor(1, mp_context=mp); pool.submit(int).result()",
        "pool.submit(asked).result()",
    ),
}
SETUP = """
import multiprocessing, os, pickle, sys
from concurrent.futures import ProcessPoolExecutor
from contextvars import copy_context
mp = multiprocessing.get_context("fork")

def asked():
    return who()

def forked(function):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, pickle.dumps(function()))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        value = pickle.loads(answer.read())
    os.waitpid(child, 0)
    return value
"""

pools = pytest.mark.parametrize(("make", "ask"), POOLS.values(), ids=POOLS.keys())


@pytest.fixture
def pooled(alice):
    """Define the names that the cells below need."""
    alice.run(SETUP)
    return alice


@pools
def test_pool_names_no_user(pooled, bob, make, ask):
    """A worker that Alice's cell forked does not run as Alice, whichever user calls it."""
    pooled.run(make)
    try:
        assert bob.run(f"({ask}, who())").value == ("forked_process", "bob")
        assert pooled.run(f"({ask}, who())").value == ("forked_process", "alice")
    finally:
        bob.run("(getattr(pool, 'terminate', None) or pool.shutdown)()")


def test_pool_made_inside_a_binding(pooled, bob):
    """A binding that is open when a pool is made does not reach the pool's processes."""
    pooled.run("with bind_current_user():\n    pool = mp.Pool(1)")
    assert bob.run("pool.apply(asked)").value == "forked_process"
    bob.run("pool.terminate()")


@pytest.mark.parametrize(
    "function",
    [
        "who",
        "lambda context=copy_context(): context.run(who)",
        "lambda: copy_context().run(who)",
        "lambda: asyncio.new_event_loop().run_until_complete(asyncio.to_thread(who))",
    ],
)
def test_os_fork(pooled, bob, function):
    """No copy of the cell's context names the user in the child; the parent is not affected."""
    for person, name in ((pooled, "alice"), (bob, "bob")):
        assert person.run(f"(forked({function}), who())").value == ("forked_process", name)


def test_bound_process(pooled, bob):
    """A bound function and a passed session name their user."""
    pooled.run("work, session = bind_current_user(who), get_session()")
    passed = "def passed():\n    with bind_current_user(session=session): return who()\n"
    assert bob.run(f"{passed}(forked(work), forked(passed), forked(who))").value == (
        "alice",
        "alice",
        "forked_process",
    )


def test_questions_end_at_once(pooled):
    """A child cannot reach the server: it gets an error at once."""
    code = """
def ask(call):
    try: return call()
    except IdentityUnavailable as error: return error.reason
def bound():
    with bind_current_user(session=session):
        return ask(get_cookies), ask(get_session().refresh)
from jupyter_session_user import get_cookies
session = get_session()
forked(bound)
"""
    assert pooled.run(code).value == ("forked_process", "forked_process")


def test_first_import_in_the_child(new_kernel):
    """The child has a copy of the cell's stack, but a package imported only there finds no user."""
    kernel = new_kernel()
    alice, bob = kernel.person("alice"), kernel.person("bob")
    # The pool is older than the import, so that each worker imports for itself.
    code = """
def asked():
    from jupyter_session_user import get_current_user
    try: return get_current_user().username
    except Exception as error: return error.reason
"""
    alice.run(SETUP.replace("    return who()", "    return None") + code + "pool = mp.Pool(1)")
    assert bob.run("pool.apply(asked)").value == "forked_process"
    assert alice.run("forked(asked)").value == "forked_process"

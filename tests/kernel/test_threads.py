"""A thread that nobody handed an identity to has none; with ``bind_current_user`` it is right."""

from __future__ import annotations

import pytest

#: How Alice's cell hands ``work`` to a thread.
THREADS = {
    "Thread": "threading.Thread(target=work).start()",
    "Timer": "threading.Timer(0, work).start()",
    "ThreadPoolExecutor": "ThreadPoolExecutor(1).submit(work)",
    "run_in_executor": "asyncio.get_running_loop().run_in_executor(None, work)",
}
#: How a bare thread of hers gets ``work`` back onto the loop.
VIA_LOOP = {
    "call_soon_threadsafe": "loop.call_soon_threadsafe(work)",
    "run_coroutine_threadsafe": "asyncio.run_coroutine_threadsafe(job.run(), loop)",
}

kinds = pytest.mark.parametrize("start", THREADS.values(), ids=THREADS.keys())


@kinds
def test_bare_thread_has_no_user(alice, bob, start):
    """Neither its starter nor whoever runs a cell meanwhile is named."""
    alice.run(f"work = job = Job(who); {start}")
    assert bob.run("(await job.open(), who())").value == ("no_context", "bob")
    assert alice.run("who()").value == "alice"


@kinds
def test_bare_thread_during_its_own_cell(alice, bob, start):
    """Also while nobody else is there, no user is guessed: tomorrow somebody may be."""
    for person, name in ((alice, "alice"), (bob, "bob")):
        code = f"work = job = Job(who); {start}; (await job.open(), who())"
        assert person.run(code).value == ("no_context", name)


@kinds
def test_the_error_says_what_to_do(alice, bob, start):
    """The error names ``bind_current_user``, and no person."""
    alice.run(
        "def text():\n    try: get_current_user()\n"
        f"    except IdentityUnavailable as e: return str(e)\nwork = job = Job(text); {start}"
    )
    text = bob.run("await job.open()").value
    assert "bind_current_user(fn)" in text
    assert "alice" not in text
    assert "bob" not in text


@kinds
def test_bound_thread(alice, bob, start):
    """With ``bind_current_user`` the thread is its starter's, during the other's cell too."""
    for person, other, name, elsewhere in (
        (alice, bob, "alice", "bob"),
        (bob, alice, "bob", "alice"),
    ):
        person.run(f"job = Job(who); work = bind_current_user(job); {start}")
        assert other.run("(await job.open(), who())").value == (name, elsewhere)


def test_pool_worker_serves_two_people(alice, bob):
    """A worker thread that Alice's job started is Bob's for Bob's job, and nobody's after."""
    alice.run("pool = ThreadPoolExecutor(1)\nhers = pool.submit(bind_current_user(who))")
    assert alice.run("hers.result(30)").value == "alice"
    assert bob.run("pool.submit(bind_current_user(who)).result(30)").value == "bob"
    assert bob.run("pool.submit(who).result(30)").value == "no_context"
    assert alice.run("list(pool.map(bind_current_user(lambda _: who()), 'ab'))").value == [
        "alice",
        "alice",
    ]


@pytest.mark.parametrize("start", VIA_LOOP.values(), ids=VIA_LOOP.keys())
def test_back_onto_the_loop_from_a_bare_thread(alice, bob, start):
    """What a bare thread puts onto the loop has the thread's identity: none."""
    alice.run(
        "work = (job := Job(who)).tick\nloop = asyncio.get_running_loop()\n"
        f"threading.Thread(target=lambda: {start}).start()"
    )
    assert bob.run("(await job.open(), who())").value == ("no_context", "bob")


def test_to_thread_of_each(alice, bob):
    """``asyncio.to_thread`` carries the identity by itself."""
    for person, name in ((alice, "alice"), (bob, "bob")):
        assert person.run("await asyncio.to_thread(who)").value == name


def test_default_instead_of_the_error(alice, bob):
    """``default=`` is returned where nobody can be named, and only there."""
    ask = "lambda: (get_current_user(default=None), get_session(default='none'))"
    for person, name in ((alice, "alice"), (bob, "bob")):
        assert person.run(f"ThreadPoolExecutor(1).submit({ask}).result(30)").value == (None, "none")
        code = "(get_current_user(default=None).username, get_session(default=0).user.username)"
        assert person.run(code).value == (name, name)

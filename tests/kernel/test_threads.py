"""A bare thread has no user; with ``bind_current_user`` it has the right one."""

from __future__ import annotations

import pytest

#: Ways in which Alice's cell passes ``work`` to a thread.
THREADS = {
    "Thread": "threading.Thread(target=work).start()",
    "Timer": "threading.Timer(0, work).start()",
    "ThreadPoolExecutor": "ThreadPoolExecutor(1).submit(work)",
    "run_in_executor": "asyncio.get_running_loop().run_in_executor(None, work)",
}
#: Ways in which a bare thread puts ``work`` back onto the loop.
VIA_LOOP = {
    "call_soon_threadsafe": "loop.call_soon_threadsafe(work)",
    "run_coroutine_threadsafe": "asyncio.run_coroutine_threadsafe(job.run(), loop)",
}

kinds = pytest.mark.parametrize("start", THREADS.values(), ids=THREADS.keys())


@kinds
def test_bare_thread_has_no_user(alice, bob, start):
    """A bare thread has neither the user that started it nor the user of a running cell."""
    alice.run(f"work = job = Job(who); {start}")
    assert bob.run("(await job.open(), who())").value == ("no_context", "bob")
    assert alice.run("who()").value == "alice"


@kinds
def test_bare_thread_during_its_own_cell(alice, bob, start):
    """Even with one user on the kernel, a thread has no user: another user may join later."""
    for person, name in ((alice, "alice"), (bob, "bob")):
        code = f"work = job = Job(who); {start}; (await job.open(), who())"
        assert person.run(code).value == ("no_context", name)


@kinds
def test_the_error_says_what_to_do(alice, bob, start):
    """The error names ``bind_current_user``, and no user."""
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
    """With ``bind_current_user`` a thread has the user that started it, also in other cells."""
    for person, other, name, elsewhere in (
        (alice, bob, "alice", "bob"),
        (bob, alice, "bob", "alice"),
    ):
        person.run(f"job = Job(who); work = bind_current_user(job); {start}")
        assert other.run("(await job.open(), who())").value == (name, elsewhere)


def test_pool_worker_serves_two_people(alice, bob):
    """A worker thread that Alice started has Bob for Bob's job, and no user afterwards."""
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
    """A callback that a bare thread puts onto the loop has no user, like the thread."""
    alice.run(
        "work = (job := Job(who)).tick\nloop = asyncio.get_running_loop()\n"
        f"threading.Thread(target=lambda: {start}).start()"
    )
    assert bob.run("(await job.open(), who())").value == ("no_context", "bob")


def test_to_thread_of_each(alice, bob):
    """``asyncio.to_thread`` passes the identity on by itself."""
    for person, name in ((alice, "alice"), (bob, "bob")):
        assert person.run("await asyncio.to_thread(who)").value == name


def test_default_instead_of_the_error(alice, bob):
    """``default=`` is returned if the user cannot be determined, and only then."""
    ask = "lambda: (get_current_user(default=None), get_session(default='none'))"
    for person, name in ((alice, "alice"), (bob, "bob")):
        assert person.run(f"ThreadPoolExecutor(1).submit({ask}).result(30)").value == (None, "none")
        code = "(get_current_user(default=None).username, get_session(default=0).user.username)"
        assert person.run(code).value == (name, name)
